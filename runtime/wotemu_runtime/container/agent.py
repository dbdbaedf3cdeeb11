"""The agent of one node, beside its app in a container."""

from __future__ import annotations

import asyncio
import signal

from wotemu_runtime.agent.namespaces import OwnNamespaces
from wotemu_runtime.agent.node import NodeAgent
from wotemu_runtime.container.health import serve_health
from wotemu_runtime.container.node_network import NodeNetwork
from wotemu_runtime.container.startup import complete_assignment, wait_for_bus
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.role import on_bus


async def serve(assignment: Assignment, launcher: Channel, app_uid: int) -> None:
    """Serve the node until the run is over, or until SIGTERM.

    Args:
        assignment: The node's assignment.
        launcher: The channel to the node's launcher.
        app_uid: The user whose programs may reach the emulated networks alone.
    """
    async with serve_health(assignment.name):
        await wait_for_bus(assignment.bus)
        assignment = await complete_assignment(assignment)
        async with on_bus(assignment) as (role, group):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, role.stopping.set)
            network = NodeNetwork(role, app_uid=app_uid)
            await network.settle(group)
            assignment.data["interfaces"] = network.interfaces
            await role.session.commands.caught_up.wait()
            await NodeAgent(role, launcher, OwnNamespaces(), plug=network.plug).run(group)


__all__ = ["serve"]
