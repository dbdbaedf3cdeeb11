"""A topology as JSON holds it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from wotemu.topology.models import Link, Node, Topology


def topology_dict(topology: Topology) -> dict[str, Any]:
    """All of it but environment variables, which may be secrets."""
    return {
        "nodes": [_node_dict(node) for node in topology.nodes],
        "networks": [
            {"name": network.name, "conditions": network.conditions.to_dict(), "shared": network.shared}
            for network in topology.networks
        ],
        "brokers": [
            {"name": broker.name, "networks": _link_dicts(broker.links)} for broker in topology.brokers
        ],
        "services": [
            {"name": s.name, "image": s.image, "command": list(s.command) if s.command else None}
            for s in topology.services
        ],
        "ports": attrs.asdict(topology.ports),
    }


def _link_dicts(links: Iterable[Link]) -> list[dict[str, Any]]:
    return [
        {"network": link.network.name, "up": link.up.to_dict(), "down": link.down.to_dict()} for link in links
    ]


def _node_dict(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "scale": node.scale,
        "app": None if node.app is None else attrs.asdict(node.app),
        "command": None if node.command is None else list(node.command),
        "networks": _link_dicts(node.links),
        "broker": None if node.broker is None else node.broker.name,
        "services": [service.name for service in node.services],
        "resources": None if node.resources is None else attrs.asdict(node.resources),
        "image": node.image,
    }
