"""What is created on a swarm is decided in pure code."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from wotemu.errors import HostError, InputError, TopologyError
from wotemu.scenario import Scenario, at, during, resolve
from wotemu.topology.models import (
    Broker,
    Network,
    NetworkConditions,
    Node,
    NodeApp,
    NodeResources,
    Placement,
    Service,
    Topology,
)
from wotemu.topology.resources import DEFAULT_PIDS
from wotemu_runtime.engines.swarm import object_names, specs
from wotemu_runtime.engines.swarm.docker_client import check_daemon, has_start_interval, negotiated
from wotemu_runtime.engines.swarm.requirements import (
    AGENT_PIDS,
    check_capacity,
    check_faults,
    unsupported,
)
from wotemu_runtime.engines.swarm.services import roles
from wotemu_runtime.engines.swarm.services import services as all_services
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.planner import make_plan

FIELD = Network("field")
SUBNETS = {"field": "10.0.7.0/24"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "deployment.py").write_text("x = 1\n")
    return tmp_path


def plan_of(root: Path, *nodes: Node, stack: str = "farm") -> Plan:
    topology = Topology(nodes)
    timeline, _ = resolve(topology, Scenario())
    return make_plan(topology, timeline, stack=stack, root=root, on_this_machine=False)


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


def services(plan: Plan) -> dict[str, specs.SwarmService]:
    return {service.role: service for service in all_services(plan, SUBNETS, "manager-1")}


def spec_names(plan: Plan) -> list[str]:
    networks = [spec["Name"] for spec in specs.network_specs(plan)]
    made = all_services(plan, {network.name: "" for network in plan.emulated}, "manager-1")
    configs = {config.name for service in made for config in service.files.values()}
    return [
        *networks,
        *(service.name for service in made),
        *configs,
        specs.object_name(plan, "bus-password"),
    ]


def test_there_is_a_service_a_node_broker_and_network_and_one_bus(plan: Plan) -> None:
    assert set(services(plan)) == {"bus", "gateway:field", "agent:sensor", "agent:reader", "agent:mqtt"}


def test_every_object_says_whose_it_is(plan: Plan) -> None:
    for service in services(plan).values():
        assert service.spec["Labels"][specs.STACK_LABEL] == "farm"
        assert service.spec["TaskTemplate"]["ContainerSpec"]["Labels"][specs.STACK_LABEL] == "farm"
        assert service.spec["Name"].startswith("farm_")


def test_replicas_limits_and_reservations_are_swarms_own(plan: Plan) -> None:
    spec = services(plan)["agent:reader"].spec
    assert spec["Mode"]["Replicated"]["Replicas"] == 3
    assert spec["TaskTemplate"]["Resources"] == {
        "Limits": {"NanoCPUs": 500_000_000, "MemoryBytes": 128 * 1024**2, "Pids": DEFAULT_PIDS + AGENT_PIDS},
        "Reservations": {"MemoryBytes": 64 * 1024**2},
    }


def test_no_container_has_more_capabilities_than_its_role_needs(plan: Plan) -> None:
    for role, service in services(plan).items():
        container = service.spec["TaskTemplate"]["ContainerSpec"]
        assert container["CapabilityDrop"] == ["ALL"]
        assert ("CAP_MKNOD" in container["CapabilityAdd"]) == role.startswith("gateway:")
        mounted = [mount["Type"] for mount in container.get("Mounts", ())]
        assert mounted == (["volume"] if role == "bus" else []), (
            "the Docker socket is in no container of these"
        )
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
    given = json.loads(service.files[specs.ASSIGNMENT_FILE].data)
    assert given["data"]["replicas"] == ["reader-1", "reader-2", "reader-3"]
    assert given["data"]["subnets"] == SUBNETS
    assert "WOTEMU_SLOT={{.Task.Slot}}" in service.spec["TaskTemplate"]["ContainerSpec"]["Env"]


def test_another_content_is_another_config(root: Path) -> None:
    def code() -> specs.Config:
        plan = plan_of(root, Node("own", command=["true"], networks=[FIELD]))
        return services(plan)["agent:own"].files[specs.CODE_FILE]

    before = code()
    (root / "deployment.py").write_text("x = 2\n")
    assert code().name != before.name


def test_the_folder_travels_to_those_that_need_it(root: Path) -> None:
    """A folder too large for Swarm is no hindrance where images bring what is run."""
    (root / "model.bin").write_bytes(random.Random(1).randbytes(600 * 1024))
    brings = Node("brings", NodeApp("in_the_image.py"), networks=[FIELD], image="mine:1")
    builtin = Node("builtin", NodeApp("sensor", http=True), networks=[FIELD])
    found = services(plan_of(root, brings, builtin))
    for node in ("brings", "builtin"):
        assert set(found[f"agent:{node}"].files) == {specs.ASSIGNMENT_FILE}
        assert "bundle" not in assignment(found[f"agent:{node}"])
    with pytest.raises(InputError, match=r"6\d\d KiB when packed") as caught:
        services(plan_of(root, brings, Node("needs", command=["true"], networks=[FIELD])))
    assert "Node(image=...)" in str(caught.value.hint)


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


def assignment(service: specs.SwarmService) -> Any:
    return json.loads(service.files[specs.ASSIGNMENT_FILE].data)["data"]


@pytest.mark.parametrize("stack", ["s", "s" * 24, "s" * 48])
def test_no_name_is_longer_than_swarm_takes_and_none_is_there_twice(root: Path, stack: str) -> None:
    long = Network("w" * 47 + "1")
    shaped = Service("d" * 48, "postgres", networks=[long])
    plan = plan_of(
        root,
        Node(
            "n" * 48, command=["true"], networks=[long, Network("w" * 47 + "2")], services=[shaped], scale=99
        ),
        Node("n" * 47 + "m", command=["true"], networks=[long], services=[Service("e" * 48, "redis")]),
        stack=stack,
    )
    found = spec_names(plan)
    assert all(re.fullmatch(r"[a-zA-Z0-9](?:[-_]*[A-Za-z0-9]+)*", name) and len(name) <= 63 for name in found)
    assert len({name.lower() for name in found}) == len(found)
    assert all(name.startswith(f"{stack}_") for name in found)
    hostname = services_of(plan, "n" * 48)["Hostname"].replace("{{.Task.Slot}}", "99")
    assert len(hostname) <= 63


def services_of(plan: Plan, node: str) -> Any:
    made = all_services(plan, {network.name: "" for network in plan.emulated}, "manager-1")
    service = next(service for service in made if service.role == f"agent:{node}")
    return service.spec["TaskTemplate"]["ContainerSpec"]


def test_a_node_may_be_called_as_a_role_is(root: Path) -> None:
    """A bus may well be a node; so may networks be called control and outside."""
    plan = plan_of(
        root,
        Node("bus", command=["true"], networks=[FIELD], services=[Service("db", "redis", networks=[FIELD])]),
        Node("gw-field", command=["true"], networks=[Network("control")]),
        Node("other", command=["true"], networks=[Network("outside")]),
        Node("door-db", command=["true"], networks=[FIELD]),
    )
    found = spec_names(plan)
    assert len(set(found)) == len(found)
    assert {"agent:bus", "agent:gw-field", "agent:door-db", "agent:db"} < plan.roles
    assert roles(plan)[object_names.node_service("bus")] == ["agent:bus"]
    assert roles(plan)["door-db"] == ["agent:db"]
    control = specs.object_name(plan, object_names.emulated_network("control"))
    targets = {
        service.role: [network["Target"] for network in service.spec["TaskTemplate"]["Networks"]]
        for service in all_services(plan, {network.name: "" for network in plan.emulated}, "manager-1")
    }
    assert targets["agent:gw-field"] == targets["gateway:control"] == ["farm_control", control]
    assert [role for role, found in targets.items() if "farm_outside" in found] == ["bus"]


def test_two_stacks_share_no_name(plan: Plan) -> None:
    other = attrs.evolve(plan, stack="farm2")
    assert not set(spec_names(plan)) & set(spec_names(other))


def test_a_plain_service_is_reached_through_its_door(root: Path) -> None:
    db = Service("db", "postgres:16", networks=[FIELD], env={"A": "b"}, command=["postgres", "-c", "x=1"])
    plan = plan_of(root, Node("a", command=["true"], networks=[FIELD], services=[db]))
    found = services(plan)
    server, door = (found[f"{kind}:db"].spec["TaskTemplate"] for kind in ("service", "agent"))
    assert server["ContainerSpec"]["Env"] == ["A=b"]
    assert server["ContainerSpec"]["Args"] == ["postgres", "-c", "x=1"]
    assert not {"User", "Hostname", "Command", "Secrets", "Mounts"} & server["ContainerSpec"].keys()
    assert [network["Target"] for network in server["Networks"]] == ["farm_service-db"]
    assert {network["Target"] for network in door["Networks"]} == {
        "farm_control",
        "farm_field",
        "farm_service-db",
    }
    assert server["Networks"][0]["Aliases"] == [assignment(found["agent:db"])["server"]]
    assert [spec["Name"] for spec in specs.network_specs(plan) if not spec["Internal"]] == ["farm_outside"]
    assert {member["replica"] for member in assignment(found["gateway:field"])["members"]} == {"a", "db"}
    assert plan.roles == {"agent:a", "agent:db", "gateway:field"}
    assert [text.partition(":")[0] for text in unsupported(plan)] == ["db"]


def test_a_service_on_no_network_is_reached_directly(root: Path) -> None:
    db = Service("db", command=["redis-server"])
    plan = plan_of(root, Node("a", command=["true"], networks=[FIELD], services=[db]))
    found = services(plan)
    assert set(found) == {"bus", "gateway:field", "agent:a", "service:db"}
    assert assignment(found["agent:a"])["services"] == {"service-db": "db"}
    assert assignment(found["agent:a"])["subnets"] == SUBNETS
    container = found["service:db"].spec["TaskTemplate"]["ContainerSpec"]
    assert container["Command"] == ["redis-server"]
    assert plan.roles == {"agent:a", "gateway:field"}
    assert unsupported(plan) == []


def test_everything_is_placed_as_it_asks(root: Path) -> None:
    roof = Placement(
        constraints=["node.labels.site==roof"], preferences="node.labels.rack", max_per_machine=2
    )
    radio = Network("radio", placement=roof)
    plan = plan_of(
        root, Node("a", command=["true"], networks=[radio], placement=roof), Node("b", NodeApp("error"))
    )
    made = {service.role: service for service in all_services(plan, {"radio": ""}, "manager-1")}
    for role in ("agent:a", "gateway:radio"):
        assert made[role].spec["TaskTemplate"]["Placement"] == {
            "Constraints": ["node.labels.site==roof"],
            "Preferences": [{"Spread": {"SpreadDescriptor": "node.labels.rack"}}],
            "MaxReplicas": 2,
        }
    assert made["agent:b"].spec["TaskTemplate"]["Placement"] == {}


def limited(root: Path, *events: Any, **resources: Any) -> Plan:
    given = NodeResources(**resources) if resources else None
    topology = Topology([Node("a", command=["true"], networks=[FIELD], scale=2, resources=given)])
    timeline, _ = resolve(topology, Scenario(events=events))
    return make_plan(topology, timeline, stack="farm", root=root, on_this_machine=False)


@pytest.mark.parametrize(
    ("events", "resources"),
    [
        ([], {"device": "RASPBERRY_PI_4B", "device_cores": 2, "mem_limit": "2G"}),
        ([], {"target_cpu_speed": "1.2345GHz"}),
        ([at("1s").limit("a", cpu=0.2)], {"cpu_limit": 0.5}),
        ([during("1s", "2s").limit("a", memory="64M")], {}),
    ],
)
def test_limiters_are_there_where_limits_depend_on_the_machine_or_change(
    root: Path, events: list[Any], resources: dict[str, Any]
) -> None:
    """With what each node asks for; Swarm then limits no CPU, since Docker could not change that."""
    plan = limited(root, *events, **resources)
    found = services(plan)
    assert assignment(found["agent:a"])["has_limiter"]
    assert "NanoCPUs" not in found["agent:a"].spec["TaskTemplate"]["Resources"]["Limits"]
    nodes = assignment(found["limits"])["nodes"]
    asked = nodes["a"].pop("resources")
    assert nodes == {"a": {"service": "a", "replicas": ["a-1", "a-2"]}}
    assert (asked and NodeResources(**asked)) == plan.replicas[0].resources


def test_limiters_have_dockers_socket_and_nothing_else_is_given_to_them(root: Path, plan: Plan) -> None:
    assert "limits" not in services(plan)
    limiters = services(limited(root, device="RASPBERRY_PI_4B"))["limits"]
    container = limiters.spec["TaskTemplate"]["ContainerSpec"]
    assert limiters.spec["Mode"] == {"Global": {}}
    assert [network["Target"] for network in limiters.spec["TaskTemplate"]["Networks"]] == ["farm_control"]
    assert (container["CapabilityDrop"], container["CapabilityAdd"]) == (["ALL"], [])
    assert container["ReadOnly"]
    socket, ratings = container["Mounts"]
    assert (socket["Type"], socket["Source"]) == ("bind", "/var/run/docker.sock")
    assert (ratings["Type"], ratings["Source"]) == ("volume", "wotemu-calibration"), "no stack's: it lasts"
    assert "VolumeOptions" not in ratings


def test_dockers_socket_may_be_elsewhere(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WOTEMU_DOCKER_SOCKET", "/run/{{.Node.Hostname}}/docker.sock")
    limiters = services(limited(root, device="RASPBERRY_PI_4B"))["limits"]
    mounts = limiters.spec["TaskTemplate"]["ContainerSpec"]["Mounts"]
    assert mounts[0]["Source"] == "/run/{{.Node.Hostname}}/docker.sock"


def test_a_device_has_its_memory_from_the_start(root: Path) -> None:
    found = services(limited(root, device="RASPBERRY_PI_ZERO"))["agent:a"]
    assert found.spec["TaskTemplate"]["Resources"]["Limits"]["MemoryBytes"] == 512 * 1024**2


def test_a_service_has_no_agent_that_waits_for_limits(root: Path) -> None:
    """A device is refused there, and a clock rate is not enforced."""

    def made(resources: NodeResources) -> Plan:
        db = Service("db", "redis", networks=[FIELD], resources=resources)
        topology = Topology([Node("a", command=["true"], networks=[FIELD], services=[db])])
        timeline, _ = resolve(topology, Scenario())
        return make_plan(topology, timeline, stack="farm", root=root, on_this_machine=False)

    with pytest.raises(TopologyError, match="as fast as RASPBERRY_PI_4B") as raised:
        made(NodeResources.RASPBERRY_PI_4B)
    assert "wotemu calibrate --engine swarm" in str(raised.value.hint)
    speed, _ = unsupported(made(NodeResources(target_cpu_speed="1GHz")))
    assert speed.startswith("db: target_cpu_speed")


def test_docker_takes_no_limit_of_memory_below_its_least(root: Path) -> None:
    check_faults(limited(root, at("1s").limit("a", memory="6M")))
    with pytest.raises(HostError, match="Docker's least is 6MiB") as caught:
        check_faults(limited(root, at("1s").limit("a", memory="5M")))
    assert caught.value.where == "limit at 1 s"


@pytest.mark.parametrize(
    ("offered", "least", "spoken"),
    [
        ("1.41", "1.12", "v1.41"),
        ("1.50", "1.24", "v1.50"),
        ("1.54", "1.44", "v1.50"),
        ("1.60", "1.52", "v1.52"),
    ],
)
def test_the_api_that_both_know_is_spoken(offered: str, least: str, spoken: str) -> None:
    assert negotiated({"ApiVersion": offered, "MinAPIVersion": least}) == spoken


def test_a_daemon_that_will_not_do_says_why() -> None:
    with pytest.raises(HostError, match=r"API 1\.40 is too old") as caught:
        negotiated({"ApiVersion": "1.40", "MinAPIVersion": "1.12", "Version": "19.03.15"})
    assert "20.10" in str(caught.value.hint)
    swarm = {"ControlAvailable": True, "NodeID": "x"}
    rootless = ["name=seccomp,profile=default", "name=rootless", "name=cgroupns"]
    with pytest.raises(HostError, match="rootless"):
        check_daemon({"Name": "m", "SecurityOptions": rootless, "Swarm": swarm})
    with pytest.raises(HostError, match="no manager"):
        check_daemon({"Name": "m", "SecurityOptions": None, "Swarm": {"ControlAvailable": False}})
    assert check_daemon({"Name": "m", "SecurityOptions": rootless[:1], "Swarm": swarm}) == swarm


def test_more_members_than_a_subnet_has_addresses_are_refused_before_anything_is_made(root: Path) -> None:
    plan = plan_of(root, Node("a", command=["sleep", "9"], networks=[FIELD], scale=250))
    with pytest.raises(HostError, match=r"251 members .* has 250"):
        check_capacity(plan, prefix=24, machines=3)
    check_capacity(plan, prefix=22, machines=3)


def test_only_the_bus_is_asked_how_it_is(plan: Plan) -> None:
    """A check is a process every few seconds; the other roles tell the bus that they are ready."""
    for role, service in services(plan).items():
        check = service.spec["TaskTemplate"]["ContainerSpec"]["Healthcheck"]
        assert check == ({"Interval": 10**9} if role == "bus" else {"Test": ["NONE"]})


@pytest.mark.parametrize(
    ("api", "first_s", "later_s"), [("v1.41", 1, 1), ("v1.43", 1, 1), ("v1.44", 0.5, 30)]
)
def test_the_bus_is_checked_within_a_second_of_its_start(
    plan: Plan, api: str, first_s: float, later_s: float
) -> None:
    """The engine checks first after a start interval, if it has such, which is 5 s unless it is given."""
    made = all_services(plan, SUBNETS, "manager-1", has_start_interval=has_start_interval(api))
    (bus,) = [service for service in made if service.role == "bus"]
    check = bus.spec["TaskTemplate"]["ContainerSpec"]["Healthcheck"]
    assert check.get("StartInterval", check["Interval"]) == first_s * 10**9
    assert check["Interval"] == later_s * 10**9
    assert ("StartPeriod" in check) == ("StartInterval" in check) == (api == "v1.44")


@pytest.mark.parametrize("asked", ["auto", "tun", "netem"])
def test_gateways_are_told_the_shaper_and_auto_only_what_netem_can_do(root: Path, asked: str) -> None:
    tied = Network("tied", NetworkConditions(latency="20ms", jitter="2ms", jitter_correlation=0.5))
    for network, told in ((FIELD, asked), (tied, "tun" if asked == "auto" else asked)):
        plan = plan_of(root, Node("a", command=["sleep", "9"], networks=[network]))
        made = all_services(plan, {network.name: "10.0.7.0/24"}, "manager-1", shaper=asked)
        (gateway,) = [service for service in made if service.role.startswith("gateway:")]
        (orders,) = gateway.files.values()
        assert json.loads(orders.data)["data"]["shaper"] == told
