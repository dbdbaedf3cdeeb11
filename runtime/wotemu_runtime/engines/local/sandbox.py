"""The enclosure: one process tree in namespaces of its own that holds all of an emulation and dies with it.

    coordinator ── keeper (outside: cleans up) ── border ── zygote (first process inside)
                                                              ├── bus
                                                              ├── a gateway per network
                                                              └── a node per replica

The keeper waits for the coordinator's end of a socket to close, which the kernel does however the
coordinator ends. It then kills the zygote, and with it the kernel ends every process of the PID namespace,
every mount, interface and network namespace in it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, cast

import attrs

from wotemu_gateways.netlink import namespaces
from wotemu_gateways.userspace.scheduling import enter_real_time_class, leave_real_time_class
from wotemu_runtime.engines.local import own_group
from wotemu_runtime.processes import reaper, syscalls
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.processes.fork import exit_text, fork, freeze

RUN_DIR = "/run/wotemu"
"""Inside of the enclosure: a directory on a tmpfs that nobody outside sees a name of."""

APP_UID = 1000
"""What an app sees itself as when root started the emulation: programs that refuse to be root run too."""

_REMOVAL_DEADLINE_S = 5.0
_AT_ONCE = 4 * (os.cpu_count() or 1)
"""Nodes that start at the same time."""


@attrs.frozen
class Refusal(Exception):  # noqa: N818  # it travels as a message, and is an error only at the other end
    """The kernel does not allow the enclosure; `step` says what it refused."""

    step: str
    cause: OSError


class Failed(Exception):  # noqa: N818  # as `Refusal`
    """A role can't be made: what it is (`where`), and the kernel's reason if it has one."""

    def __init__(self, text: str, where: str, errno: int = 0) -> None:
        super().__init__(text)
        self.where = where
        self.errno = errno


def main() -> NoReturn:
    """Entry point: ``python -m wotemu_runtime.engines.local.sandbox CONTROL_FD LIFELINE_FD [GROUP]``.

    It joins the control group GROUP, and makes it where it isn't there.
    """
    control, lifeline = (Channel(socket.socket(fileno=int(fd))) for fd in sys.argv[1:3])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's to handle
    syscalls.adopt_orphans()
    home = own_group.current()
    refused = _join(Path(sys.argv[3])) if len(sys.argv) > 3 else ""
    keeper = os.getpid()
    border = fork(lambda: _border(keeper, control), keep_fds=[control.fileno()])
    control.close()
    _keep(border, lifeline, home, refused)


def _join(group: Path) -> str:
    """Why this process can't be in a control group; "" where it now is."""
    try:
        group.mkdir(exist_ok=True)
        (group / "cgroup.procs").write_text("0")
    except OSError as error:
        return str(error)
    return ""


def _keep(border: int, lifeline: Channel, home: Path, refused: str) -> NoReturn:
    """Wait for the coordinator's or the border's end, then leave nothing behind.

    Args:
        border: The child that ends with everything inside.
        lifeline: Asks to remember what is to be removed; the coordinator's end closes when it ends.
        home: The control group that this process was in.
        refused: Why it is not in the one that it was to join.
    """
    leftovers: list[str] = []
    child = os.pidfd_open(border)
    with selectors.DefaultSelector() as selector:
        selector.register(lifeline, selectors.EVENT_READ)
        selector.register(child, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select()}
            if child in ready:
                break
            with contextlib.suppress(OSError):
                if received := lifeline.receive():
                    leftovers += received[0]["remove"]
                    lifeline.send({"refused": refused})
                    continue
            break
    with contextlib.suppress(ProcessLookupError):
        os.kill(border, signal.SIGKILL)
    _wait_for_all()
    if leftovers:
        _join(home)  # or the emulation's own group could not be removed
    _remove(leftovers)
    os._exit(0)


