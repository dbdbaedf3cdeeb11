"""A topology as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from wotemu.topology.network import Link
from wotemu.topology.node import Node
from wotemu.topology.node_app import NodeApp
from wotemu.topology.placement import Placement
from wotemu.topology.service import Service
from wotemu.topology.topology import Topology
from wotemu.topology.uplink import Uplink


def topology_to_json(topology: Topology) -> dict[str, Any]:
    """The topology without environment variables and passwords."""
    return {
        "nodes": [_node_dict(node) for node in topology.nodes],
        "networks": [
            {
                "name": network.name,
                "conditions": network.conditions.to_dict(),
                "shared": network.shared,
                **({} if network.mtu is None else {"mtu": network.mtu}),
                **_placement_dict(network.placement),
            }
            for network in topology.networks
        ],
        "brokers": [
            {
                "name": broker.name,
                "networks": _link_dicts(broker.links),
                **({"users": sorted(broker.users)} if broker.users else {}),
                **({"tls": True} if broker.tls else {}),
                **({"persistence_s": int(broker.persistence)} if broker.persistence else {}),
                **_placement_dict(broker.placement),
            }
            for broker in topology.brokers
        ],
        "services": [_service_dict(service) for service in topology.services],
        **({"uplinks": [_uplink_dict(uplink) for uplink in topology.uplinks]} if topology.uplinks else {}),
        "ports": attrs.asdict(topology.ports),
    }


def _uplink_dict(uplink: Uplink) -> dict[str, Any]:
    return {"name": uplink.name, "networks": _link_dicts(uplink.links)}


def _link_dicts(links: Iterable[Link]) -> list[dict[str, Any]]:
    return [
        {"network": link.network.name, "up": link.up.to_dict(), "down": link.down.to_dict()} for link in links
    ]


def _placement_dict(placement: Placement) -> dict[str, Any]:
    """A placement; nothing where it has no rules."""
    return {"placement": attrs.asdict(placement)} if placement else {}


def _service_dict(service: Service) -> dict[str, Any]:
    return {
        "name": service.name,
        "image": service.image,
        "command": None if service.command is None else list(service.command),
        "networks": _link_dicts(service.links),
        "resources": None if service.resources is None else attrs.asdict(service.resources),
        **_placement_dict(service.placement),
    }


def _app_dict(app: NodeApp) -> dict[str, Any]:
    """The app without its password."""
    fields = {**attrs.asdict(app), "path": app.target}
    credentials = fields.pop("credentials")
    return fields if credentials is None else {**fields, "user": credentials[0]}


def _node_dict(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "scale": node.scale,
        "app": None if node.app is None else _app_dict(node.app),
        "command": None if node.command is None else list(node.command),
        "networks": _link_dicts(node.links),
        "broker": None if node.broker is None else node.broker.name,
        **({} if node.broker_network is None else {"broker_network": node.broker_network.name}),
        "services": [service.name for service in node.services],
        "resources": None if node.resources is None else attrs.asdict(node.resources),
        "image": node.image,
        **({"publish": {str(port): target for port, target in node.publish.items()}} if node.publish else {}),
        **_placement_dict(node.placement),
    }
