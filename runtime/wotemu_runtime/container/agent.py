"""The agent of one node, beside its app in a container."""

from __future__ import annotations

import asyncio
import signal

import attrs

from wotemu_runtime.agent.limit_setting import LimitSetting, MachinesLimiter, NoLimits
from wotemu_runtime.agent.namespaces import OWN_GROUPS, OwnNamespaces
from wotemu_runtime.agent.node import NodeAgent
from wotemu_runtime.container.health import serve_health
from wotemu_runtime.container.node_network import NodeNetwork
from wotemu_runtime.container.startup import complete_assignment, wait_for_bus
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.machine_limits import LimitStream
from wotemu_runtime.roles.role import Role, on_bus

OWN_MEMORY_GROUP = "/sys/fs/cgroup/memory"
"""Where a container has its own control group of the memory controller mounted, version 1."""


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
            setting = await _limit_setting(role)
            agent = NodeAgent(role, launcher, OwnNamespaces(), plug=network.plug, limit_setting=setting)
            await agent.run(group)


async def _limit_setting(role: Role) -> LimitSetting:
    """What sets the node's limits. Where it is a limiter, the assignment gets what that computed for here."""
    data, session = role.assignment.data, role.session
    if not data["has_limiter"]:
        return NoLimits()
    limits = await LimitStream(session.client, session.streams).wait_for(session.host, data["node"])
    data["cpu_limit"], data["mem_limit_bytes"] = limits.cpu, limits.mem_bytes
    data["limits"] = {"limits": attrs.asdict(limits)}
    return MachinesLimiter((*OWN_GROUPS, OWN_MEMORY_GROUP))


__all__ = ["serve"]
