"""Every role of a real run ends with a count of its records, and has the bus's own clock."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.engine.conftest import PACE, Emulate, paced, processes_printing_into
from tests.engine.test_certificate import holds_tap
from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun
from wotemu.records import Event
from wotemu.scenario import Scenario, at
from wotemu.topology.models import Network, NetworkConditions, Node, Topology

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("namespaces", "no_leftovers")]

FIELD = Network("field", NetworkConditions(latency="10ms"))


def topology(count: int) -> Topology:
    return Topology(
        [Node(f"n{number}", command=["sleep", "60"], networks=[FIELD]) for number in range(count)]
    )


async def test_all_that_roles_count_is_recorded_and_their_clocks_are_one(
    emulate: Emulate, tmp_path: Path
) -> None:
    scenario = Scenario(duration=paced(3), events=[at(paced(1)).set(FIELD, latency="20ms")])
    ran = await emulate(topology(10), scenario)
    assert ran.result.error is None
    roles = {f"agent:n{number}" for number in range(10)} | {"gateway:field"}
    counted: Counter[str] = Counter()
    for event in ran.of_kind("role.done"):
        counted.update(event.data["records"])
    assert {event.source for event in ran.of_kind("role.done")} == roles
    stored = json.loads((tmp_path / "run" / "manifest.json").read_text())["records"]
    assert {table: counted[table] for table in ("system", "hops", "changes")} == {
        table: stored[table] for table in ("system", "hops", "changes")
    }
    assert counted["events"] == sum(event.source in roles for event in ran.events)
    assert ran.result.losses == {}
    for event in ran.of_kind("role.ready"):
        assert (event.data["offset_s"], event.data["offset_error_s"]) == (0.0, 0.0)
    assert {event.data["clock_error_s"] for event in ran.of_kind("role.done")} == {0.0}
    assert ran.result.certificate is not None
    assert "early" not in {reason.what for reason in ran.result.certificate.reasons}


async def test_a_role_that_is_killed_at_its_end_is_told_of(tmp_path: Path) -> None:
    """What it had not sent is lost, and nobody knows how much that is."""

    def listen(event: Event) -> None:
        if event.kind == "run.stopping":
            (gateway,) = (pid for pid in processes_printing_into(tmp_path) if holds_tap(pid))
            os.kill(gateway, signal.SIGKILL)

    deployment = Deployment(topology(2), Scenario(duration=paced(2)), tmp_path / "deployment.py")
    async with asyncio.timeout(60 * PACE):
        result = await ReportedRun(deployment, out=tmp_path / "run").run(listen)
    lost = {("gateway:field", "count of its records, which it did not send at its end"): 1}
    assert (result.status, result.losses) == ("done", lost)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert [each["source"] for each in manifest["losses"]] == ["gateway:field"]
