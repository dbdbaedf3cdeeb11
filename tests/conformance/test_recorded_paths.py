"""What ``wotemu record`` writes of a path with known conditions has these conditions."""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from wotemu.scenario import Trace
from wotemu.topology.conditions import NetworkConditions

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
    server = subprocess.Popen(field.nodes["b"].command(*words, "--serve", f"{there}:7007", *TOKEN))
    try:
        probe = [there, "--udp", "7007", *TOKEN, "--for", f"{SECONDS}s", "--out", str(tmp_path / "path.csv")]
        subprocess.run(field.nodes["a"].command(*words, *probe), check=True, timeout=120)
    finally:
        server.terminate()
        server.wait(10)
    up, down = (Trace.read(tmp_path / f"path.{name}.csv") for name in ("up", "down"))

    def mean(trace: Trace, name: str) -> float:
        return statistics.fmean(float(values[name]) for _, values in trace.rows if name in values)

    half_s = Z * jitter_s / math.sqrt(2) / math.sqrt(PROBES)
    assert 0.030 - half_s <= mean(up, "latency") <= 0.030 + half_s + LATE_S
    # The median of windows, of which one may hold a stall of this machine.
    jitters_s = [float(values["jitter"]) for _, values in up.rows if "jitter" in values]
    assert statistics.median(jitters_s) == pytest.approx(jitter_s, rel=0.5)
    lowest, highest = share_interval(loss, PROBES)
    assert lowest <= mean(up, "loss") <= highest
    assert mean(down, "loss") <= 0.02
    # A train's slope is off by jitter / sqrt(42), the median of 14 by 1.25 / sqrt(14) of it: 2 % at 4 Mbit/s.
    assert mean(up, "rate") == pytest.approx(2e6, rel=0.15)
    assert mean(down, "rate") == pytest.approx(4e6, rel=0.15)
