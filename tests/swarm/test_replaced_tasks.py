"""A task in another's place: what a bus finds of the one before, what a port may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from wotemu.errors import InputError
from wotemu.scenario import Scenario, resolve
from wotemu.topology.models import Network, Node, Topology
from wotemu_runtime.container.bus import prepare
from wotemu_runtime.engines.swarm import services
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.planner import make_plan


def test_a_bus_finds_what_its_own_deployment_kept_and_nothing_of_others(tmp_path: Path) -> None:
    prepare(tmp_path / "first")
    (tmp_path / "first" / "appendonly").write_text("kept")
    prepare(tmp_path / "first")
    assert (tmp_path / "first" / "appendonly").read_text() == "kept"
    prepare(tmp_path / "second")
    assert [path.name for path in tmp_path.iterdir()] == ["second"]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    topology = Topology([Node("a", command=["true"], networks=[Network("field")])])
    timeline, _ = resolve(topology, Scenario())
    return make_plan(topology, timeline, stack="farm", root=tmp_path)


@pytest.mark.parametrize(("given", "published"), [("", None), ("16379", 16379)])
def test_the_port_of_the_bus_is_free_unless_it_is_named(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, given: str, published: int | None
) -> None:
    monkeypatch.setenv(services.BUS_PORT_VARIABLE, given)
    (port,) = services.bus_service(plan, "manager-1").spec["EndpointSpec"]["Ports"]
    assert port.get("PublishedPort") == published


@pytest.mark.parametrize("given", ["0", "65536", "redis", "-1"])
def test_what_is_no_port_is_refused(plan: Plan, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(services.BUS_PORT_VARIABLE, given)
    with pytest.raises(InputError, match=services.BUS_PORT_VARIABLE):
        services.bus_service(plan, "manager-1")
