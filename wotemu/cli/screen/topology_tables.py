"""The topology and each hop's conditions at T0, as tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wotemu.cli.screen.tables import add_row, columns
from wotemu.scenario.state import base_conditions
from wotemu.scenario.timeline import DIRECTIONS
from wotemu.topology.members import Member
from wotemu.topology.network import Network
from wotemu.topology.node import Node
from wotemu.topology.resources import NodeResources
from wotemu.topology.service import Broker, Service
from wotemu.topology.topology import Topology
from wotemu.wording import counted
from wotemu_gateways.conditions.hop_conditions import described_hop

if TYPE_CHECKING:
    from rich.table import Table

MAX_NAMES = 6
"""More nodes than this in one cell are only counted."""
MAX_COMMAND = 60


def members_table(topology: Topology) -> Table:
    """A row for each node, broker, service and uplink: what it runs, and with what."""
    table = columns("node", "runs", "with")
    for node in topology.nodes:
        add_row(table, _counted(node), _program(node), "; ".join(_extras(node)))
    for broker in topology.brokers:
        add_row(table, broker.name, "an MQTT broker", ", ".join(_settings(broker)))
    for service in topology.services:
        add_row(table, service.name, _service(service), _resources(service.resources))
    for uplink in topology.uplinks:
        networks = ", ".join(link.network.name for link in uplink.links)
        add_row(table, uplink.name, f"the way out of {networks} to this machine's network", "")
    return table


def hops_table(topology: Topology) -> Table:
    """Conditions at T0: a row for each network and set of nodes whose hops have the same ones."""
    table = columns("network", "nodes", "up, at T0", "down, at T0")
    for network in topology.networks:
        first = network.name
        for nodes, up, down in _hops(topology, network):
            add_row(table, first, nodes, up, down)
            first = ""
    return table


def _hops(topology: Topology, network: Network) -> Iterator[tuple[str, str, str]]:
    conditions = base_conditions(topology)
    if network.shared:
        limits = str(conditions[network.name, None, "down"])
        yield "all together", limits, "(the same)"
    alike: dict[tuple[str, str], list[str]] = {}
    for owner in topology.members:
        if network.name not in (link.network.name for link in owner.links):
            continue
        up, down = (
            str(described_hop(conditions, (network.name, owner.name, way), shared=network.shared))
            for way in DIRECTIONS
        )
        alike.setdefault((up, down), []).append(_counted(owner))
    for (up, down), nodes in alike.items():
        more = f" and {len(nodes) - MAX_NAMES} more" if len(nodes) > MAX_NAMES else ""
        yield ", ".join(nodes[:MAX_NAMES]) + more, up, down


def _settings(broker: Broker) -> Iterator[str]:
    """What is special about a broker."""
    if broker.users:
        yield counted(len(broker.users), "user")
    if broker.tls:
        yield "TLS"
    if broker.persistence:
        yield f"stored every {broker.persistence}"


def _counted(owner: Member) -> str:
    return f"{owner.name} x{owner.scale}" if isinstance(owner, Node) and owner.scale > 1 else owner.name


def _program(node: Node) -> str:
    if node.app is None:
        return _shortened(shlex.join(node.command or ()))
    servers = [name for name in ("http", "ws", "mqtt", "coap") if getattr(node.app, name)]
    return f"{node.app.target} ({', '.join(servers)})" if servers else node.app.target


def _service(service: Service) -> str:
    image = [f"image {service.image}"] if service.image else []
    command = [_shortened(shlex.join(service.command))] if service.command else []
    return ", ".join(image + command)


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_COMMAND else f"{text[: MAX_COMMAND - 1]}…"


def _extras(node: Node) -> Iterator[str]:
    if node.broker is not None:
        yield f"broker {node.broker.name}"
    if node.services:
        yield f"services {', '.join(service.name for service in node.services)}"
    if resources := _resources(node.resources):
        yield resources
    if node.image:
        yield f"image {node.image}"


def _resources(resources: NodeResources | None) -> str:
    if resources is None:
        return ""
    device = resources.device
    cores = resources.device_cores or 1
    given = {
        "as fast as": device and (f"{cores} cores of {device.title}" if cores > 1 else device.title),
        "cpu limit": resources.cpu_limit,
        "cpu reserved": resources.cpu_reservation,
        "cpu speed": resources.target_cpu_speed,
        "memory limit": resources.memory_limit,
        "processes": resources.pids_limit,
        "memory reserved": resources.mem_reservation,
    }
    return ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)
