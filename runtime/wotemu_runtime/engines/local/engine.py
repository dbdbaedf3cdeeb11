"""The local engine: runs every role in namespaces of this machine."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import attrs

from wotemu.errors import EmulationError
from wotemu.wording import counted
from wotemu_runtime.bus import BusAddress, epoch_s
from wotemu_runtime.bus.server import configuration, find_server, unix_socket
from wotemu_runtime.calibration.measuring import rating_of_this_machine
from wotemu_runtime.engines.engine import Deployed, RoleEnded, RoleLost
from wotemu_runtime.engines.local import addresses, machine_limits
from wotemu_runtime.engines.local.cgroups import delegation
from wotemu_runtime.engines.local.cgroups.limits import Limits, Machine, PlanLimits, has_devices, plan_limits
from wotemu_runtime.engines.local.cgroups.replica_groups import LimitedReplica, ReplicaGroups
from wotemu_runtime.engines.local.deploy_request import deploy_request, preload_request
from wotemu_runtime.engines.local.fault_check import check_faults, check_later_limits, check_shaper
from wotemu_runtime.engines.local.file_limit import raise_file_limit
from wotemu_runtime.engines.local.host_check import check_host
from wotemu_runtime.engines.local.monitor import Monitor
from wotemu_runtime.engines.local.node_namespace import RUN_DIR
from wotemu_runtime.engines.local.plan_demand import FILES, Demand
from wotemu_runtime.engines.local.sandbox_process import SandboxProcess
from wotemu_runtime.gateway.shaper_choice import netem_gaps, netem_missing
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.publishing.listening import listening

BUS_SOCKET = f"{RUN_DIR}/bus.sock"
DEPLOY_DEADLINE_S = 60.0
DEPLOY_DEADLINE_PER_ROLE_S = 2.0
"""A machine that needs longer is so slow or busy that hardly anything could run on it."""


class LocalEngine:
    """Runs one plan in namespaces of this machine.

    Args:
        log_path: The file for what roles print, which is nothing while all is well.
        captures: The folder for packets, where any are captured.
        shaper: ``tun``, ``netem``, or ``auto``: netem where the kernel has it and it can do what is asked.
        monitor: The sandbox's monitor, where it was started early; see `early_monitor`.
    """

    name = "local"
    image = None

    def __init__(
        self,
        log_path: Path,
        *,
        captures: Path = Path(),
        shaper: str = "auto",
        monitor: Monitor | None = None,
    ) -> None:
        self._captures = captures
        self._shaper = shaper
        self._sandbox = SandboxProcess(log_path, monitor)
        self._uplinks = 0

    def __repr__(self) -> str:
        return f"LocalEngine({self._sandbox!r})"

    async def deploy(self, plan: Plan) -> Deployed:
        """Start the sandbox, the bus and every role.

        Raises:
            HostError: This machine or its kernel can't run the plan.
            EmulationError: The sandbox or a role failed, or took too long.
        """
        check_host()
        with listening(plan) as listeners:
            return await self._deploy(plan, listeners)

    async def _deploy(self, plan: Plan, listeners: Mapping[int, socket.socket]) -> Deployed:
        self._uplinks = len(plan.topology.uplinks)
        check_shaper(plan, self._shaper)
        server = find_server()
        demand = Demand.of_plan(plan)
        machine_limits.check(demand, machine_limits.read_limits())
        file_limit = raise_file_limit(demand.total(FILES))
        # Before anything else runs here that would disturb it.
        rating = await asyncio.to_thread(rating_of_this_machine) if has_devices(plan.topology) else None
        machine = Machine.here(rating)
        limits = plan_limits(plan, machine)
        check_faults(plan, limits, machine, demand)
        # The sandbox starts, imports and tries NetEm while this process assigns addresses.
        starting = asyncio.create_task(self._start_sandbox(plan, limits))
        try:
            await asyncio.sleep(0)
            namespaces = addresses.assign(plan)
            groups, unenforced = await starting
            check_later_limits(limits.by_replica, {name: each.limits for name, each in groups.items()})
            pid = await self._sandbox.ready()
            bus = await self._start_bus(server)
            await self._sandbox.send(preload_request(plan))
            if plan.capture_by_role is not None:
                await self._hold_folder("captures", self._captures)
            for port, listener in listeners.items():
                await self._sandbox.hold(f"port {port}", listener.fileno())
            shaper, unable = await self._choose_shaper(plan)
            await self._sandbox.send(
                deploy_request(
                    plan,
                    namespaces,
                    groups,
                    bus,
                    shaper=shaper,
                    file_limit=file_limit,
                    nproc_limits=limits.rlimits,
                )
            )
            await self._sandbox.deployed(DEPLOY_DEADLINE_S + DEPLOY_DEADLINE_PER_ROLE_S * len(plan.roles))
        except BaseException:
            starting.cancel()
            await asyncio.wait([starting])
            await self.remove()
            raise
        return Deployed(
            # The socket is on the sandbox's tmpfs; the zygote's root leads there from outside.
            bus=attrs.evolve(bus, path=f"/proc/{pid}/root{BUS_SOCKET}"),
            shaper=shaper,
            roles=plan.roles,
            addresses={
                name: {interface.network: interface.address for interface in namespace.interfaces}
                for name, namespace in namespaces.items()
            },
            unenforced=(*unenforced, *unable),
            devices=limits.devices,
        )

    async def news(self) -> AsyncIterator[RoleEnded | RoleLost]:
        """Roles in the order in which they end or are lost."""
        while True:
            yield await self._sandbox.news.get()

    def leave(self) -> None:
        """Do nothing: the sandbox ends with this process, so no other coordinator can have it."""

    async def remove(self) -> None:
        """End the sandbox, and with it all that was deployed; may be called at any time, also twice."""
        await self._sandbox.remove()

    async def _start_bus(self, server: str) -> BusAddress:
        """Start the bus in the sandbox; its address there."""
        password = secrets.token_urlsafe(24)
        config = configuration(password, unix_socket(BUS_SOCKET))
        await self._sandbox.send(
            {"op": "exec", "role": "bus", "argv": [server, "bus.conf"], "files": {"bus.conf": config}}
        )
        return BusAddress(password, path=BUS_SOCKET, anchor_s=epoch_s())

    async def _hold_folder(self, name: str, path: Path) -> None:
        """Make a folder and open it for a role: the sandbox may have no name for it, as under /run."""
        try:
            await asyncio.to_thread(path.mkdir, exist_ok=True)
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise EmulationError(f"the folder can't be made: {error.strerror}", where=str(path)) from error
        try:
            await self._sandbox.hold(name, fd)
        finally:
            os.close(fd)

    async def _choose_shaper(self, plan: Plan) -> tuple[str, list[str]]:
        """The shaper to use, and the conditions of the plan that it can't impose, one sentence each."""
        if self._shaper == "tun" or self._uplinks:
            return "tun", []
        missing = await self._sandbox.missing_of_netem()
        unable = netem_gaps(plan)
        if self._shaper == "netem":
            if missing:
                raise netem_missing(missing)
            return "netem", unable
        if missing or unable or machine_limits.crowded(plan):
            return "tun", []
        return "netem", []

    async def _start_sandbox(
        self, plan: Plan, limits: PlanLimits
    ) -> tuple[Mapping[str, LimitedReplica], list[str]]:
        """Start the sandbox and make the replicas' control groups.

        Returns:
            The groups by replica, and what can't be enforced of the plan's limits, one sentence each.
        """
        wanted, unenforced = limits.by_replica, limits.unenforced
        name = f"wotemu-{plan.stack}-{os.getpid()}"
        groups = ReplicaGroups(name)
        controllers = {each for limited in wanted.values() for each in limited.controllers}
        if controllers and delegation.is_version_2():
            groups.parent = await asyncio.to_thread(delegation.find, name, controllers)
            if groups.parent is None:
                await self._sandbox.start(shaper=self._shaper, uplinks=self._uplinks)
                return {}, [*unenforced, *_none(wanted, "no control group can be made here")]
        if refused := await self._start_in(groups, wanted):
            return {}, [*unenforced, *_none(wanted, refused)]
        # Only now are the sandbox's processes in the leaf, and the parent has none itself.
        if groups.parent is not None:
            enabled = await asyncio.to_thread(delegation.enable, groups.parent, controllers)
            groups.available = frozenset(enabled)
        made, missing = groups.make_all(wanted)
        return made, [*unenforced, *missing, *_unlimited(wanted, made)]

    async def _start_in(self, groups: ReplicaGroups, wanted: Mapping[str, Limits]) -> str:
        """Start the sandbox in the delegated group, if any; the kernel's reason where it is not in it."""
        parent = groups.parent
        try:
            planned = [each for replica in wanted.items() for each in groups.planned(*replica)]
            remove = [*planned, *(parent.to_remove if parent else ())]
            return await self._sandbox.start(parent, remove, shaper=self._shaper, uplinks=self._uplinks)
        except BaseException:
            if parent is not None:
                delegation.remove(parent)
            raise


def _none(wanted: Mapping[str, Limits], reason: str) -> list[str]:
    """What is to be said where no limit is enforced."""
    asked = [f"{replica}: its limits: {reason}" for replica, limits in wanted.items() if limits.is_asked_for]
    return [*asked, *_unlimited(wanted, {})]


def _unlimited(wanted: Mapping[str, Limits], made: Mapping[str, LimitedReplica]) -> list[str]:
    """The sentence about replicas that may start any number of processes."""
    count = sum(
        limits.pids is not None and (name not in made or made[name].limits.pids is None)
        for name, limits in wanted.items()
    )
    if not count:
        return []
    return [
        f"{counted(count, 'node')} without a limit of processes: no control group with the pids controller is"
        " available to root here, and an app that forks without end harms this machine"
    ]
