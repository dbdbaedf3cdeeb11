"""Checks of what the local engine uses. Each is a function of what was found on the machine. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from wotemu.errors import HostError, WotemuError
from wotemu_gateways.userspace.scheduling import Scheduling
from wotemu_gateways.userspace.tap_device import TUN_DEVICE
from wotemu_runtime.calibration.rating import Rating
from wotemu_runtime.doctor.check import Check, missing
from wotemu_runtime.engines.local.cgroups.limits import CPU, MEMORY, PIDS
from wotemu_runtime.engines.local.machine_limits import Limit
from wotemu_runtime.engines.local.plan_demand import FILES, NAMESPACES, TASKS, Demand, Resource
from wotemu_runtime.engines.local.plan_demand import MEMORY as MEMORY_BYTES
from wotemu_runtime.gateway.shaper_choice import netem_missing
from wotemu_runtime.planning.clock_skew import INSTALL as INSTALL_FAKETIME
from wotemu_runtime.planning.uplink_programs import INSTALL, PROGRAMS

OLDEST_KERNEL = (5, 3)
"""The first Linux with pidfd_open(2), by which the sandbox is watched."""
FEW_NODES = 100
"""Where fewer nodes than this have room, the limit is worth a look."""


def kernel(system: str, release: str) -> Check:
    """The kernel, of what uname(2) says."""
    number = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
    is_enough = system == "Linux" and number >= OLDEST_KERNEL
    least = ".".join(map(str, OLDEST_KERNEL))
    return Check(
        name="kernel",
        purpose="nodes are namespaces of this machine's kernel",
        state="OK" if is_enough else "missing",
        found=f"{system} {release}",
        remedy="" if is_enough else f"use Linux {least} or newer, also in a virtual machine",
        is_required=True,
    )


def tun_device(error: HostError | None) -> Check:
    """The TUN device, of the error of `check_host`."""
    purpose = "interfaces of nodes, which lead to gateways"
    if error is not None:
        return missing("TUN device", purpose, error, is_required=True)
    return Check(
        name="TUN device", purpose=purpose, state="OK", found=f"{TUN_DEVICE} can be opened", is_required=True
    )


def sandbox(error: WotemuError | None, *, is_root: bool) -> Check:
    """User, network, mount and PID namespaces, of the error of a sandbox that was started."""
    name, purpose = "namespaces", "isolate nodes, and remove all of them at the end"
    # A sandbox opens the TUN device last, in its namespaces; that has a check of its own.
    if error is not None and TUN_DEVICE not in error.message:
        return missing(name, purpose, error, is_required=True)
    by = "as root" if is_root else "as an ordinary user"
    return Check(name=name, purpose=purpose, state="OK", found=f"can be made {by}", is_required=True)


def event_bus(server: str | HostError) -> Check:
    """The server of the event bus: its path, or why there is none."""
    name, purpose = "event bus", "carries records and commands of a run"
    if isinstance(server, HostError):
        return missing(name, purpose, server, is_required=True)
    return Check(name=name, purpose=purpose, state="OK", found=server, is_required=True)


def netem(lacking: str) -> Check:
    """The kernel's NetEm, of what it lacks; "" where it lacks nothing."""
    remedy = netem_missing(lacking).hint or "" if lacking else ""
    return Check(
        name="NetEm",
        purpose="imposes conditions in the kernel; without it gateways do so in user space (tun)",
        state="limited" if lacking else "OK",
        found=f"the kernel can't: {lacking}" if lacking else "the kernel has all that is needed",
        remedy=remedy,
    )


def control_groups(version: int, controllers: Collection[str], refused: str = "") -> Check:
    """Control groups, of their version and of the controllers by which nodes can be limited.

    Args:
        version: 1 or 2.
        controllers: Those that this user can use.
        refused: The kernel's reason, where it gave one.
    """
    lacking = [each for each in (CPU, MEMORY) if each not in controllers]
    reason = f" ({refused})" if refused else ""
    remedy = "run as root, or under systemd, which delegates groups to any user who is logged in"
    return Check(
        name="control groups",
        purpose="limits of nodes' CPU and memory; a run without limits needs none",
        state="limited" if lacking else "OK",
        found=f"version {version}, without {' and '.join(lacking)} for this user{reason}"
        if lacking
        else f"version {version}, with CPU and memory",
        remedy=remedy if lacking else "",
    )


