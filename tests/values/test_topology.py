"""A topology that can't be is refused before anything starts, by the name of the object and the field."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.errors import TopologyError
from wotemu.topology.models import (
    Broker,
    BuiltinApps,
    Link,
    Network,
    NetworkConditions,
    Node,
    NodeApp,
    NodeResources,
    Placement,
    Ports,
    Service,
    Topology,
    Uplink,
)
from wotemu.topology.to_json import topology_to_json

FIELD = Network("field")
OTHER = Network("other")
SLEEP = ["sleep", "1"]


def node(name: str = "reader", **fields: Any) -> Node:
    given: dict[str, Any] = {"command": SLEEP, "networks": [FIELD]} | fields
    return Node(name, **given)


WRONG: list[tuple[Callable[[], Any], str, str]] = [
    (lambda: Network(""), "Network '', field 'name'", "is not a name"),
    (lambda: Network(7), "Network, field 'name'", "is not a name"),  # type: ignore[arg-type]
    (lambda: Network("a b"), "Network 'a b', field 'name'", "can't be a host name"),
    (lambda: Network("-a"), "Network '-a', field 'name'", "can't be a host name"),
    (lambda: Network("x" * 49), f"Network '{'x' * 49}', field 'name'", "longer than 48"),
    (lambda: node("localhost"), "Node 'localhost', field 'name'", "stands for the node itself"),
    (lambda: node("IP6-loopback"), "Node 'IP6-loopback', field 'name'", "stands for the node itself"),
    (lambda: node("ip6-allnodes"), "Node 'ip6-allnodes', field 'name'", "or its network in /etc/hosts"),
    (lambda: Service("broadcasthost", "x"), "Service 'broadcasthost', field 'name'", "/etc/hosts"),
    (lambda: node("2"), "Node '2', field 'name'", "'2' is read as an IPv4 address"),
    (lambda: node("010"), "Node '010', field 'name'", "read as an IPv4 address"),
    (lambda: Broker("0x7f000001", [FIELD]), "Broker '0x7f000001', field 'name'", "read as an IPv4 address"),
    (lambda: Service("0X7F", "x"), "Service '0X7F', field 'name'", "read as an IPv4 address"),
    (lambda: Network("a", conditions="LTE"), "Network 'a', field 'conditions'", "is not NetworkConditions"),  # type: ignore[arg-type]
    (lambda: Network("a", shared=1), "Network 'a', field 'shared'", "neither True nor False"),  # type: ignore[arg-type]
    (lambda: Network("a", latency="20ms"), "Network 'a', field 'latency'", "no such field"),  # type: ignore[call-arg]
    (lambda: Network(), "Network, field 'name'", "it is missing"),  # type: ignore[call-arg]
    (lambda: Network("a", name="b"), "Network 'b', field 'name'", "it is given twice"),  # type: ignore[misc]
    (lambda: Node("a", None, FIELD), "Node 'a'", "needs a name"),  # type: ignore[arg-type,call-arg]
    (lambda: Node(comand=["x"], name="a"), "Node 'a', field 'comand'", "no such field"),  # type: ignore[call-arg]
    (lambda: Ports(htp=80), "Ports, field 'htp'", "no such field"),  # type: ignore[call-arg]
    (lambda: Topology([node()], redis=5), "Topology, field 'redis'", "not a non-empty string"),  # type: ignore[arg-type]
    (lambda: Topology([node()], docker_proxy="maybe"), "Topology, field 'docker_proxy'", "neither True"),  # type: ignore[arg-type]
    (
        lambda: NodeResources(cpu_limit="1e300"),
        "NodeResources, field 'cpu_limit'",
        "not a number of CPU cores",
    ),
    (lambda: NodeResources(mem_limit="2e9G"), "NodeResources, field 'mem_limit'", "is more than"),
    (lambda: NodeResources(mem_limit=64_000_000), "NodeResources, field 'mem_limit'", "has no unit"),
    (lambda: Link("field"), "Link, field 'network'", "is not a Network"),  # type: ignore[arg-type]
    (lambda: Link(FIELD, up=0.3), "Link, field 'up'", "is not NetworkConditions"),  # type: ignore[arg-type]
    (lambda: NodeApp(""), "NodeApp, field 'path'", "not a non-empty string"),
    (lambda: NodeApp("reader", params={"x": {1}}), "NodeApp, field \"params['x']\"", "can't travel"),
    (lambda: NodeApp("reader", params=[1]), "NodeApp, field 'params'", "not a dict"),  # type: ignore[arg-type]
    (lambda: NodeApp("reader", wotpy_fixes=["no"]), "NodeApp, field 'wotpy_fixes'", "no known fix"),
    (lambda: NodeApp("reader", http="yes"), "NodeApp, field 'http'", "neither True nor False"),  # type: ignore[arg-type]
    (lambda: NodeResources(cpu_limit=0), "NodeResources, field 'cpu_limit'", "not a number of CPU cores"),
    (lambda: NodeResources(mem_limit="lots"), "NodeResources, field 'mem_limit'", "is not a size"),
    (lambda: NodeResources(mem_limit="1K"), "NodeResources, field 'mem_limit'", "too little"),
    (
        lambda: NodeResources(cpu_limit=1, target_cpu_speed="1GHz"),
        "NodeResources, field 'target_cpu_speed'",
        "exclude each other",
    ),
    (
        lambda: NodeResources(target_cpu_speed=200),
        "NodeResources, field 'target_cpu_speed'",
        "events a second of sysbench",
    ),
    (
        lambda: NodeResources(target_cpu_speed="200"),
        "NodeResources, field 'target_cpu_speed'",
        "cpu_limit=0.25",
    ),
    (lambda: NodeResources(device="PI_9"), "NodeResources, field 'device'", "is no device"),
    (
        lambda: NodeResources(device="JETSON_NANO", cpu_limit=1),
        "NodeResources, field 'device'",
        "exclude each other",
    ),
    (
        lambda: NodeResources(device="JETSON_NANO", device_cores=5),
        "NodeResources, field 'device_cores'",
        "not a number of cores of Jetson Nano",
    ),
    (lambda: NodeResources(device_cores=2), "NodeResources, field 'device_cores'", "without a device"),
    (
        lambda: NodeResources(cpu_limit=1, cpu_reservation=2),
        "NodeResources, field 'cpu_reservation'",
        "more than cpu_limit",
    ),
    (lambda: NodeResources(pids_limit=3), "NodeResources, field 'pids_limit'", "3 is no number"),
    (lambda: NodeResources(pids_limit=True), "NodeResources, field 'pids_limit'", "True is no number"),
    (lambda: Broker("b", ()), "Broker 'b', field 'networks'", "no node can reach it"),
    (lambda: Broker("b", [FIELD], tls=1), "Broker 'b', field 'tls'", "neither True nor False"),  # type: ignore[arg-type]
    (lambda: Broker("b", [FIELD], persistence="1.5s"), "Broker 'b', field 'persistence'", "no whole number"),
    (lambda: Broker("b", [FIELD], persistence=0), "Broker 'b', field 'persistence'", "no whole number"),
    (lambda: Service("s"), "Service 's', field 'image'", "an image or a command"),
    (lambda: Service("s", command=[]), "Service 's', field 'command'", "is empty"),
    (lambda: Service("s", " "), "Service 's', field 'image'", "not a non-empty string"),
    (
        lambda: node(services=[Service("db", "redis", networks=[OTHER])]),
        "Node 'reader', field 'services'",
        "shares no network with Service 'db'",
    ),
    (lambda: node("wotemu-bus"), "Node 'wotemu-bus', field 'name'", "WoTemu's own"),
    (lambda: node(placement="roof"), "Node 'reader', field 'placement'", "not a Placement"),
    (lambda: Network("a", placement=None), "Network 'a', field 'placement'", "not a Placement"),  # type: ignore[arg-type]
    (lambda: Placement(constraints="roof"), "Placement, field 'constraints'", "'roof' is no constraint"),
    (lambda: Placement(constraints=["node.label.a==b"]), "Placement, field 'constraints'", "no constraint"),
    (lambda: Placement(constraints=["node.role==boss"]), "Placement, field 'constraints'", "a role is"),
    (lambda: Placement(constraints=[1]), "Placement, field 'constraints'", "not text"),  # type: ignore[list-item]
    (lambda: Placement(preferences=["node.hostname"]), "Placement, field 'preferences'", "no preference"),
    (lambda: Placement(max_per_machine=0), "Placement, field 'max_per_machine'", "at least 1"),
    (lambda: node(command=None), "Node 'reader', field 'app'", "either an app or a command"),
    (lambda: node(app=NodeApp("reader")), "Node 'reader', field 'app'", "either an app or a command"),
    (lambda: node(command="sleep 1"), "Node 'reader', field 'command'", "is no list"),
    (lambda: node(networks="field"), "Node 'reader', field 'networks'", "is no list"),
    (lambda: node(networks=["field"]), "Node 'reader', field 'networks'", "not a Network or a Link"),
    (lambda: node(networks=[FIELD, Link(FIELD)]), "Node 'reader', field 'networks'", "2 times"),
    (lambda: node(scale=0), "Node 'reader', field 'scale'", "at least 1"),
    (lambda: node(env={"A": 1}), "Node 'reader', field 'env'", "strings to strings"),
    (lambda: node(broker=Broker("b", [OTHER])), "Node 'reader', field 'broker'", "shares no network"),
    (lambda: node(resources="2 cores"), "Node 'reader', field 'resources'", "NodeResources"),
    (
        lambda: node(command=None, app=NodeApp("sensor", mqtt=True)),
        "Node 'reader', field 'broker'",
        "names no broker",
    ),
    (lambda: Ports(http=0), "Ports, field 'http'", "is not a port"),
    (lambda: Ports(http=80, ws=80), "Ports, field 'http'", "taken twice"),
    (lambda: Ports(coap=61999), "Ports, field 'coap'", "own probes"),
    (lambda: Topology([]), "Topology, field 'nodes'", "there is none"),
    (lambda: Topology(node()), "Topology, field 'nodes'", "is no list"),  # type: ignore[arg-type]
    (lambda: Topology([node()], ports=80), "Topology, field 'ports'", "is not Ports"),  # type: ignore[arg-type]
    (lambda: Topology([node(), node()]), "Node 'reader', field 'name'", "two nodes have this name"),
    (
        lambda: Topology([node(), node("b", networks=[Network("field", shared=True)])]),
        "Network 'field', field 'name'",
        "two different objects",
    ),
    (
        lambda: Topology([node(scale=2), node("reader-1")]),
        "Node 'reader-1', field 'name'",
        "already belongs to Node 'reader'",
    ),
    (
        lambda: Topology([node(services=[Service("reader", "redis")])]),
        "Service 'reader', field 'name'",
        "already belongs to Node 'reader'",
    ),
    (
        lambda: Topology([node(networks=[Network("service-db")], services=[Service("db", "redis")])]),
        "Network 'service-db', field 'name'",
        "the direct way to Service 'db'",
    ),
]


@given(st.text("0123456789abcdefxX", min_size=1, max_size=12))
def test_no_host_name_is_what_resolvers_read_as_an_address(name: str) -> None:
    try:
        socket.inet_aton(name)
    except OSError:
        return
    with pytest.raises(TopologyError, match="read as an IPv4 address"):
        node(name)


def test_conditions_in_the_wrong_place_are_told_where_they_go() -> None:
    with pytest.raises(TopologyError, match="no such field") as caught:
        Network("a", latency="20ms")  # type: ignore[call-arg]
    assert caught.value.hint == "write conditions=NetworkConditions(latency=...)"
    with pytest.raises(TopologyError, match="no such field") as caught:
        Link(FIELD, rate="1mbit")  # type: ignore[call-arg]
    assert caught.value.hint == "write NetworkConditions(rate=...), or up=NetworkConditions(rate=...)"


def test_a_link_takes_conditions_for_both_ways_or_for_one() -> None:
    lte, wifi = NetworkConditions.LTE, NetworkConditions.WIFI
    both = Link(FIELD, lte)
    assert (both.up, both.down) == (lte, lte)
    assert both == Link(FIELD, up=lte, down=lte)
    one = Link(FIELD, lte, up=wifi)
    assert (one.up, one.down) == (wifi, lte)
    only = Link(FIELD, down=wifi)
    assert (only.up, only.down) == (NetworkConditions(), wifi)
    with pytest.raises(TopologyError, match="no such field") as caught:
        Network("a", condition=NetworkConditions.LTE)  # type: ignore[call-arg]
    assert str(caught.value.hint).startswith("did you mean 'conditions'?")


def test_a_network_s_name_is_no_host_name() -> None:
    assert Network("2").name == "2"


@pytest.mark.parametrize(("make", "where", "message"), WRONG)
def test_what_can_t_be_names_the_object_and_the_field(
    make: Callable[[], Any], where: str, message: str
) -> None:
    with pytest.raises(TopologyError, match=message) as caught:
        make()
    assert caught.value.where == where


def test_networks_may_be_one_network_several_or_links() -> None:
    link = Link(OTHER, up=NetworkConditions.LTE)
    assert node(networks=FIELD).links == (Link(FIELD),)
    assert node(networks=[FIELD, link]).links == (Link(FIELD), link)


def test_replicas_are_numbered_where_there_are_several() -> None:
    assert node().replicas == ("reader",)
    assert node(scale=3).replicas == ("reader-1", "reader-2", "reader-3")


def test_a_topology_collects_what_its_nodes_name() -> None:
    broker = Broker("mosquitto", [FIELD, OTHER])
    database = Service("db", "redis")
    sensor = Node("sensor", NodeApp(BuiltinApps.SENSOR, mqtt=True), networks=FIELD, broker=broker)
    topology = Topology([sensor, node(services=[database])])
    assert topology.networks == (FIELD, OTHER)
    assert topology.brokers == (broker,)
    assert topology.services == (database,)
    assert topology.members == (*topology.nodes, broker)


def test_a_placement_is_kept_as_swarm_reads_it() -> None:
    placement = Placement(
        constraints=["node.labels.site == roof", "node.platform.arch!=aarch64"],
        preferences="node.labels.rack",
    )
    assert placement.constraints == ("node.labels.site==roof", "node.platform.arch!=aarch64")
    assert placement.preferences == ("spread=node.labels.rack",)
    assert placement.spread_over == ("node.labels.rack",)
    assert placement
    assert not Placement()


def test_a_service_on_a_network_is_one_of_its_members() -> None:
    shaped = Service("db", "redis", networks=[Link(FIELD, up=NetworkConditions.LTE)])
    topology = Topology([node(services=[shaped, Service("log", "fluentd")])])
    assert topology.members == (*topology.nodes, shaped)
    assert [each["networks"] for each in topology_to_json(topology)["services"]][1] == []


def test_a_topology_is_json_without_environment_variables() -> None:
    secret = node(env={"TOKEN": "s3cret"}, resources=NodeResources(mem_limit="64M"))
    text = json.dumps(topology_to_json(Topology([secret])))
    assert "s3cret" not in text
    assert json.loads(text)["nodes"][0]["resources"]["mem_limit"] == 64 * 1024**2


def test_apps_with_the_same_values_are_equal_and_hash_alike() -> None:
    first, second = (NodeApp("reader", params={"every": [1, 2]}) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)


def test_ports_are_published_by_nodes_of_one_replica_and_each_once() -> None:
    assert Node("gui", command=["true"], publish={"8080": 80}).publish == {8080: 80}  # type: ignore[dict-item]
    for wrong in ({0: 80}, {8080: "80"}, {8080: 70000}, {True: 80}, [8080]):
        with pytest.raises(TopologyError, match="Node 'gui', field 'publish'"):
            Node("gui", command=["true"], publish=wrong)  # type: ignore[arg-type]
    with pytest.raises(TopologyError, match="can't lead to 2 replicas"):
        Node("gui", command=["true"], publish={8080: 80}, scale=2)
    nodes = [Node(name, command=["true"], publish={8080: 80}) for name in ("gui", "api")]
    with pytest.raises(TopologyError, match="leads to Node 'gui' already"):
        Topology(nodes)


@pytest.mark.parametrize("mtu", [67, 1501, 1280.0, "1280", True])
def test_an_mtu_is_one_that_ipv4_and_ethernet_allow(mtu: Any) -> None:
    with pytest.raises(TopologyError, match="Network 'field', field 'mtu'"):
        Network("field", mtu=mtu)
    assert Network("field", mtu=68).mtu == 68


def test_an_uplink_is_on_networks_of_nodes_and_the_only_one_there() -> None:
    field, core = Network("field"), Network("core")
    nodes = [Node("a", command=["true"], networks=[field])]
    uplink = Uplink(networks=[field])
    assert Topology(nodes, uplinks=[uplink]).members == (*nodes, uplink)
    with pytest.raises(TopologyError, match="Uplink 'uplink', field 'networks': it is on no network"):
        Uplink(networks=[])
    with pytest.raises(TopologyError, match="no node is on Network 'core'"):
        Topology(nodes, uplinks=[Uplink(networks=[core])])
    with pytest.raises(TopologyError, match="Uplink 'uplink' leads out of Network 'field' already"):
        Topology(nodes, uplinks=[uplink, Uplink("modem", networks=[field])])
    with pytest.raises(TopologyError, match="two uplinks have this name"):
        Topology(nodes, uplinks=[uplink, uplink])
    with pytest.raises(TopologyError, match="already belongs to Node 'a'"):
        Topology(nodes, uplinks=[Uplink("a", networks=[field])])
    assert "uplinks" not in topology_to_json(Topology(nodes))
