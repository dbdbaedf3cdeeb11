"""A process tree in namespaces of its own that holds all of an emulation and dies with it.

    coordinator ── monitor (outside: cleans up) ── unsharer ── zygote (PID 1 of the PID namespace)
                                                                 ├── bus
                                                                 ├── a gateway per network
                                                                 ├── a program per uplink, outside
                                                                 └── a node per replica

The monitor waits for the coordinator's end of a socket to close, which the kernel does however the
coordinator ends. It then kills the unsharer, and with it dies the zygote (PR_SET_PDEATHSIG). As that is PID 1
of its namespace, the kernel kills every process of the namespace, and so removes all mounts, interfaces and
network namespaces in it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn

import attrs

from wotemu_gateways.netlink import namespaces
from wotemu_gateways.userspace.scheduling import enter_real_time_class
from wotemu_runtime.engines.local.cgroups import delegation
from wotemu_runtime.engines.local.file_limit import set_file_limit
from wotemu_runtime.engines.local.name_resolution import share_files
from wotemu_runtime.engines.local.node_namespace import RUN_DIR
from wotemu_runtime.engines.local.outside import start_outside
from wotemu_runtime.processes import syscalls
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.processes.fork import fork

ROLE_IMPORTS = (
    "wotemu_runtime.engines.local.zygote",
    "wotemu_runtime.engines.local.agents",
    "wotemu_runtime.gateway.local",
)
"""Imported once, for all roles that are forked."""

_REMOVAL_DEADLINE_S = 5.0
_NAMESPACES = "network, mount and PID namespaces"


@attrs.frozen
class Refusal(Exception):  # noqa: N818  # it travels as a message, and is an error only at the other end
    """The kernel does not allow the sandbox; `step` says what it refused."""

    step: str
    cause: OSError


def main() -> NoReturn:
    """Entry point: ``python -m wotemu_runtime.engines.local.sandbox CONTROL_FD LIFELINE_FD SHAPER``.

    This process becomes the monitor. The coordinator may start it before it knows what to run, or whether it
    will run anything: nothing is made until it sends the sandbox's parameters over the lifeline.
    """
    control, lifeline = (Channel(socket.socket(fileno=int(fd))) for fd in sys.argv[1:3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's to handle
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps children: their status is of no use
    syscalls.adopt_orphans()  # the zygote is the monitor's to wait for once the unsharer is killed
    home = delegation.current()
    monitor = os.getpid()
    if sys.argv[3] != "tun":
        fork(lambda: _try_netem(monitor, control), keep_fds=[control.fileno()])
    _import_roles(until=lifeline)
    received = lifeline.receive()
    if received is None:  # there is nothing to run
        os._exit(0)
    parameters, _ = received
    _redirect_output(parameters["log"])
    set_file_limit(parameters["file_limit"])
    group = parameters["group"]
    refused = "" if group is None else _join(Path(group))
    uplinks = parameters["uplinks"]
    unsharer = fork(lambda: _unsharer(monitor, control, uplinks), keep_fds=[control.fileno()])
    control.close()
    lifeline.send({"refused": refused})
    _monitor(unsharer, lifeline, home, parameters["remove"])


def _import_roles(until: Channel | None = None) -> None:
    """Import what is forked from here, until the coordinator has sent something."""
    gc.disable()  # what is imported stays: to look for garbage in it takes a quarter of the time
    for name in ROLE_IMPORTS:
        if until is not None and select.select([until], [], [], 0)[0]:
            break
        importlib.import_module(name)
    gc.freeze()
    gc.enable()


def _redirect_output(log: str) -> None:
    """Have this process and its children print to a file from now on."""
    fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    os.dup2(fd, 1)
    os.dup2(fd, 2)
    os.close(fd)


def _try_netem(monitor: int, control: Channel) -> None:
    """Report which features of `netem` this kernel lacks; "" if none.

    In a child, since the trial needs a network namespace to make qdiscs in, and may take half a second where
    the kernel looks for modules that there are none of.
    """
    missing = "the check ended early"
    try:
        from wotemu_gateways.netem.kernel_support import missing_features

        _enter_user_namespace()
        syscalls.die_with_parent(signal.SIGKILL, monitor)
        namespaces.unshare(namespaces.CLONE_NEWNET)
        missing = missing_features()
    except (OSError, Refusal) as error:  # the sandbox is refused the same, and then says so
        missing = str(error)
    finally:
        control.send({"event": "netem", "missing": missing})


def _join(group: Path) -> str:
    """Move this process into a control group, which it makes if need be; why the kernel refuses, else ""."""
    try:
        group.mkdir(exist_ok=True)
        (group / "cgroup.procs").write_text("0")
    except OSError as error:
        return str(error)
    return ""


def _monitor(unsharer: int, lifeline: Channel, home: Path, leftovers: list[str]) -> NoReturn:
    """Wait for the coordinator's or the unsharer's end, then kill the sandbox and remove its control groups.

    Args:
        unsharer: The process id of the child with which the sandbox dies.
        lifeline: Its other end closes when the coordinator ends.
        home: The control group that this process was started in.
        leftovers: The directories to remove at the end.
    """
    child = os.pidfd_open(unsharer)
    select.select([lifeline.fileno(), child], [], [])
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(child, signal.SIGKILL)
    _wait_for_all()
    if leftovers:
        _join(home)  # a group can't be removed while it has a process: the monitor is the leaf's last
    _remove(leftovers)
    os._exit(0)


def _wait_for_all() -> None:
    """Wait for the unsharer, and for the zygote that it leaves to this process.

    The kernel reports the end of a PID namespace's init only after all other processes of the namespace.
    As SIGCHLD is ignored, waitpid(2) returns once there is no child any more.
    """
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, 0)


def _remove(directories: list[str]) -> None:
    """Remove control groups as soon as their last process is gone."""
    deadline = time.monotonic() + _REMOVAL_DEADLINE_S
    for directory in directories:
        while Path(directory).exists() and time.monotonic() < deadline:
            try:
                Path(directory).rmdir()
            except OSError:
                time.sleep(0.02)  # version 1 has no notification that a group has become empty


def _unsharer(monitor: int, control: Channel, uplinks: int) -> int:
    """Enter new namespaces and fork the zygote: unshare(CLONE_NEWPID) moves only later children."""
    # For the gateways, which inherit it: in the new user namespace not even root may enter the class.
    enter_real_time_class(children_too=True)
    try:
        _unshare_all()
    except Refusal as refusal:
        control.send({"event": "refused", "step": refusal.step, "errno": refusal.cause.errno or 0})
        return 1
    # After the new user namespace: changing credentials clears PR_SET_PDEATHSIG (prctl(2)).
    syscalls.die_with_parent(signal.SIGKILL, monitor)
    unsharer = os.getpid()
    pid_read, pid_write = os.pipe2(os.O_CLOEXEC)
    kept = [control.fileno(), pid_read]
    zygote = fork(lambda: _zygote(unsharer, control, pid_read, uplinks), keep_fds=kept)
    # The zygote sees itself as process 1; the coordinator needs the number that the machine knows it by.
    os.write(pid_write, str(zygote).encode().ljust(16))
    _, status = os.waitpid(zygote, 0)
    return 0 if status == 0 else 1


def _enter_user_namespace() -> None:
    """Become root of a new user namespace, unless this user is root and the kernel has no such namespaces."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        namespaces.unshare(namespaces.CLONE_NEWUSER)
        namespaces.map_single_user(0, 0, uid, gid)
    except OSError as error:
        # Root needs none: some kernels forbid user namespaces altogether (user.max_user_namespaces=0).
        if uid != 0:
            raise Refusal("user namespace", error) from error


