"""What will run where is worked out before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
from cryptography.x509 import DNSName, SubjectAlternativeName, load_pem_x509_certificate

from wotemu.errors import ScenarioError, TopologyError
from wotemu.scenario import Scenario, at, resolve
from wotemu.topology.models import (
    Broker,
    Network,
    Node,
    NodeApp,
    NodeResources,
    Placement,
    Service,
    Topology,
    Uplink,
)
from wotemu.topology.to_json import topology_to_json
from wotemu_runtime.app_process.broker_ca import CA_TEXT
from wotemu_runtime.app_process.scratch import IN_NAMESPACE
from wotemu_runtime.engines.local import addresses
from wotemu_runtime.engines.local.cgroups.limits import Machine, wanted_limits
from wotemu_runtime.engines.local.host_check import refusal
from wotemu_runtime.planning.broker_settings import take
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.planner import make_plan, unplaced
from wotemu_runtime.planning.uplink_programs import PROGRAMS, command_line

FIELD, CORE = Network("field"), Network("core")
CHECKS = "wotemu_runtime.planning.machine_checks"


def plan_of(*nodes: Node) -> Plan:
    topology = Topology(nodes)
    timeline, _ = resolve(topology, Scenario())
    return make_plan(topology, timeline, stack="test", root=Path("/"))


def command(name: str, *networks: Network, scale: int = 1) -> Node:
    return Node(name, command=["true"], networks=networks, scale=scale)


def test_each_member_of_a_network_has_an_address_of_its_own() -> None:
    places = addresses.assign(plan_of(command("a", FIELD, scale=3), command("b", FIELD, CORE)))
    field = [i.address for place in places.values() for i in place.interfaces if i.network == "field"]
    assert field == ["10.64.0.4", "10.64.0.5", "10.64.0.6", "10.64.0.8"]
    assert [(i.name, i.network) for i in places["b"].interfaces] == [("eth0", "field"), ("eth1", "core")]


def test_a_node_finds_the_replicas_that_share_a_network_with_it_and_no_others() -> None:
    plan = plan_of(command("a", FIELD, scale=2), command("b", FIELD), command("c", CORE))
    hosts = addresses.assign(plan)["b"].hosts.splitlines()
    assert "10.64.0.2 a-1 a a-1.field a.field" in hosts
    assert "10.64.0.3 a-2 a a-2.field a.field" in hosts
    assert not any(line.endswith("c.core") for line in hosts)


def test_a_service_without_a_command_says_what_this_engine_needs() -> None:
    service = Service("db", "postgres:16")
    node = Node("a", command=["true"], networks=[FIELD], services=[service])
    with pytest.raises(TopologyError, match="only an image") as caught:
        plan_of(node)
    assert caught.value.where == "Service 'db', field 'command'"
    assert "swarm" in (caught.value.hint or "")


def test_a_service_and_its_nodes_are_on_a_network_of_their_own() -> None:
    service = Service("db", command=["true"])
    plan = plan_of(Node("a", command=["true"], networks=[FIELD], services=[service]), command("b", FIELD))
    network = next(network for network in plan.networks if network.name == "service-db")
    assert network.members == ("a", "db")
    assert network.has_gateway


def test_a_service_on_a_network_needs_no_other() -> None:
    service = Service("db", command=["true"], networks=[FIELD])
    plan = plan_of(Node("a", command=["true"], networks=[FIELD], services=[service]))
    assert [(network.name, network.members) for network in plan.networks] == [("field", ("a", "db"))]
    assert {hop["node"] for hop in plan.networks[0].hops} == {None, "a", "db"}


def test_a_placement_is_told_where_there_is_one_machine() -> None:
    roof = Placement(constraints=["node.labels.site==roof"])
    plan = plan_of(
        Node("a", command=["true"], networks=[Network("radio", placement=roof)], placement=roof, scale=2),
        command("b", FIELD),
    )
    assert [text.partition(":")[0] for text in unplaced(plan)] == ["a", "the gateway of radio"]


def test_a_command_that_is_not_there_is_named() -> None:
    with pytest.raises(TopologyError, match="no-such-program") as caught:
        plan_of(Node("a", command=["no-such-program"], networks=[FIELD]))
    assert caught.value.where == "Node 'a', field 'command'"


def test_a_node_with_a_broker_knows_its_address() -> None:
    broker = Broker("mqtt", [FIELD])
    plan = plan_of(Node("a", NodeApp("sensor", mqtt=True), networks=[FIELD], broker=broker))
    app = plan.replica("a").app
    assert app is not None
    assert app.conf.broker_url == "mqtt://mqtt:1883"


def test_a_broker_with_tls_is_certified_for_each_of_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{CHECKS}.find_mosquitto", lambda: "/usr/sbin/mosquitto")
    broker = Broker("mqtt", [FIELD], tls=True, persistence="5s")
    app = NodeApp("sensor", mqtt=True)
    plan = plan_of(Node("a", app, networks=[FIELD], broker=broker), command("b", CORE))
    sensor = plan.replica("a")
    assert sensor.app is not None
    assert sensor.app.conf.broker_url == "mqtts://mqtt:1883"
    assert CA_TEXT in sensor.env and CA_TEXT not in plan.replica("b").env
    settings = take({**plan.replica("mqtt").env})
    certificate = load_pem_x509_certificate(settings.certificate.encode())
    names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    assert names.get_values_for_type(DNSName) == ["mqtt", "mqtt.field", "localhost"]
    assert (settings.store, settings.store_every_s) == (IN_NAMESPACE, 5)
    described = topology_to_json(plan.topology)["brokers"][0]
    assert (described["tls"], described["persistence_s"]) == (True, 5)


def test_what_amqtt_does_not_store_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{CHECKS}.find_mosquitto", lambda: None)
    broker = Broker("mqtt", [FIELD], persistence=True)
    with pytest.raises(TopologyError, match="no Mosquitto on this machine"):
        plan_of(Node("a", command=["true"], networks=[FIELD], broker=broker))


def test_no_environment_variable_is_in_a_representation() -> None:
    plan = plan_of(Node("a", command=["true"], networks=[FIELD], env={"TOKEN": "hunter2"}))
    assert "hunter2" not in repr(plan)
    assert "hunter2" not in str(topology_to_json(plan.topology))


def test_no_password_of_a_broker_is_in_a_representation() -> None:
    broker = Broker("mqtt", [FIELD], users={"field": "hunter2"})
    app = NodeApp("sensor", mqtt=True, credentials=("field", "hunter2"))
    plan = plan_of(Node("a", app, networks=[FIELD], broker=broker))
    described = topology_to_json(plan.topology)
    assert (described["brokers"][0]["users"], described["nodes"][0]["app"]["user"]) == (["field"], "field")
    assert "hunter2" not in repr(plan) + repr(plan.topology) + str(described)


def test_a_server_without_a_login_at_a_broker_with_users_is_refused() -> None:
    broker = Broker("mqtt", [FIELD], users={"field": "hunter2"})
    with pytest.raises(TopologyError, match="lets only its users in"):
        plan_of(Node("a", NodeApp("sensor", mqtt=True), networks=[FIELD], broker=broker))


@pytest.mark.parametrize("users", [["hunter2"], {"field": ""}, {"a:b": "c"}, {"field": 7}])
def test_users_that_are_none_are_refused_and_never_shown(users: Any) -> None:
    with pytest.raises(TopologyError) as caught:
        Broker("mqtt", [FIELD], users=users)
    assert (caught.value.field, "hunter2" in str(caught.value)) == ("users", False)


@pytest.mark.parametrize("login", ["hunter2", ("field",), ("field", "hunter 2"), ("a@b", "hunter2")])
def test_credentials_that_are_none_are_refused_and_never_shown(login: Any) -> None:
    with pytest.raises(TopologyError) as caught:
        NodeApp("sensor", credentials=login)
    assert (caught.value.field, "hunter" in str(caught.value)) == ("credentials", False)


MACHINE = Machine(cpu_speed_hz=4e9, cores=2, mem_bytes=4 << 30)


def test_a_target_cpu_speed_is_a_share_of_this_machines() -> None:
    limits, missing = wanted_limits(NodeResources(target_cpu_speed="1GHz"), MACHINE)
    assert limits.cpu == 0.25
    assert "may be wrong by half" in missing[0]


def test_what_no_control_group_can_keep_is_said() -> None:
    asked = NodeResources(target_cpu_speed="1GHz", mem_reservation="64M")
    limits, missing = wanted_limits(asked, attrs.evolve(MACHINE, cpu_speed_hz=None))
    assert not limits
    assert [text.split()[0] for text in missing] == ["target_cpu_speed", "mem_reservation"]


@pytest.mark.parametrize(
    ("step", "number", "hint"),
    [
        ("user namespace", 28, "max_user_namespaces"),
        ("user namespace", 1, "unprivileged_userns_clone"),
        ("network, mount and PID namespaces", 1, "root"),
        ("mount proc on /proc: Operation not permitted", 1, "--privileged"),
    ],
)
def test_a_kernel_that_refuses_is_told_apart_by_what_helps(step: str, number: int, hint: str) -> None:
    error = refusal(step, number)
    assert error.exit_code == 2
    assert hint in (error.hint or "")


def planned(*uplinks: Uplink, **options: Any) -> Plan:
    topology = Topology([command("a", CORE, FIELD), command("b", CORE)], uplinks=uplinks)
    timeline, _ = resolve(topology, Scenario())
    return make_plan(topology, timeline, stack="test", root=Path("/"), **options)


def test_nodes_of_an_uplink_s_networks_have_their_default_route_through_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wotemu_runtime.planning.planner.find_program", lambda: "/usr/bin/pasta")
    plan = planned(Uplink(networks=[FIELD]))
    places = addresses.assign(plan)
    assert [each.uplink for each in places["a"].interfaces] == ["", places["uplink"].interfaces[0].address]
    assert not places["b"].has_uplink
    assert [name for name, place in places.items() if place.leads_out] == ["uplink"]
    assert places["uplink"].unreachable == ("10.64.0.0/16",)
    assert " uplink " in places["a"].hosts
    assert "agent:uplink" in plan.roles


def test_an_uplink_is_refused_where_it_can_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wotemu_runtime.planning.planner.find_program", lambda: None)
    with pytest.raises(TopologyError, match="needs pasta or slirp4netns") as wrong:
        planned(Uplink(networks=[FIELD]))
    assert "apt install passt" in str(wrong.value.hint)
    with pytest.raises(TopologyError, match="on a swarm have no way out"):
        planned(Uplink(networks=[FIELD]), on_this_machine=False)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_way_out_leads_to_no_loopback_and_lets_nothing_in(program: str) -> None:
    words = command_line(f"/usr/bin/{program}")
    assert words[0] == f"/usr/bin/{program}"
    closed = {
        "pasta": ["--no-map-gw", "-t", "none", "-u", "none", "-T", "none", "-U", "none"],
        "slirp4netns": ["--disable-host-loopback"],
    }
    start = words.index(closed[program][0])
    assert words[start : start + len(closed[program])] == closed[program]


@pytest.mark.parametrize("verb", ["crash", "pause"])
def test_an_uplink_runs_nothing_that_could_fail(verb: str) -> None:
    topology = Topology([command("a", FIELD)], uplinks=[Uplink(networks=[FIELD])])
    with pytest.raises(ScenarioError, match="'uplink' is an uplink") as wrong:
        resolve(topology, Scenario(duration=10, events=[getattr(at(1), verb)("uplink")]))
    assert "cut" in str(wrong.value.hint)
