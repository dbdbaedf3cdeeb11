"""The examples of the Python API run as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.namespaces
@pytest.mark.usefixtures("namespaces")
def test_the_live_example_runs_to_its_end(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "live.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr
    assert "set phone@field latency=300ms" in done.stdout
    assert done.stdout.count("done") == 4, "the runs of its sweep"
    assert (tmp_path / "runs" / "live" / "events.jsonl").is_file()
