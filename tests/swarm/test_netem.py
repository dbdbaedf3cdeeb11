"""Gateways on overlays that shape with the kernel's NetEm: run in a guest whose kernel has it."""

from __future__ import annotations

import os
import re
import statistics
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import Require
from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun
from wotemu.records import Event
from wotemu.scenario import Scenario, at, during
from wotemu.topology.models import Network, NetworkConditions, Node, Topology
from wotemu_gateways.netem import kernel_support

pytestmark = [pytest.mark.docker, pytest.mark.netem]

FIELD = Network("field", NetworkConditions(latency="20ms"))


async def test_auto_takes_netem_where_the_gateways_kernel_has_it(
    tmp_path: Path, require: Require, monkeypatch: pytest.MonkeyPatch
) -> None:
    require("DOCKER_HOST" in os.environ, "DOCKER_HOST does not name a manager of a swarm")
    require(not kernel_support.missing_in_new_namespace(), "its kernel has no NetEm")
    # A guest's system calls are several times slower than a machine's.
    monkeypatch.setattr("wotemu_runtime.coordination.readiness.READY_DEADLINE_S", 600.0)
    topology = Topology([
        Node("a", command=["ping", "-D", "-i", "0.2", "b"], networks=[FIELD]),
        Node("b", command=["sleep", "1000"], networks=[FIELD]),
    ])  # fmt: skip
    events = [
        at("6s").set(FIELD, latency="60ms"),
        at("12s").partition("a"),
        at("15s").heal(),
        during("17s", "20s").disconnect("b"),
    ]
    (tmp_path / "code").mkdir()
    deployment = Deployment(
        topology, Scenario(duration="23s", events=events), tmp_path / "code" / "deployment.py"
    )
    told: list[Event] = []
    emulation = ReportedRun(deployment, name="in-kernel", out=tmp_path / "run", engine="swarm")
    result = await emulation.run(told.append)
    assert result.status == "done", result.error
    assert [e.data["shaper"] for e in told if e.kind == "role.ready" and "shaper" in e.data] == ["netem"]
    down, up = (e.t for e in told if e.kind in ("interface.down", "interface.up"))
    lines = (result.run_dir / "logs" / "a.log").read_text().splitlines()
    answered = [float(found[1]) for line in lines if (found := re.match(r"\[([\d.]+)\].*time=", line))]
    assert not [t for t in answered if down + 0.5 < t < up]
    assert [t for t in answered if t > up]
    times = [float(found[1]) for line in lines if (found := re.search(r"time=([\d.]+) ms", line))]
    assert min(times) >= 39.9
    assert 40 <= statistics.median(times[:20]) < 80
    assert max(times) >= 120
    tables = result.run_dir / "tables"
    assert pl.read_parquet(tables / "changes.parquet")["ok"].to_list() == [True] * 5
    hops = pl.read_parquet(tables / "hops.parquet")
    assert set(hops["shaper"]) == {"netem"}
    assert hops["dropped_cut"].sum() > 0
