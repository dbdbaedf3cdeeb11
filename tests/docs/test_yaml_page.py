"""The example of `docs/yaml.md` runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.docs.pages import ROOT, blocks
from wotemu import RecordedRun


@pytest.mark.namespaces
def test_the_example_runs_and_its_nodes_interact(tmp_path: Path, local_engine: None) -> None:
    (form,) = [block.code for block in blocks(ROOT / "docs" / "yaml.md") if block.language == "yaml"]
    (tmp_path / "roaming.yml").write_text(form)
    argv = [sys.executable, "-m", "wotemu.cli", "run", "roaming.yml", "--duration", "3s", "--quiet"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    run = RecordedRun(tmp_path / "runs" / "roaming")
    groups = run.table("interactions").select(pl.col("group").unique()).collect()["group"].to_list()
    assert "van" in groups
    assert (run.run_dir / "report" / "index.html").is_file()