def _wait_for_all() -> None:
    """The border, and the zygote that it leaves: the kernel reports its end when its whole tree is gone."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _remove(directories: list[str]) -> None:
    """Remove control groups as soon as their last process is gone."""
    deadline = time.monotonic() + _REMOVAL_DEADLINE_S
    for directory in directories:
        while Path(directory).exists() and time.monotonic() < deadline:
            try:
                Path(directory).rmdir()
            except OSError:
                time.sleep(0.02)  # the kernel tells nobody when a version 1 group becomes empty


def _border(keeper: int, control: Channel) -> int:
    """Cross into the new namespaces; the PID namespace starts with the child."""
    enter_real_time_class(children_too=True)  # for the gateways: inside, not even root may
    try:
        _unshare_all()
    except Refusal as refusal:
        control.send({"event": "refused", "step": refusal.step, "errno": refusal.cause.errno or 0})
        return 1
    syscalls.die_with_parent(signal.SIGKILL, keeper)
    border = os.getpid()
    pid_read, pid_write = os.pipe2(os.O_CLOEXEC)
    zygote = fork(lambda: _zygote(border, control, pid_read), keep_fds=[control.fileno(), pid_read])
    os.write(pid_write, str(zygote).encode().ljust(16))
    _, status = os.waitpid(zygote, 0)
    return 0 if status == 0 else 1


def _unshare_all() -> None:
    uid, gid = os.geteuid(), os.getegid()
    try:
        namespaces.unshare(namespaces.CLONE_NEWUSER)
        namespaces.map_single_user(0, 0, uid, gid)
    except OSError as error:
        if uid != 0:
            raise Refusal("user namespace", error) from error
    flags = namespaces.CLONE_NEWNS | namespaces.CLONE_NEWPID | namespaces.CLONE_NEWNET
    try:
        namespaces.unshare(flags | namespaces.CLONE_NEWUTS | namespaces.CLONE_NEWIPC)
    except OSError as error:
        raise Refusal("network, mount and PID namespaces", error) from error


def _zygote(border: int, control: Channel, pid_read: int) -> int:
    outer_pid = int(os.read(pid_read, 16))
    os.close(pid_read)
    try:
        syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
        syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
        syscalls.mount("tmpfs", "/run", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755")
        Path(RUN_DIR).mkdir(mode=0o700)
        syscalls.interface_up("lo")
        os.close(os.open("/dev/net/tun", os.O_RDWR))
    except OSError as error:
        control.send({"event": "refused", "step": str(error), "errno": error.errno or 0})
        return 1
    if os.getppid() != 0:  # the border is outside of this PID namespace: 0 stands for it
        raise AssertionError(f"the zygote's parent is {os.getppid()}, not the border {border}")
    syscalls.die_with_parent(signal.SIGKILL, 0)
    control.send({"event": "ready", "pid": outer_pid})
    return Zygote(control).serve()


class Zygote:
    """The first process inside: forks the roles and says when one ends.

    Requests: ``{"op": "exec", "role", "argv", "files"}``, ``{"op": "check_netem"}``, ``{"op": "deploy",
    ...}``. Events: ``netem`` (what is missing), ``deployed``, ``failed`` (with where and why), ``exited``
    (role, status).
    """

    def __init__(self, control: Channel) -> None:
        self._control = control
        self._roles: dict[int, str] = {}
        self._ended_early: tuple[str, str] | None = None

    def serve(self) -> int:
        """Until the coordinator closes its end."""
        reaper.serve(self._control, self._serve, self._ended, until_closed=True)
        return 0

    def _serve(self, request: dict[str, Any]) -> None:
        if request["op"] == "exec":
            self._exec(request["role"], request["argv"], request["files"])
            return
        if request["op"] == "check_netem":
            self._control.send({"event": "netem", "missing": _check_netem()})
            return
        for name in request["preload"]:
            importlib.import_module(name)
        freeze()
        self._deploy(request)

    def _exec(self, role: str, argv: list[str], files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = Path(RUN_DIR, name)
            path.touch(mode=0o600)
            path.write_text(text)

        def program() -> int:
            leave_real_time_class()
            os.setsid()  # where Linux shares processors among sessions, this one's share is its own
            os.chdir(RUN_DIR)
            os.execv(argv[0], argv)  # noqa: S606  # a program of ours, no shell

        self._roles[fork(program)] = role

    def _deploy(self, request: dict[str, Any]) -> None:
        try:
            with contextlib.ExitStack() as stack:
                self._make_roles(request, stack)
        except Failed as failed:
            where = {"where": failed.where, "errno": failed.errno}
            self._control.send({"event": "failed", "error": str(failed), **where})
        else:
            self._control.send({"event": "deployed"})

    def _make_roles(self, request: dict[str, Any], stack: contextlib.ExitStack) -> None:
        """Make all places, then the gateways, then start the nodes. `Failed` says what did not work."""
        channels: dict[str, Channel] = {}
        for replica in request["replicas"]:
            name = replica["place"]["replica"]
            with _failing_at(f"the processes of {name}"):
                ours, theirs = Channel.pair()
                channels[name] = ours
                stack.callback(ours.close)
                self._fork_node(replica, theirs, request["file_limit"])
        places: dict[str, dict[str, int]] = {network["name"]: {} for network in request["networks"]}
        for replica in request["replicas"]:
            place = replica["place"]
            fds = _answer(channels[place["replica"]], f"the namespaces of {place['replica']}")
            for interface, fd in zip(place["interfaces"], fds, strict=True):
                places[interface["network"]][place["replica"]] = fd
        for network in request["networks"]:
            with _failing_at(f"the gateway of {network['name']}"):
                self._fork_gateway(network, places[network["name"]])
        self._start(channels)

    def _start(self, channels: Mapping[str, Channel]) -> None:
        """Start nodes, a few at a time: each until its agent is on the bus, which its channel's end tells.

        All at once, agents of hundreds of nodes take so long that each of them believes the bus to be away.
        """
        waiting = list(channels.items())[::-1]
        with selectors.DefaultSelector() as starting:
            while waiting or starting.get_map():
                while waiting and len(starting.get_map()) < _AT_ONCE:
                    name, channel = waiting.pop()
                    with _failing_at(f"the processes of {name}"):
                        channel.send({"start": True})
                    starting.register(channel, selectors.EVENT_READ, name)
                for key, _ in starting.select():
                    channel = cast(Channel, key.fileobj)
                    starting.unregister(channel)
                    if received := channel.receive():
                        raise _failure(received[0], f"the processes of {key.data}")
                    channel.close()
                reaper.reap(self._ended)
                if self._ended_early:
                    role, status = self._ended_early
                    raise Failed(f"it ended by itself: {status}", role)

    def _fork_node(self, replica: dict[str, Any], channel: Channel, file_limit: int) -> None:
        from wotemu_runtime.engines.local.node import run_node

        def node() -> int:
            leave_real_time_class()  # neither agents nor apps may go before everything else
            return run_node(replica, channel, file_limit)

        try:
            pid = fork(node, keep_fds=[channel.fileno()])
        finally:
            channel.close()
        self._roles[pid] = f"agent:{replica['place']['replica']}"

    def _fork_gateway(self, network: dict[str, Any], fds: dict[str, int]) -> None:
        """Start a gateway and wait until its nodes' interfaces are there."""
        from wotemu_runtime.gateway.local import run_local_gateway

        ours, theirs = Channel.pair()

        def gateway() -> int:
            namespaces.unshare(namespaces.CLONE_NEWNET)
            return run_local_gateway(network["assignment"], fds, theirs)

        self._roles[fork(gateway, keep_fds=[*fds.values(), theirs.fileno()])] = f"gateway:{network['name']}"
        theirs.close()
        for fd in fds.values():
            os.close(fd)
        _answer(ours, f"the gateway of {network['name']}")
        ours.close()

    def _ended(self, pid: int, status: int) -> None:
        if role := self._roles.pop(pid, None):
            text = exit_text(status)
            self._ended_early = self._ended_early or (role, text)
            self._control.send({"event": "exited", "role": role, "status": text})


def _answer(channel: Channel, where: str) -> list[int]:
    """The descriptors that a role answers with; `Failed` with what it says instead."""
    message, fds = channel.receive() or ({"error": "it ended while it was made"}, [])
    if "error" in message:
        raise _failure(message, where)
    return fds


def _failure(message: dict[str, Any], where: str) -> Failed:
    return Failed(message["error"], where, message.get("errno", 0))


@contextlib.contextmanager
def _failing_at(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Failed(str(error), where, error.errno or 0) from error


def _check_netem() -> str:
    """What this kernel lacks for the `netem` shaper, in a phrase; "" if nothing."""
    from wotemu_gateways.netem.kernel_support import missing_features

    ours, theirs = Channel.pair()

    def check() -> None:
        namespaces.unshare(namespaces.CLONE_NEWNET)
        theirs.send({"missing": missing_features()})

    fork(check, keep_fds=[theirs.fileno()])
    theirs.close()
    message, _ = ours.receive() or ({"missing": "the check ended early"}, [])
    ours.close()
    return str(message["missing"])


if __name__ == "__main__":
    main()
