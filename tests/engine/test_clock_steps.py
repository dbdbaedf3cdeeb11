"""Somebody sets the wall clock while an emulation runs: nothing of the run follows it.

The test sets the clock of the machine that it runs on, so it runs only in a guest of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

from tests.engine.conftest import PACE, paced
from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun, Result
from wotemu.records import Event
from wotemu.scenario import Scenario, at
from wotemu.topology.models import Network, NetworkConditions, Node, NodeApp, Topology

pytestmark = [pytest.mark.netem, pytest.mark.usefixtures("namespaces", "no_leftovers")]

DURATION_S = 12.0 * PACE
STEPS_S = ((4.0 * PACE, 5.0), (8.0 * PACE, -5.0))
"""When the clock is set, in seconds after T0, and by how much."""
LATE_S = 2.0
"""What waits by the wall clock is 5 s early or late after a step; a slow guest is late, too."""
HEARD_S = 0.1
"""Between an event and its being heard, within one process."""
READS = {"servient_host": "sensor", "thing_id": "urn:wotemu:sensor"}
IN_A_GUEST = "User Mode Linux" in Path("/proc/cpuinfo").read_text()
BY_A_CLOCK = {"early", "leak", "change_failed", "change_missing", "clock", "probe_loss", "no_probes"}
"""Reasons against a run that clocks which jump would bring about."""


@attrs.define
class Heard:
    """Events with the monotonic time when they were heard, and the steps of the wall clock."""

    events: list[tuple[float, Event]] = attrs.field(factory=list)
    t0: asyncio.Future[float] = attrs.field(factory=lambda: asyncio.get_running_loop().create_future())

    def take(self, event: Event) -> None:
        self.events.append((time.monotonic(), event))
        if event.kind == "run.t0":
            self.t0.set_result(event.data["t0"] - event.t + time.monotonic())

    def of_kind(self, kind: str) -> list[tuple[float, Event]]:
        """Events of a kind, with seconds after T0 by the monotonic clock."""
        return [(at_s - self.t0.result(), event) for at_s, event in self.events if event.kind == kind]


async def step_the_clock(t0: asyncio.Future[float]) -> None:
    begin = await t0
    for at_s, step_s in STEPS_S:
        await asyncio.sleep(begin + at_s - time.monotonic())
        time.clock_settime(time.CLOCK_REALTIME, time.time() + step_s)


async def stepped_run(folder: Path) -> tuple[Result, Heard]:
    """A run whose conditions change each second while the wall clock is set forth and back."""
    field = Network("field", NetworkConditions(latency="20ms"))
    nodes = [
        Node("sensor", NodeApp("sensor", http=True), networks=[field]),
        Node("reader", NodeApp("reader", params=READS), networks=[field]),
        Node("pinger", command=["ping", "-i", "0.2", "sensor"], networks=[field]),
    ]
    scenario = Scenario(
        duration=paced(12),
        events=[at(k * PACE).set(field, latency="40ms" if k % 2 else "20ms") for k in range(1, 12)],
    )
    heard = Heard()
    deployment = Deployment(Topology(nodes), scenario, folder / "deployment.py")
    stepping = asyncio.create_task(step_the_clock(heard.t0))
    async with asyncio.timeout(100 * PACE):
        result = await ReportedRun(deployment, out=folder / "run").run(heard.take)
    await stepping
    return result, heard


def table(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(folder / "run" / "tables" / f"{name}.parquet")


def in_order(times: list[float]) -> bool:
    return all(one <= other for one, other in itertools.pairwise(times))


@pytest.mark.skipif(not IN_A_GUEST, reason="it sets the wall clock of the machine that it runs on")
async def test_a_wall_clock_that_is_set_moves_nothing(tmp_path: Path) -> None:
    result, heard = await stepped_run(tmp_path)
    t0 = json.loads((tmp_path / "run" / "manifest.json").read_text())["t0"]

    assert result.error is None
    assert [event.data["step_s"] for _, event in heard.of_kind("clock.stepped")] == [
        pytest.approx(step_s, abs=0.1) for _, step_s in STEPS_S
    ]

    changes = table(tmp_path, "changes").sort("id")
    due = [k * PACE for k in range(1, 12)]
    assert [at - t0 for at in sorted(changes["due"])] == pytest.approx(due)
    for row in changes.iter_rows(named=True):
        assert 0 <= row["applied"] - row["due"] < LATE_S
    for (heard_s, _), due_s in zip(heard.of_kind("change.applied"), due, strict=True):
        assert -HEARD_S < heard_s - due_s < LATE_S  # by a clock that is not the run's
    ((ended_s, _),) = heard.of_kind("run.stopping")
    assert -HEARD_S < ended_s - DURATION_S < LATE_S

    sources: dict[str, list[float]] = {}
    for _, event in heard.events:
        sources.setdefault(event.source, []).append(event.t)
    assert {name for name, times in sources.items() if not in_order(times)} == set()
    whole_run = (t0 - 60 * PACE, t0 + DURATION_S + 30 * PACE)
    rows: dict[str, list[Any]] = {
        "hops": ["network", "node", "direction"],
        "system": ["node"],
        "interactions": ["node", "thing", "op"],
        "probes": ["network", "node"],
    }
    for name, keys in rows.items():
        frame = table(tmp_path, name)
        assert len(frame)
        assert frame["t"].is_between(*whole_run).all()
        if name != "probes":  # a probe's fate is known later than another's that was sent after it
            for part in frame.partition_by(keys):
                steps = part["t"].diff().drop_nulls()
                assert (steps >= 0).all()
                assert (steps < DURATION_S / 2).all()
    seen = table(tmp_path, "probes").filter(pl.col("measured").is_not_null())
    assert seen["measured"].is_between(0.015, LATE_S).all()

    assert heard.of_kind("role.silent") == heard.of_kind("role.lost") == []
    assert result.certificate is not None
    assert {reason.what for reason in result.certificate.reasons} & BY_A_CLOCK == set()
    print(f"verdict: {result.certificate}; lateness: {list(changes['applied'] - changes['due'])}")
