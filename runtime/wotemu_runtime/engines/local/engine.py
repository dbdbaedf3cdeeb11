"""The local engine: starts the enclosure, tells its zygote what to fork, and takes it all away again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from wotemu.errors import EmulationError, HostError
from wotemu_gateways.userspace import tap_device
from wotemu_gateways.userspace.tap_device import TUN_DEVICE
from wotemu_runtime.app_process.preload import WOT_IMPORTS
from wotemu_runtime.bus import BusAddress, epoch_s
from wotemu_runtime.bus.server import configuration, find_server, unix_socket
from wotemu_runtime.engines.engine import Deployed, RoleEnded
from wotemu_runtime.engines.local import addresses, cgroups, machine_limits, own_group
from wotemu_runtime.engines.local.node_namespace import Place
from wotemu_runtime.engines.local.own_group import OwnGroup
from wotemu_runtime.engines.local.sandbox import APP_UID, RUN_DIR
from wotemu_runtime.gateway.shaper_choice import netem_gaps, netem_missing
from wotemu_runtime.planning.models import Plan, PlannedNetwork, Replica
from wotemu_runtime.planning.planner import unplaced
from wotemu_runtime.planning.probe_schedule import rounds_of
from wotemu_runtime.processes.channel import AsyncChannel
from wotemu_runtime.roles.assignment import Assignment

BUS_SOCKET = f"{RUN_DIR}/bus.sock"
START_DEADLINE_S = 20.0
DEPLOY_DEADLINE_S = 60.0
DEPLOY_DEADLINE_PER_ROLE_S = 2.0
"""As long as a machine may take that is so slow or busy that hardly anything could run on it."""
REMOVE_DEADLINE_S = 10.0


Limited = tuple[list[str], cgroups.Limits]
"""A replica's control groups, and the limits that they enforce."""

ROLE_IMPORTS = (
    "pyroute2",
    "wotemu_runtime.engines.local.node",
    "wotemu_runtime.gateway.local",
)


