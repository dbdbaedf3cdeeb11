"""The agent's process: joins the bus, and runs the agent of its node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import uvloop

from wotemu_runtime.agent.namespaces import OwnNamespaces
from wotemu_runtime.agent.node import NodeAgent
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.role import on_bus


def run_agent(
    assignment: dict[str, Any], launcher: Channel, on_connected: Callable[[], None] | None = None
) -> int:
    """Run a node's agent until the coordinator stops it.

    Args:
        assignment: the role's `Assignment`, as a dict.
        launcher: the channel to the node's launcher.
        on_connected: called once the agent is on the bus.

    Returns:
        The process's exit code.
    """
    uvloop.run(_run(Assignment.from_dict(assignment), launcher, on_connected))
    return 0


async def _run(assignment: Assignment, launcher: Channel, on_connected: Callable[[], None] | None) -> None:
    async with on_bus(assignment) as (role, group):
        if on_connected is not None:
            on_connected()
        await NodeAgent(role, launcher, OwnNamespaces()).run(group)
