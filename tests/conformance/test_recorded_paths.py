"""What ``wotemu record`` writes of a path with known conditions has these conditions, and so has its replay.

A busy machine makes packets late, never early: so lower limits are by calculation alone, and upper ones have
the lateness that the gateway itself has recorded.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from wotemu.scenario import Scenario, Trace, during, resolve
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.models import Link, Network, Node, Topology

from .field import LATE_S, Field
from .intervals import Z, share_interval

TOKEN = ["--token", "of this test alone"]
SECONDS = 30
PROBES = 10 * SECONDS // 2
"""At least: none is sent while a train is under way."""


@pytest.mark.parametrize("shaper", [pytest.param("tun", marks=pytest.mark.namespaces)], indirect=True)
def test_a_recorded_path_has_its_conditions(field: Field, tmp_path: Path) -> None:
    jitter_s, loss = 0.001, 0.1
    field.set("a", "up", NetworkConditions(latency="30ms", jitter="1ms", loss=loss, rate="2mbit"))
    field.set("a", "down", NetworkConditions(latency="30ms", jitter="1ms", rate="4mbit"))
    there = field.addresses["b"]
    words = [sys.executable, "-m", "wotemu.cli", "record"]
    served = field.nodes["b"].command(*words, "--serve", f"{there}:7007", *TOKEN)
    server = subprocess.Popen(served, stderr=subprocess.PIPE)
    assert server.stderr is not None
    try:
        assert server.stderr.readline().startswith(b"Echo at ")  # or first probes would be lost
        probe = [there, "--udp", "7007", *TOKEN, "--for", f"{SECONDS}s", "--out", str(tmp_path / "path.csv")]
        subprocess.run(field.nodes["a"].command(*words, *probe), check=True, timeout=120)
    finally:
        server.terminate()
        server.wait(10)
        server.stderr.close()
    up, down = (Trace.read(tmp_path / f"path.{name}.csv") for name in ("up", "down"))

    def mean(trace: Trace, name: str) -> float:
        return statistics.fmean(float(values[name]) for _, values in trace.rows if name in values)

    _, hops = field.drain()
    late_s = max(LATE_S, *(hop.late_max or 0.0 for hop in hops.values()))
    half_s = Z * jitter_s / math.sqrt(2) / math.sqrt(PROBES)
    assert 0.030 - half_s <= mean(up, "latency") <= 0.030 + half_s + late_s
    # Four passes of a round trip, whose lateness deviates by half of the most, over sqrt(2), at the most.
    jitters_s = [float(values["jitter"]) for _, values in up.rows if "jitter" in values]
    assert 0.5 * jitter_s <= statistics.median(jitters_s) <= math.hypot(1.5 * jitter_s, late_s)
    lowest, highest = share_interval(loss, PROBES)
    assert lowest <= mean(up, "loss") <= highest
    assert mean(down, "loss") <= 0.02
    # A train's slope is off by jitter / sqrt(42), the median of 14 by 1.25 / sqrt(14) of it: 2 % at 4 Mbit/s.
    assert mean(up, "rate") == pytest.approx(2e6, rel=0.15)
    assert mean(down, "rate") == pytest.approx(4e6, rel=0.15)
    assert_replayed(up, tmp_path / "path.up.csv", "up")
    assert_replayed(down, tmp_path / "path.down.csv", "down")


def assert_replayed(trace: Trace, path: Path, way: Direction) -> None:
    """A scenario that replays the recording sets its rows' conditions when they begin, exactly.

    Whether a hop then has the conditions that are set is what the other tests here are about.
    """
    link = Link(Network("field"))
    topology = Topology([Node("a", command=["true"], networks=[link])])
    replay = during("0s", f"{2 * SECONDS}s").replay(link, path, way)
    timeline, _ = resolve(topology, Scenario(events=[replay], duration="120s"))
    *changes, over = timeline.changes
    assert (over.at_s, over.after["rate_bps"]) == (2 * SECONDS, None)
    row: dict[str, float] = {}
    for t_s, values in trace.rows:
        row |= {name: float(value) for name, value in values.items()}
        after = [change.after for change in changes if change.at_s <= t_s][-1]
        held = {"latency": after["latency_s"], "jitter": after["jitter_s"], "rate": after["rate_bps"]}
        assert {**held, "loss": after["loss"]} == pytest.approx(row)
    begins_s = {t_s for t_s, _ in trace.rows}
    assert {change.at_s for change in changes} <= begins_s
