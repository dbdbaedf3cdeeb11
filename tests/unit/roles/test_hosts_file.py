"""Who finds whom by name, and how the load of a node's replicas is spread over them."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from wotemu.scenario import Scenario, resolve
from wotemu.topology.models import Network, Node, Topology
from wotemu_runtime.engines.local import addresses
from wotemu_runtime.engines.local.node_namespace import NodeNamespace
from wotemu_runtime.planning.planner import make_plan
from wotemu_runtime.roles.hosts_file import HostsEntry, hosts_text

FIELD, CORE = Network("field"), Network("core")


def namespaces_of(*nodes: Node) -> dict[str, NodeNamespace]:
    topology = Topology(nodes)
    timeline, _ = resolve(topology, Scenario())
    return addresses.assign(make_plan(topology, timeline, stack="test", root=Path("/")))


def node(name: str, *networks: Network, scale: int = 1) -> Node:
    return Node(name, command=["true"], networks=networks, scale=scale)


def found(hosts: str, name: str) -> list[str]:
    """The addresses of a name, in order."""
    entries = [line.split() for line in hosts.splitlines()]
    return [address for address, *names in entries if name in names]


@pytest.mark.parametrize(("replicas", "clients"), [(2, 8), (3, 7), (5, 100)])
def test_a_nodes_clients_begin_with_each_of_its_replicas_equally_often(replicas: int, clients: int) -> None:
    namespaces = namespaces_of(
        node("other", FIELD), node("client", FIELD, scale=clients), node("web", FIELD, scale=replicas)
    )
    first = Counter(found(namespaces[f"client-{i}"].hosts, "web")[0] for i in range(1, clients + 1))
    assert len(first) == replicas
    assert max(first.values()) - min(first.values()) <= 1


def test_every_client_knows_all_replicas_for_when_its_first_is_gone() -> None:
    namespaces = namespaces_of(node("client", FIELD), node("web", FIELD, scale=3))
    each = {namespaces[f"web-{i}"].interfaces[0].address for i in (1, 2, 3)}
    assert set(found(namespaces["client"].hosts, "web")) == each
    assert len(found(namespaces["client"].hosts, "web")) == 3


def test_replicas_are_equally_far_from_everybody_else() -> None:
    """Else getaddrinfo(3) puts those first whose addresses have the longest prefix in common with its own."""
    namespaces = namespaces_of(
        node("a", FIELD),
        node("web", FIELD, scale=5),
        node("b", FIELD, scale=2),
        node("db", FIELD, scale=3),
        node("c", FIELD),
    )
    ours = {name: int(IPv4Address(namespace.interfaces[0].address)) for name, namespace in namespaces.items()}
    assert len(set(ours.values())) == len(ours)
    for group in ("web", "b", "db"):
        inside = {name for name in ours if name.startswith(f"{group}-")}
        for other in set(ours) - inside:
            assert len({(ours[other] ^ ours[name]).bit_length() for name in inside}) == 1


def test_interfaces_come_in_the_order_in_which_the_node_names_its_networks() -> None:
    namespaces = namespaces_of(node("x", CORE), node("a", FIELD, CORE))
    assert [(i.name, i.network, i.is_first) for i in namespaces["a"].interfaces] == [
        ("eth0", "field", True),
        ("eth1", "core", False),
    ]
    assert found(namespaces["x"].hosts, "a") == [namespaces["a"].interfaces[1].address]


def test_under_an_engine_that_hands_out_addresses_the_order_is_that_of_the_plan() -> None:
    arrived = [("web-2", "10.0.1.9"), ("web-1", "10.0.1.4"), ("c", "10.0.1.7"), ("d", "10.0.1.8")]
    entries = [HostsEntry(name, "field", address) for name, address in arrived]
    nodes = {"c": "c", "d": "d", "web-1": "web", "web-2": "web"}
    assert found(hosts_text(entries, nodes, "c"), "web") == ["10.0.1.4", "10.0.1.9"]
    assert found(hosts_text(entries, nodes, "d"), "web") == ["10.0.1.9", "10.0.1.4"]
