"""Ways out of an emulation: what nodes reach through an uplink, under which conditions, and what not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median

import polars as pl
import pytest

from tests.conftest import Require
from tests.engine.machine_with_network import ADDRESS, ROUND_TRIP_S
from wotemu import RecordedRun
from wotemu_runtime.planning.uplink_programs import PROGRAMS

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("no_leftovers", "namespaces")]
TOOLS = ("ip", "mount", "unshare", "sleep")


@pytest.mark.parametrize("program", PROGRAMS)
def test_nodes_reach_what_the_machine_reaches_but_its_loopback(
    tmp_path: Path, program: str, require: Require
) -> None:
    require(shutil.which(program) is not None, f"{program} is not installed")
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in (
        program,
        *TOOLS,
        *(each for each in ("redis-server", "valkey-server") if shutil.which(each)),
    ):
        (programs / tool).symlink_to(str(shutil.which(tool)))
    ran = subprocess.run(
        ["unshare", "-Urnm", sys.executable, "-m", "tests.engine.machine_with_network", tmp_path / "run"],
        env=os.environ | {"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    client = found["client"]
    assert (client["outside"], client["page"], client["named page"]) == ("reached", *[f"at {ADDRESS}"] * 2)
    assert client["name"] == ADDRESS
    assert min(client["round_trips"]) >= ROUND_TRIP_S
    assert median(client["round_trips"]) < 3 * ROUND_TRIP_S
    assert client["peer"].startswith("10.64.")
    assert "reached" not in [client["own loopback"], client["other network"], *client["loopback"]]
    assert found["loopback connections"] == 0
    # Without an uplink, nothing is reached, and no name server asked.
    assert found["islander"]["outside"] == "ENETUNREACH"
    assert found["islander"]["peer"].startswith("10.65.")
    _check_records(tmp_path / "run", program)


def _check_records(run_dir: Path, program: str) -> None:
    run = RecordedRun(run_dir)
    opened = [each for each in run.events() if each.kind == "uplink.opened"]
    assert [each.data["networks"] for each in opened] == [["field"]]
    assert Path(opened[0].data["program"]).name == program
    last = run.table("uplinks").collect().sort("t").tail(1).to_dicts()[0]
    assert min(last[each] for each in ("packets_in", "packets_out", "bytes_in", "bytes_out")) > 0
    flows = run.table("flows").filter(pl.col("dst") == ADDRESS).collect()
    assert set(flows["node"]) == {"client", "modem"}
    probes = run.table("probes").filter(~pl.col("lost")).collect()
    assert {"modem"} <= set(probes["node"]) & set(probes["peer"])
    assert (run_dir / "captures" / "modem.pcapng").stat().st_size > 1000
    assert "This emulation had a way out" in run.write_report().read_text()
