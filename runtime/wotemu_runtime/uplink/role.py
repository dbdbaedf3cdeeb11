"""The role of an uplink: has a program lead out of its network namespace, and probes its networks."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from wotemu.errors import HostError
from wotemu.records import UplinkTraffic
from wotemu_runtime.agent.namespaces import OwnNamespaces
from wotemu_runtime.agent.prober import Prober
from wotemu_runtime.planning.probe_rounds import Rounds
from wotemu_runtime.planning.uplink_programs import command_line
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.role import Role, on_bus
from wotemu_runtime.uplink.way_out import WayOut

ROWS_EVERY_S = 1.0


def run_uplink(data: dict[str, Any], outside: Channel, hosts: Path) -> int:
    """Lead out of this process's network namespace until the coordinator stops it; the exit code.

    Args:
        data: The assignment: its ``networks``, the ``program``, and the ``probes``.
        outside: The process that becomes the program.
        hosts: The uplink's hosts file.
    """
    assignment = Assignment.from_dict(data)
    # With autogroup scheduling, processors are shared among sessions.
    os.setsid()
    uvloop.run(_run(assignment, outside, hosts))
    return 0


async def _run(assignment: Assignment, outside: Channel, hosts: Path) -> None:
    async with on_bus(assignment) as (role, group):
        data = assignment.data
        replica, program = data["replica"], data["program"]
        way = WayOut()
        if not await way.open(outside, command_line(program)):
            role.unable(_not_opened(replica, program, way.output))
            await role.stopping.wait()
            way.close()
            return
        rounds = [Rounds.from_dict(each) for each in data["probes"][replica]]
        prober = Prober(role, replica, rounds, OwnNamespaces(hosts))
        prober.open()
        tasks = [
            group.create_task(prober.run(), name="probes"),
            group.create_task(_announce(role, replica, data["networks"], program), name="announcement"),
            group.create_task(_watch(role, replica, way), name="program"),
        ]
        role.ready()
        while not role.stopping.is_set():
            role.publisher.put(_traffic(role, replica, way))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROWS_EVERY_S):
                    await role.stopping.wait()
        role.publisher.put(_traffic(role, replica, way))
        for task in tasks:
            task.cancel()
        prober.close()
        way.close()


def _traffic(role: Role, replica: str, way: WayOut) -> UplinkTraffic:
    counters = way.counters()
    return UplinkTraffic(role.now(), replica, *counters)


def _not_opened(replica: str, program: str, output: str) -> HostError:
    said = f": {output}" if output else ""
    return HostError(
        f"{program} opened no way out{said}",
        where=f"Uplink {replica!r}",
        hint="look whether this machine has a default route (ip route), or leave the uplink out",
    )


async def _announce(role: Role, replica: str, networks: Sequence[str], program: str) -> None:
    """At T0, report what leads out."""
    await role.session.sleep_until(await role.t0)
    by = Path(program).name
    text = f"{' and '.join(networks)} had a way out to this machine's network: {replica}, by {by}"
    role.event("uplink.opened", text, networks=list(networks), program=program)


async def _watch(role: Role, replica: str, way: WayOut) -> None:
    """Report the program's end."""
    await way.ended.wait()
    said = f": {way.output}" if way.output else ""
    role.event("uplink.closed", f"{replica} leads nowhere any more, as its program has ended{said}")
