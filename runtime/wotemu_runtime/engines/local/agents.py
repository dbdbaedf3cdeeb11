"""The agents of a machine: one process that serves many nodes, each from outside of its namespaces."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import uvloop

from wotemu_runtime.agent.namespaces import NamespacesOf
from wotemu_runtime.agent.node import NodeAgent
from wotemu_runtime.engines.local.node_namespace import RUN_DIR, hosts_path
from wotemu_runtime.engines.local.plan_demand import NODES_PER_AGENT_PROCESS
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.role import Role, running
from wotemu_runtime.roles.session import bus_session

NOTE = Path(RUN_DIR, "raised")
"""Has the first exception of an agent, and whose agent raised it."""


@attrs.frozen
class ServedNode:
    """A node that an agent serves: its role, the id of its first process, and the channel to its launcher."""

    assignment: Assignment
    first: int
    launcher: Channel

    @property
    def replica(self) -> str:
        """The node's name."""
        return self.assignment.subject


def groups(nodes: Sequence[ServedNode]) -> Mapping[str, Sequence[ServedNode]]:
    """The nodes that share a process, by that process's name."""
    starts = range(0, len(nodes), NODES_PER_AGENT_PROCESS)
    return {
        f"agents:{i + 1}": nodes[start : start + NODES_PER_AGENT_PROCESS] for i, start in enumerate(starts)
    }


def run_agents(nodes: Sequence[ServedNode], *, replace: bool = False) -> int:
    """Run the agents of some nodes until the coordinator stops them; the process's exit code.

    Args:
        nodes: The nodes.
        replace: Whether these agents take the place of ones that were killed.
    """
    # With autogroup scheduling, processors are shared among sessions: apps have sessions of their own, too.
    os.setsid()
    uvloop.run(_run(nodes, replace=replace))
    return 0


def note_raised(role: str, raised: BaseExceptionGroup, note: Path = NOTE) -> None:
    """Note the first exception of all agents, for the zygote: their nodes end with them, in any order."""
    error: BaseException = raised
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    with contextlib.suppress(OSError), note.open("x") as file:
        json.dump({"role": role, "error": f"{type(error).__name__}: {error}"}, file)


async def _run(nodes: Sequence[ServedNode], *, replace: bool) -> None:
    first = nodes[0].assignment
    async with bus_session(first.bus, first.stack) as session:
        roles = [Role(node.assignment, session) for node in nodes]
        async with running(*roles) as group:
            if replace:  # what was due meanwhile holds before an app is started again
                await session.commands.caught_up.wait()
            for role, node in zip(roles, nodes, strict=True):
                group.create_task(_serve(role, node, replace=replace), name=role.assignment.name)


async def _serve(role: Role, node: ServedNode, *, replace: bool) -> None:
    namespaces = NamespacesOf(node.first, hosts_path(node.replica))
    try:
        async with asyncio.TaskGroup() as group:
            await NodeAgent(role, node.launcher, namespaces, replace=replace).run(group)
    except* Exception as raised:
        note_raised(role.assignment.name, raised)
        raise
    finally:
        node.launcher.end()  # the node's first process ends with it