def _unshare_all() -> None:
    _enter_user_namespace()
    try:
        namespaces.unshare(namespaces.CLONE_NEWPID | namespaces.CLONE_NEWUTS | namespaces.CLONE_NEWIPC)
    except OSError as error:
        raise Refusal(_NAMESPACES, error) from error


def _zygote(unsharer: int, control: Channel, pid_read: int, uplinks: int) -> int:
    """The first process of the PID namespace: give it its own network, /proc and /run, then serve."""
    outer_pid = int(os.read(pid_read, 16))
    os.close(pid_read)
    # Before this process leaves the machine's network and mounts.
    outside = [start_outside() for _ in range(uplinks)]
    try:
        namespaces.unshare(namespaces.CLONE_NEWNET | namespaces.CLONE_NEWNS)
    except OSError as error:
        control.send({"event": "refused", "step": _NAMESPACES, "errno": error.errno or 0})
        return 1
    try:
        syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
        syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
        syscalls.mount("tmpfs", "/run", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755")
        Path(RUN_DIR).mkdir(mode=0o700)
        share_files(Path(RUN_DIR, "etc"))
        syscalls.interface_up("lo")
        os.close(os.open("/dev/net/tun", os.O_RDWR))  # seen now, it is one error instead of one a node
    except OSError as error:
        control.send({"event": "refused", "step": str(error), "errno": error.errno or 0})
        return 1
    if os.getppid() != 0:  # getppid(2) gives 0 for a parent outside of the PID namespace
        raise AssertionError(f"the zygote's parent is {os.getppid()}, not the unsharer {unsharer}")
    syscalls.die_with_parent(signal.SIGKILL, 0)
    control.send({"event": "ready", "pid": outer_pid})
    _import_roles()
    from wotemu_runtime.engines.local.zygote import Zygote

    return Zygote(control, outside).serve()


if __name__ == "__main__":
    main()
