"""What a plan needs of this machine at the least: memory, tasks, open files and namespaces. Pure.

The figures of a node are those of one that runs ``sleep``, measured from outside with 10 and 40 of them: the
processes below the coordinator, their entries in ``/proc/PID/task`` and ``/proc/PID/fd``, and the sum of
``Pss`` in ``/proc/PID/smaps_rollup``. They are lower bounds, so that nothing is refused that would run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, Self

import attrs

from wotemu_runtime.planning.models import Plan

NamespaceKind = Literal["user", "net", "mnt", "pid", "uts", "ipc"]
Resource = Literal[
    "memory",
    "processes and threads",
    "open files in one process",
    "user namespaces",
    "net namespaces",
    "mnt namespaces",
    "pid namespaces",
    "uts namespaces",
    "ipc namespaces",
    "neighbour entries",
]
"""What a machine has a limit of, as messages name it. Memory is in bytes, all else is counted."""

MEMORY: Resource = "memory"
TASKS: Resource = "processes and threads"
FILES: Resource = "open files in one process"
NEIGHBOURS: Resource = "neighbour entries"
NAMESPACES: Mapping[NamespaceKind, Resource] = {
    "user": "user namespaces",
    "net": "net namespaces",
    "mnt": "mnt namespaces",
    "pid": "pid namespaces",
    "uts": "uts namespaces",
    "ipc": "ipc namespaces",
}

NODES_PER_AGENT_PROCESS = 128
"""Nodes whose agents share a process: more would share one processor, and the files that one may open."""

NODE_BYTES = 2_500_000
"""Memory of a node; measured 2.9 MB."""
NODE_TASKS = 2
"""The node's first process, and its app's."""
NODE_FILES = 6
"""Files that the zygote holds for a node while it makes them all: four namespaces, two ends of a channel."""
NODE_NAMESPACES: Mapping[NamespaceKind, int] = {"user": 1, "net": 1, "mnt": 2, "pid": 1, "uts": 1, "ipc": 1}
"""The node's own, and those that hide the bus from its app and take its capabilities."""

SANDBOX_BYTES = 40_000_000
"""Memory of the sandbox's own processes, the bus and one gateway; measured 55 MB."""
SANDBOX_TASKS = 9
"""Monitor, unsharer and zygote; the bus has six threads."""
SANDBOX_FILES = 96
"""Files of a process besides, with those that a Redis server reserves (32)."""


@attrs.frozen
class Demand:
    """What some nodes need: `fixed` however many they are, and `per_node` of each."""

    nodes: int
    fixed: Mapping[Resource, float]
    per_node: Mapping[Resource, float]

    @classmethod
    def of_plan(cls, plan: Plan) -> Self:
        """What the plan's nodes and gateways need."""
        nodes = len(plan.replicas)
        interfaces = sum(len(network.members) for network in plan.networks)
        return cls.of_nodes(nodes, gateways=len(plan.networks), interfaces=interfaces)

    @classmethod
    def of_nodes(cls, nodes: int, *, gateways: int, interfaces: int) -> Self:
        """What `nodes` nodes with that many interfaces in all need."""
        interfaces_per_node = interfaces / max(nodes, 1)
        fixed: dict[Resource, float] = dict.fromkeys(NAMESPACES.values(), 1)  # the sandbox's
        fixed[NAMESPACES["net"]] += gateways
        fixed[MEMORY] = SANDBOX_BYTES
        fixed[TASKS] = SANDBOX_TASKS + gateways + math.ceil(nodes / NODES_PER_AGENT_PROCESS)
        fixed[FILES] = SANDBOX_FILES
        per_node: dict[Resource, float] = {
            MEMORY: NODE_BYTES,
            TASKS: NODE_TASKS,
            FILES: NODE_FILES + interfaces_per_node,
            NEIGHBOURS: 2 * interfaces_per_node,  # a node's entry of its gateway, and its gateway's of it
            **{NAMESPACES[kind]: number for kind, number in NODE_NAMESPACES.items()},
        }
        return cls(nodes, fixed, per_node)

    def total(self, resource: Resource) -> int:
        """How much is needed of a resource."""
        return math.ceil(self.fixed.get(resource, 0) + self.per_node[resource] * self.nodes)

    def nodes_within(self, resource: Resource, room: int) -> int:
        """How many such nodes have room where that much is free of a resource."""
        return max(0, int((room - self.fixed.get(resource, 0)) / self.per_node[resource]))