class LocalEngine:
    """Namespaces on this machine. `log_path` takes what roles print, which is nothing while all is well.

    `shaper` is ``tun``, ``netem``, or ``auto``: netem where the kernel has it and it can do what is asked.
    """

    name = "local"

    def __init__(self, log_path: Path, *, shaper: str = "auto") -> None:
        self._log_path = log_path
        self._shaper = shaper
        self._events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._file_limit = -1
        self._keeper: subprocess.Popen[bytes] | None = None
        self._control: AsyncChannel | None = None
        self._lifeline: AsyncChannel | None = None
        self._listening: asyncio.Task[None] | None = None
        self._ended: asyncio.Queue[RoleEnded] = asyncio.Queue()
        self._removal: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"LocalEngine(keeper={self._keeper.pid if self._keeper else None})"

    async def deploy(self, plan: Plan) -> Deployed:
        """Start the enclosure, the bus and every role."""
        check_host()
        server = find_server()
        places = addresses.assign(plan)
        machine_limits.check_memory(plan)
        self._file_limit = machine_limits.allow_files(plan)
        try:
            groups, unenforced = await self._start(plan)
            pid = await self._ready()
            password = secrets.token_urlsafe(24)
            config = configuration(password, unix_socket(BUS_SOCKET))
            await self._send(
                {"op": "exec", "role": "bus", "argv": [server, "bus.conf"], "files": {"bus.conf": config}}
            )
            inside = BusAddress(password, path=BUS_SOCKET, anchor_s=epoch_s())
            shaper, unable = await self._choose_shaper(plan)
            await self._send(self._deployment(plan, places, groups, inside, shaper))
            await self._deployed(len(plan.roles))
        except BaseException:
            await self.remove()
            raise
        return Deployed(
            bus=attrs.evolve(inside, path=f"/proc/{pid}/root{BUS_SOCKET}"),
            shaper=shaper,
            roles=plan.roles,
            addresses={
                name: {i.network: i.address for i in place.interfaces} for name, place in places.items()
            },
            unenforced=(*unenforced, *unable),
        )

    async def _choose_shaper(self, plan: Plan) -> tuple[str, list[str]]:
        """The shaper to use, and what it can't do of what the plan asks for."""
        if self._shaper == "tun":
            return "tun", []
        await self._send({"op": "check_netem"})
        missing = (await self._next(START_DEADLINE_S, "trying NetEm"))["missing"]
        unable = netem_gaps(plan)
        if self._shaper == "netem":
            if missing:
                raise netem_missing(missing)
            return "netem", unable
        return ("tun", []) if missing or unable else ("netem", [])

    async def news(self) -> AsyncIterator[RoleEnded]:
        """Roles in the order in which they end."""
        while True:
            yield await self._ended.get()

    def leave(self) -> None:
        """Nothing: what this process made goes with it."""

    async def remove(self) -> None:
        """Close the lifeline: the keeper ends the enclosure and cleans up. All callers wait for it."""
        if self._keeper is None:
            return
        if self._removal is None:
            self._removal = self._start_removal(self._keeper)
        await asyncio.shield(self._removal)

    def _start_removal(self, keeper: subprocess.Popen[bytes]) -> asyncio.Future[None]:
        if self._listening is not None:
            self._listening.cancel()
        for channel in (self._control, self._lifeline):
            if channel is not None:
                channel.close()
        return asyncio.get_running_loop().run_in_executor(None, _wait, keeper)

    # The enclosure

    async def _start_enclosure(self, group: OwnGroup | None) -> None:
        self._control, control = await AsyncChannel.pair()
        self._lifeline, lifeline = await AsyncChannel.pair()
        self._keeper = _start_keeper(self._log_path, (control.fileno(), lifeline.fileno()), group)
        control.close()
        lifeline.close()
        self._listening = asyncio.create_task(self._listen(self._control), name="enclosure")

    async def _start(self, plan: Plan) -> tuple[dict[str, Limited], list[str]]:
        """Start the enclosure; each limited replica's control groups, and what can't be enforced."""
        wanted, unenforced = _limits(plan)
        name = f"wotemu-{plan.stack}-{os.getpid()}"
        maker = cgroups.Groups(name)
        controllers = {each for limits in wanted.values() for each in cgroups.controllers_for(limits)}
        if controllers and own_group.is_version_2():
            maker.own = await asyncio.to_thread(own_group.find, name, controllers)
            if maker.own is None:
                return await self._unlimited(wanted, unenforced, "no control group can be made here")
        try:
            await self._start_enclosure(maker.own)
            planned = [each for replica in wanted.items() for each in maker.planned(*replica)]
            refused = await self._keep_in_mind([*planned, *(maker.own.to_remove if maker.own else ())])
        except BaseException:
            if maker.own is not None:
                own_group.remove(maker.own)
            raise
        if refused:
            return {}, [*unenforced, *(f"{replica}: its limits: {refused}" for replica in wanted)]
        if maker.own is not None:
            maker.given = frozenset(await asyncio.to_thread(own_group.give, maker.own, controllers))
        return _make_groups(maker, wanted, unenforced)

    async def _unlimited(
        self, wanted: Iterable[str], unenforced: list[str], reason: str
    ) -> tuple[dict[str, Limited], list[str]]:
        await self._start_enclosure(None)
        return {}, [*unenforced, *(f"{name}: its limits: {reason}" for name in wanted)]

    async def _keep_in_mind(self, directories: list[str]) -> str:
        """Have the keeper remove these, however this process ends, before they are made.

        Returns:
            Why the keeper, and with it the enclosure, is not in the control group that it was to join; or "".
        """
        if self._lifeline is None:
            raise EmulationError("the enclosure is gone")
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                await self._lifeline.send({"remove": directories})
                answer = await self._lifeline.receive()
        except TimeoutError:
            raise _no_answer(self._log_path, f"did not start within {START_DEADLINE_S:g} s") from None
        except ConnectionError:
            answer = None
        if answer is None:
            raise _no_answer(self._log_path, "ended as it started")
        return str(answer["refused"])

    async def _listen(self, control: AsyncChannel) -> None:
        """Sort the enclosure's messages until it ends."""
        while (message := await control.receive()) is not None:
            if message["event"] == "exited":
                self._ended.put_nowait(RoleEnded(message["role"], message["status"]))
            else:
                self._events.put_nowait(message)
        self._events.put_nowait(None)
        self._ended.put_nowait(RoleEnded("enclosure", "its first process is gone"))

    async def _send(self, message: dict[str, Any]) -> None:
        if self._control is None:
            raise EmulationError("the enclosure is gone")
        try:
            await self._control.send(message)
        except ConnectionError:
            raise _no_answer(self._log_path, f"ended before {message['op']!r}") from None

    async def _next(self, deadline_s: float, doing: str) -> dict[str, Any]:
        try:
            async with asyncio.timeout(deadline_s):
                message = await self._events.get()
        except TimeoutError:
            raise EmulationError(f"{doing} took more than {deadline_s:g} s") from None
        if message is None:
            raise EmulationError(
                f"the enclosure ended while {doing}", hint=f"what it printed is in {self._log_path}"
            )
        return message

    async def _ready(self) -> int:
        message = await self._next(START_DEADLINE_S, "making the namespaces")
        if message["event"] == "refused":
            raise refusal(message["step"], message["errno"])
        return int(message["pid"])

    async def _deployed(self, roles: int) -> None:
        deadline_s = DEPLOY_DEADLINE_S + DEPLOY_DEADLINE_PER_ROLE_S * roles
        message = await self._next(deadline_s, "starting the nodes")
        if message["event"] == "failed":
            if number := message["errno"]:
                raise refusal(message["where"], number)
            hint = f"what it printed is in {self._log_path}"
            raise EmulationError(message["error"], where=message["where"], hint=hint)

    # What it is told

    def _deployment(
        self,
        plan: Plan,
        places: dict[str, Place],
        groups: dict[str, Limited],
        bus: BusAddress,
        shaper: str,
    ) -> dict[str, Any]:
        wot = any(replica.app is not None for replica in plan.replicas)
        return {
            "op": "deploy",
            "file_limit": self._file_limit,
            "preload": [*ROLE_IMPORTS, *(WOT_IMPORTS if wot else ())],
            "networks": [
                {"name": network.name, "assignment": _gateway_assignment(plan, network, places, bus, shaper)}
                for network in plan.networks
            ],
            "replicas": [
                _replica_message(
                    plan,
                    replica,
                    attrs.evolve(places[replica.name], has_taps=shaper == "tun"),
                    groups.get(replica.name),
                    bus,
                )
                for replica in plan.replicas
            ],
        }


