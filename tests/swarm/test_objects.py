"""What is created on a swarm is decided in pure code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wotemu.scenario import Scenario, resolve
from wotemu.topology.models import Broker, Network, Node, NodeApp, NodeResources, Topology
from wotemu_runtime.engines.swarm import objects
from wotemu_runtime.plan import Plan, make_plan

FIELD = Network("field")
SUBNETS = {"field": "10.0.7.0/24"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "deployment.py").write_text("x = 1\n")
    return tmp_path


def plan_of(root: Path, *nodes: Node) -> Plan:
    topology = Topology(nodes)
    timeline, _ = resolve(topology, Scenario())
    return make_plan(topology, timeline, stack="farm", root=root)


@pytest.fixture
def plan(root: Path) -> Plan:
    broker = Broker("mqtt", [FIELD])
    return plan_of(
        root,
        Node("sensor", NodeApp("sensor", http=True, mqtt=True), networks=[FIELD], broker=broker),
        Node(
            "reader",
            NodeApp("reader"),
            networks=[FIELD],
            scale=3,
            env={"TOKEN": "hunter2"},
            resources=NodeResources(cpu_limit=0.5, mem_limit="128M", mem_reservation="64M"),
        ),
    )


def services(plan: Plan) -> dict[str, objects.SwarmService]:
    return {service.role: service for service in objects.services(plan, SUBNETS, "manager-1")}


def test_there_is_a_service_a_node_broker_and_network_and_one_bus(plan: Plan) -> None:
    assert set(services(plan)) == {"bus", "gateway:field", "agent:sensor", "agent:reader", "agent:mqtt"}


def test_every_object_says_whose_it_is(plan: Plan) -> None:
    for service in services(plan).values():
        assert service.spec["Labels"][objects.STACK_LABEL] == "farm"
        assert service.spec["TaskTemplate"]["ContainerSpec"]["Labels"][objects.STACK_LABEL] == "farm"
        assert service.spec["Name"].startswith("farm_")


def test_replicas_limits_and_reservations_are_swarms_own(plan: Plan) -> None:
    spec = services(plan)["agent:reader"].spec
    assert spec["Mode"]["Replicated"]["Replicas"] == 3
    assert spec["TaskTemplate"]["Resources"] == {
        "Limits": {"NanoCPUs": 500_000_000, "MemoryBytes": 128 * 1024**2},
        "Reservations": {"MemoryBytes": 64 * 1024**2},
    }


def test_no_container_has_more_capabilities_than_its_role_needs(plan: Plan) -> None:
    for role, service in services(plan).items():
        container = service.spec["TaskTemplate"]["ContainerSpec"]
        assert container["CapabilityDrop"] == ["ALL"]
        assert ("CAP_MKNOD" in container["CapabilityAdd"]) == role.startswith("gateway:")
        assert "Mounts" not in container, "the Docker socket is in no container of these"
    assert services(plan)["bus"].spec["TaskTemplate"]["ContainerSpec"]["CapabilityAdd"] == []


def test_only_the_bus_publishes_a_port_and_only_on_the_manager(plan: Plan) -> None:
    published = {role: s.spec["EndpointSpec"].get("Ports") for role, s in services(plan).items()}
    assert [role for role, ports in published.items() if ports] == ["bus"]
    assert published["bus"][0]["PublishMode"] == "host"
    constraints = services(plan)["bus"].spec["TaskTemplate"]["Placement"]["Constraints"]
    assert constraints == ["node.id==manager-1"]


def test_no_service_needs_ipvs(plan: Plan) -> None:
    assert {service.spec["EndpointSpec"]["Mode"] for service in services(plan).values()} == {"dnsrr"}


def test_an_assignment_says_which_replica_each_slot_is(plan: Plan) -> None:
    service = services(plan)["agent:reader"]
    given = json.loads(service.files[objects.ASSIGNMENT_FILE].data)
    assert given["data"]["replicas"] == ["reader-1", "reader-2", "reader-3"]
    assert given["data"]["subnets"] == SUBNETS
    assert "WOTEMU_SLOT={{.Task.Slot}}" in service.spec["TaskTemplate"]["ContainerSpec"]["Env"]


def test_another_content_is_another_config(plan: Plan, root: Path) -> None:
    before = services(plan)["agent:reader"].files[objects.CODE_FILE].name
    (root / "deployment.py").write_text("x = 2\n")
    assert services(plan)["agent:reader"].files[objects.CODE_FILE].name != before


def test_the_image_is_the_nodes_own_then_the_environments(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(
        root, Node("own", command=["true"], networks=[FIELD], image="mine:1"), Node("a", NodeApp("sensor"))
    )

    def image() -> dict[str, str]:
        return {
            role: service.spec["TaskTemplate"]["ContainerSpec"]["Image"]
            for role, service in services(plan).items()
        }

    monkeypatch.delenv("WOTEMU_IMAGE", raising=False)
    assert (image()["agent:own"], image()["agent:a"]) == ("mine:1", "wotemu:latest")
    monkeypatch.setenv("WOTEMU_IMAGE", "registry/wotemu:2")
    assert (image()["agent:own"], image()["agent:a"]) == ("mine:1", "registry/wotemu:2")


def test_names_stay_within_a_host_names_63_characters(root: Path) -> None:
    plan = plan_of(root, Node("n" * 48, command=["true"], networks=[FIELD], scale=999))
    service = services(plan)["agent:" + "n" * 48]
    hostname = service.spec["TaskTemplate"]["ContainerSpec"]["Hostname"].replace("{{.Task.Slot}}", "999")
    assert len(hostname) <= 63
    assert all(len(config.name) <= 64 for config in service.files.values())
