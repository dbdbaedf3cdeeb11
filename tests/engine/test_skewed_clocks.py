"""Nodes with wrong wall clocks: what their programs read, and what is recorded of them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.conftest import Require
from tests.engine.conftest import PACE
from tests.engine.test_reliability import agents_of
from wotemu import (
    Emulation,
    EmulationError,
    Network,
    Node,
    NodeApp,
    RecordedRun,
    Scenario,
    Topology,
    at,
    during,
)
from wotemu.records import Event
from wotemu_runtime.planning.clock_skew import find_library

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("namespaces", "no_leftovers")]

FIELD = Network("field")
AHEAD_S, BEHIND_S = 3600, -90
CHILD = "import time\nwhile True: print('child', time.time(), time.monotonic(), flush=True); time.sleep(0.05)"
# A shell's `date` and a child: each line has a wall clock and a clock that counts from the machine's start.
SHELL = f"""
"{sys.executable}" -c "$0" &
env -u LD_PRELOAD sleep 600 &
while :; do read up _ </proc/uptime; echo shell $(date +%s.%N) $up; sleep 0.05; done
"""


async def clocks(wot: Any, conf: Any, loop: asyncio.AbstractEventLoop) -> None:
    """Print this app's clocks."""
    while True:
        print("app", time.time(), time.monotonic(), flush=True)
        await asyncio.sleep(0.05)


TOPOLOGY = Topology(
    [
        Node("sensor", NodeApp("sensor", http=True), networks=[FIELD]),
        Node(
            "reader",
            NodeApp(
                "reader",
                params={"servient_host": "sensor", "thing_id": "urn:wotemu:sensor", "interval": 0.2},
            ),
            networks=[FIELD],
        ),
        Node("app", NodeApp(clocks), networks=[FIELD]),
        Node("shell", command=["sh", "-c", SHELL, CHILD], networks=[FIELD]),
        Node("other", command=["sleep", "600"], networks=[FIELD]),
    ]
)
SCENARIO = Scenario(
    duration=8 * PACE,
    events=[
        during(2 * PACE, 5 * PACE).skew_clock(["sensor", "reader", "app", "shell"], by=AHEAD_S),
        at(3 * PACE).crash("app"),
        at(3.5 * PACE).restart("app"),
        at(6 * PACE).skew_clock(["reader", "app", "shell"], by=BEHIND_S),
    ],
)


def skews(run: RecordedRun, replica: str, who: str, base_s: float) -> list[int]:
    """By how many seconds a program's wall clock was off, each time that it was another number.

    Args:
        run: The run.
        replica: Whose log it is.
        who: The first word of the program's lines.
        base_s: The wall clock less the monotonic clock, on this machine.
    """
    log = (run.run_dir / "logs" / f"{replica}.log").read_text().splitlines()
    lines = [line.split() for line in log if line.startswith(f"{who} ")]
    # A look at one clock and a look at the other may be some time apart.
    found = [round((float(wall) - float(counted) - base_s) / 10) * 10 for _, wall, counted in lines]
    return [each for each, _ in groupby(found)]


async def test_programs_read_a_wrong_time_and_what_is_recorded_has_the_right_one(
    require: Require, tmp_path: Path
) -> None:
    require(find_library() is not None, "libfaketime is not installed")
    base_s = time.time() - time.monotonic()
    boot_s = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    begin = time.time()
    async with asyncio.timeout(60 * PACE), Emulation(TOPOLOGY, SCENARIO, out=tmp_path / "run") as emulation:
        await emulation.ready()
        with pytest.raises(EmulationError, match=r"at\(0\)\.skew_clock"):
            await emulation.skew_clock("other", by="+3m")
        changed = await emulation.skew_clock("sensor", by="+1m", lasting=0.5)
        assert changed.text == "skew_clock sensor by=+1m for 500ms"
        await emulation.done()
    end, run = time.time(), emulation.result
    assert skews(run, "app", "app", base_s) == [0, AHEAD_S, 0, BEHIND_S]
    assert skews(run, "shell", "shell", boot_s) == [0, AHEAD_S, 0, BEHIND_S]
    assert skews(run, "shell", "child", base_s) == [0, AHEAD_S, 0, BEHIND_S]
    starts = [event for event in run.events("app.started") if event.source == "agent:app"]
    assert len(starts) == 2, "it read the wrong time after its restart, too"
    set_by: dict[str, list[float]] = {}
    skewed: list[Event] = list(run.events("clock.skewed"))
    for event in skewed:
        set_by.setdefault(event.source, []).append(event.data["by_s"])
        assert event.data["read_s"] == pytest.approx(event.data["by_s"], abs=0.1)
    assert set_by["agent:shell"] == set_by["agent:app"] == [AHEAD_S, 0, BEHIND_S]
    assert set_by["agent:sensor"][0] == 60
    assert set_by["agent:sensor"][-2:] == [AHEAD_S, 0]
    unreached = {event.source: event.data["programs"] for event in run.events("clock.unreached")}
    assert unreached == {"agent:shell": ["sleep"]}
    # Only the change that was refused.
    (failed,) = run.table("changes").filter(~pl.col("ok")).collect().to_dicts()
    assert failed["target"] == "other"
    for table in ("interactions", "system", "app"):
        times = run.table(table).collect()["t"]
        assert times.is_between(begin - 1, end + 1).all(), table
    reads = run.table("interactions").filter(pl.col("node") == "reader", pl.col("status") == "ok").collect()
    assert reads.height > 10
    assert reads["duration"].is_between(0, 5).all()
    assert run.certificate is not None
    assert not [reason for reason in run.certificate.reasons if reason.what in ("fault", "clock", "early")]


async def test_a_node_whose_agent_is_replaced_keeps_its_wrong_time(require: Require, tmp_path: Path) -> None:
    require(find_library() is not None, "libfaketime is not installed")
    base_s = time.time() - time.monotonic()
    topology = Topology([Node("app", NodeApp(clocks), networks=[FIELD])])
    scenario = Scenario(duration=6 * PACE, events=[at(PACE).skew_clock("app", by=BEHIND_S)])
    async with asyncio.timeout(60 * PACE), Emulation(topology, scenario, out=tmp_path / "run") as emulation:
        await emulation.ready()
        await emulation.at(2 * PACE)
        os.kill(agents_of(tmp_path), signal.SIGKILL)
        await emulation.done()
    run = emulation.result
    assert skews(run, "app", "app", base_s) == [0, BEHIND_S]
    assert len(list(run.events("app.started"))) == 2