def _limits(plan: Plan) -> tuple[dict[str, cgroups.Limits], list[str]]:
    """The limits that are asked for by replica, and what is asked for that no machine could enforce."""
    speed_hz = cgroups.machine_cpu_speed_hz()
    wanted: dict[str, cgroups.Limits] = {}
    unenforced = unplaced(plan)
    for replica in plan.replicas:
        limits, missing = cgroups.wanted_limits(replica.resources, speed_hz)
        unenforced += [f"{replica.name}: {what}" for what in missing]
        if limits:
            wanted[replica.name] = limits
    return wanted, unenforced


def _make_groups(
    maker: cgroups.Groups, wanted: Mapping[str, cgroups.Limits], unenforced: list[str]
) -> tuple[dict[str, Limited], list[str]]:
    groups: dict[str, Limited] = {}
    for name, limits in wanted.items():
        try:
            directories, enforced, missing = maker.make(name, limits)
        except OSError as error:
            missing = [f"its limits, for want of a control group: {error.strerror or error}"]
        else:
            groups[name] = (directories, enforced)
        unenforced += [f"{name}: {what}" for what in missing]
    return groups, unenforced


def _start_keeper(log_path: Path, fds: tuple[int, int], group: OwnGroup | None) -> subprocess.Popen[bytes]:
    before, after = ((), ()) if group is None else (group.command, (str(group.leaf),))
    with log_path.open("ab") as log:
        return subprocess.Popen(
            [
                *before,
                *(sys.executable, "-m", "wotemu_runtime.engines.local.sandbox", *map(str, fds)),
                *after,
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=fds,
            start_new_session=True,
        )


def _no_answer(log_path: Path, what: str) -> EmulationError:
    return EmulationError(f"the enclosure {what}", hint=f"what it printed is in {log_path}")


def _wait(keeper: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        keeper.wait(REMOVE_DEADLINE_S)
        return
    keeper.kill()  # the kernel then ends the enclosure, whose parent has died
    keeper.wait()


def _gateway_assignment(
    plan: Plan, network: PlannedNetwork, places: dict[str, Place], bus: BusAddress, shaper: str
) -> dict[str, Any]:
    interfaces = {
        member: next(i for i in places[member].interfaces if i.network == network.name)
        for member in network.members
    }
    data = {
        "network": network.name,
        "shared": network.shared,
        "hops": list(network.hops),
        "members": [
            {
                "replica": name,
                "node": plan.replica(name).node,
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
    }
    return Assignment(name=f"gateway:{network.name}", stack=plan.stack, bus=bus, data=data).to_dict()


def _replica_message(
    plan: Plan,
    replica: Replica,
    place: Place,
    group: Limited | None,
    bus: BusAddress,
) -> dict[str, Any]:
    directories, limits = group or ([], cgroups.Limits())
    data = {
        "replica": replica.name,
        "kind": replica.kind,
        "is_wot": replica.app is not None,
        "port_mqtt": plan.topology.ports.mqtt,
        "cgroups": directories,
        "cpu_limit": limits.cpu,
        "mem_limit_bytes": limits.mem_bytes,
        "probes": rounds_of(plan, [replica.name]),
    }
    return {
        "place": place.to_dict(),
        "program": {
            "app": None if replica.app is None else replica.app.to_dict(),
            "command": list(replica.command),
            "env": dict(replica.env),
            "cwd": str(plan.root),
            "cgroups": directories,
            "uid": os.geteuid() or APP_UID,
        },
        "assignment": Assignment(
            name=f"agent:{replica.name}", stack=plan.stack, bus=bus, data=data
        ).to_dict(),
    }


def check_host() -> None:
    """`HostError` where this machine obviously can't run the local engine."""
    if not sys.platform.startswith("linux"):
        raise HostError("the local engine needs Linux", where=sys.platform, hint="run it in a Linux machine")
    try:
        is_tun = tap_device.is_tun(TUN_DEVICE)
    except FileNotFoundError:
        raise HostError(
            "it is not there", where=TUN_DEVICE, hint="load the module: sudo modprobe tun"
        ) from None
    except PermissionError:
        raise HostError(
            "this user may not open it", where=TUN_DEVICE, hint=f"allow it: sudo chmod 666 {TUN_DEVICE}"
        ) from None
    except OSError as error:
        raise HostError(f"it can't be opened: {error.strerror}", where=TUN_DEVICE) from None
    if not is_tun:
        raise HostError(
            "it is no TUN device",
            where=TUN_DEVICE,
            hint=f"make it one: sudo sh -c 'rm {TUN_DEVICE}; mknod -m 666 {TUN_DEVICE} c 10 200'",
        )


def refusal(step: str, number: int) -> HostError:
    """What a kernel's refusal means, and what to do about it."""
    reason = os.strerror(number) if number else "refused"
    if step == "user namespace" and number == errno.ENOSPC:
        hint = "allow some: sudo sysctl -w user.max_user_namespaces=10000"
    elif step == "user namespace":
        hint = (
            "allow unprivileged user namespaces (sudo sysctl -w kernel.unprivileged_userns_clone=1, on Ubuntu"
            " kernel.apparmor_restrict_unprivileged_userns=0), or run as root"
        )
    elif number in (errno.EAGAIN, errno.ENOMEM):
        hint = (
            "this machine has no room for so many processes: use fewer nodes, or allow more (ulimit -u, the"
            " pids.max of this control group, kernel.pid_max, or memory)"
        )
    elif number in (errno.EMFILE, errno.ENFILE):
        hint = "allow more open files: ulimit -n 20000, or sysctl -w fs.file-max=1000000"
    elif number == errno.ENOSPC:
        kinds = " ".join(f"user.max_{kind}_namespaces=10000" for kind in ("net", "mnt", "pid", "uts", "ipc"))
        hint = f"allow more: sudo sysctl -w {kinds}"
    elif "/proc" in step:
        hint = "in a container, run it with --privileged, or use the host"
    else:
        hint = "run as root, or on a machine whose kernel allows network namespaces"
    return HostError(f"this kernel refuses: {step} ({reason})", where="local engine", hint=hint)


__all__ = ["LocalEngine", "check_host", "refusal"]