def process_limit(controllers: Collection[str], *, by_rlimit: bool) -> Check:
    """What limits the processes of nodes.

    Args:
        controllers: Those of control groups that this user can use.
        by_rlimit: Whether RLIMIT_NPROC does.
    """
    by = "RLIMIT_NPROC" if by_rlimit else "control groups" if PIDS in controllers else ""
    return Check(
        name="limit of processes",
        purpose="keeps an app that forks without end from harming others",
        state="OK" if by else "limited",
        found=f"by {by}" if by else "neither by control groups (pids) nor, for this user, by RLIMIT_NPROC",
        remedy="" if by else "run as an ordinary user on Linux 5.14 or newer, or as root with control groups",
    )


def calibration(model: str, rating: Rating | None, *, has_seven_zip: bool) -> Check:
    """The rating of this machine, by which nodes are as fast as devices."""
    remedy = "run wotemu calibrate, on a quiet machine"
    if not has_seven_zip:
        remedy = f"install 7-zip (sudo apt install 7zip, or p7zip-full), and {remedy}"
    is_exact = rating is not None and rating.tool.startswith("7-zip")
    return Check(
        name="calibration",
        purpose="how fast this machine is beside devices such as a Raspberry Pi",
        state="OK" if is_exact else "limited",
        found=f"{model}: " + ("not measured; a run with devices does so" if rating is None else str(rating)),
        remedy="" if is_exact else remedy,
    )


def real_time_class(scheduling: Scheduling) -> Check:
    """What the scheduler grants gateways."""
    is_real_time = scheduling == "real-time"
    return Check(
        name="real-time class",
        purpose="gateways come before busy apps, so that those don't delay packets",
        state="OK" if is_real_time else "limited",
        found="gateways may use it" if is_real_time else f"not allowed: gateways get {_GRANTED[scheduling]}",
        remedy=""
        if is_real_time
        else "as root, add a line 'USER - rtprio 1' to /etc/security/limits.conf and log in again; for a"
        " service of systemd, LimitRTPRIO=1; or run as root",
    )


_GRANTED = {"short slices": "short time slices (Linux 6.12 and newer)", "ordinary": "ordinary time slices"}


def mosquitto(path: str | None) -> Check:
    """The MQTT broker."""
    return _installed(
        path,
        name="Mosquitto",
        purpose="broker of nodes that speak MQTT",
        missing="not installed; brokers run amqtt, which is slower",
        remedy="install it: sudo apt install mosquitto",
    )


def uplinks(path: str | None) -> Check:
    """The program by which an emulation has a way out."""
    return _installed(
        path,
        name="uplinks",
        purpose="ways out of an emulation to this machine's network, where a deployment has one",
        missing=f"neither {' nor '.join(PROGRAMS)} is installed",
        remedy=INSTALL,
    )


def wall_clocks(path: str | None) -> Check:
    """The library by which nodes have wrong wall clocks."""
    return _installed(
        path,
        name="libfaketime",
        purpose="wrong wall clocks of nodes, where a scenario has .skew_clock",
        missing="not installed",
        remedy=INSTALL_FAKETIME,
    )


def _installed(path: str | None, *, name: str, purpose: str, missing: str, remedy: str) -> Check:
    """The check of a program or library that few deployments need; None where it is not installed."""
    return Check(
        name=name,
        purpose=purpose,
        state="OK" if path else "limited",
        found=path or missing,
        remedy="" if path else remedy,
    )


def room(limits: Iterable[Limit]) -> Iterator[Check]:
    """How many idle nodes have room within the limits, by what they are limits of."""
    one = Demand.of_nodes(1, gateways=1, interfaces=1)
    found = list(limits)
    for name, resources in _LIMITED.items():
        fitting = [
            (one.nodes_within(limit.resource, limit.room), limit)
            for limit in found
            if limit.resource in resources
        ]
        if not fitting:
            yield Check(name=name, purpose=_ROOM, state="OK", found="no limit", is_required=True)
            continue
        nodes, limit = min(fitting, key=lambda each: each[0])
        needed = limit.used + Demand.of_nodes(FEW_NODES, gateways=1, interfaces=FEW_NODES).total(
            limit.resource
        )
        yield Check(
            name=name,
            purpose=_ROOM,
            state="OK" if nodes >= FEW_NODES else "limited" if nodes else "missing",
            found=f"room for {nodes:,} idle nodes: {limit}",
            remedy="" if nodes >= FEW_NODES else f"for {FEW_NODES} nodes: {limit.remedy.format(needed)}",
            is_required=True,
        )


_ROOM = "bounds the number of nodes"
_LIMITED: dict[str, tuple[Resource, ...]] = {
    "memory": (MEMORY_BYTES,),
    "processes": (TASKS,),
    "open files": (FILES,),
    "number of namespaces": tuple(NAMESPACES.values()),
}
