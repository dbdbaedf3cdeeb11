"""The request that has the zygote start every role: their namespaces, programs and assignments. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import attrs

from wotemu.topology.network import MAX_MTU
from wotemu_runtime.app_process.preload import WOT_IMPORTS
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.engines.local import addresses
from wotemu_runtime.engines.local.cgroups.replica_groups import LimitedReplica
from wotemu_runtime.engines.local.node_namespace import NodeNamespace
from wotemu_runtime.planning.agent_data import agent_data
from wotemu_runtime.planning.clock_skew import skewed_replicas
from wotemu_runtime.planning.models import CAPTURE_ROLE, PUBLISH_ROLE, Capture, Plan, PlannedNetwork, Replica
from wotemu_runtime.planning.probe_schedule import rounds_of
from wotemu_runtime.roles.assignment import Assignment

APP_UID = 1000
"""The user that an app is where root started the emulation: some programs refuse to run as root."""


def preload_request(plan: Plan) -> dict[str, Any]:
    """The zygote's ``preload`` request: WoT apps start from an interpreter that has their library."""
    wot = any(replica.app is not None for replica in plan.replicas)
    return {"op": "preload", "modules": [*WOT_IMPORTS] if wot else []}


def deploy_request(
    plan: Plan,
    namespaces: Mapping[str, NodeNamespace],
    groups: Mapping[str, LimitedReplica],
    bus: BusAddress,
    *,
    shaper: str,
    file_limit: int,
    nproc_limits: Mapping[str, int],
) -> dict[str, Any]:
    """The zygote's ``deploy`` request.

    Args:
        plan: The nodes and networks.
        namespaces: Each replica's namespaces, by its name.
        groups: The control groups of the replicas that have limits.
        bus: The bus's address as it is inside of the sandbox.
        shaper: ``tun`` or ``netem``.
        file_limit: How many files an app may open.
        nproc_limits: Processes and threads by replica, where RLIMIT_NPROC limits them.
    """
    skewed = skewed_replicas(plan)
    return {
        "op": "deploy",
        "file_limit": file_limit,
        "networks": [
            {"name": network.name, "assignment": _gateway_assignment(plan, network, namespaces, bus, shaper)}
            for network in plan.networks
        ],
        "replicas": [
            _replica_request(
                plan,
                replica,
                attrs.evolve(namespaces[replica.name], has_taps=shaper == "tun"),
                groups.get(replica.name, LimitedReplica()),
                bus,
                nproc_limits.get(replica.name),
                skews_clock=replica.name in skewed,
            )
            for replica in plan.replicas
            if replica.kind != "uplink"
        ],
        "uplinks": [
            _uplink_request(plan, replica, namespaces[replica.name], bus)
            for replica in plan.replicas
            if replica.kind == "uplink"
        ],
        "capture": None
        if plan.capture_by_role is None
        else _capture_assignment(plan, plan.capture_by_role, namespaces, bus),
        "publish": _publish_assignment(plan, namespaces, bus) if PUBLISH_ROLE in plan.roles else None,
    }


def _publish_assignment(
    plan: Plan, namespaces: Mapping[str, NodeNamespace], bus: BusAddress
) -> dict[str, Any]:
    """The assignment of the role that forwards ports; the zygote adds each node's first process."""
    ports = [
        {
            "port": port,
            "replica": replica,
            "target": target,
            "addresses": [each.address for each in namespaces[replica].interfaces],
        }
        for port, replica, target in plan.published
    ]
    return Assignment(name=PUBLISH_ROLE, stack=plan.stack, bus=bus, data={"ports": ports}).to_dict()


def _capture_assignment(
    plan: Plan, capture: Capture, namespaces: Mapping[str, NodeNamespace], bus: BusAddress
) -> dict[str, Any]:
    """The capture role's assignment; the zygote adds each node's first process."""
    nodes = [
        {"replica": name, "interfaces": {each.name: each.network for each in namespaces[name].interfaces}}
        for name in capture.replicas
    ]
    data = {"max_bytes": capture.max_bytes, "nodes": nodes}
    return Assignment(name=CAPTURE_ROLE, stack=plan.stack, bus=bus, data=data).to_dict()


def _gateway_assignment(
    plan: Plan,
    network: PlannedNetwork,
    namespaces: Mapping[str, NodeNamespace],
    bus: BusAddress,
    shaper: str,
) -> dict[str, Any]:
    nodes = {replica.name: replica.node for replica in plan.replicas}
    interfaces = {
        member: next(i for i in namespaces[member].interfaces if i.network == network.name)
        for member in network.members
    }
    data = {
        "network": network.name,
        "shared": network.shared,
        "hops": list(network.hops),
        "members": [
            {
                "replica": name,
                "node": nodes[name],
                "address": i.address,
                "mac": i.mac,
                "interface": i.name,
                "is_first": i.is_first,
            }
            for name, i in interfaces.items()
        ],
        "ports": attrs.asdict(plan.topology.ports),
        "seed": plan.seed,
        "shaper": shaper,
        "gateway": addresses.gateway_of(plan, network.name),
        "prefix": addresses.PREFIX,
        "mtu": MAX_MTU if network.mtu is None else network.mtu,
    }
    return Assignment(name=f"gateway:{network.name}", stack=plan.stack, bus=bus, data=data).to_dict()


def _uplink_request(
    plan: Plan, replica: Replica, namespace: NodeNamespace, bus: BusAddress
) -> dict[str, Any]:
    data = {
        "replica": replica.name,
        "networks": list(replica.networks),
        "program": replica.command[0],
        "probes": rounds_of(plan, [replica.name]),
    }
    assignment = Assignment(name=f"agent:{replica.name}", stack=plan.stack, bus=bus, data=data)
    return {"namespace": namespace.to_dict(), "assignment": assignment.to_dict()}


def _replica_request(
    plan: Plan,
    replica: Replica,
    namespace: NodeNamespace,
    group: LimitedReplica,
    bus: BusAddress,
    nproc_limit: int | None,
    *,
    skews_clock: bool,
) -> dict[str, Any]:
    directories = list(group.directories)
    data = {
        **agent_data(plan, replica),
        "replica": replica.name,
        "cgroups": directories,
        "cpu_limit": group.limits.cpu,
        "mem_limit_bytes": group.limits.mem_bytes,
        "pids_limit": group.limits.pids or nproc_limit,
        "probes": rounds_of(plan, [replica.name]),
        "interfaces": {each.name: each.network for each in namespace.interfaces},
    }
    return {
        "namespace": namespace.to_dict(),
        "program": {
            "app": None if replica.app is None else replica.app.to_dict(),
            "command": list(replica.command),
            "env": dict(replica.env),
            "cwd": str(plan.root),
            "cgroups": directories,
            "uid": os.geteuid() or APP_UID,
            "nproc_limit": nproc_limit,
            "skews_clock": skews_clock,
        },
        "assignment": Assignment(
            name=f"agent:{replica.name}", stack=plan.stack, bus=bus, data=data
        ).to_dict(),
    }
