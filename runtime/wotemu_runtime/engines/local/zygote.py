"""The zygote, PID 1 of the sandbox: forks the roles from preloaded imports, and reports their ends.

Forks share the pages of what was imported before, so a node costs a few MB and starts in milliseconds.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import selectors
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from wotemu_gateways.netlink import namespaces
from wotemu_gateways.userspace.scheduling import leave_real_time_class
from wotemu_runtime.processes import reaper
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.processes.fork import exit_text, fork, freeze

RUN_DIR = "/run/wotemu"
"""A directory on the sandbox's own tmpfs, which has no name outside of the sandbox."""

_AT_ONCE = 4 * (os.cpu_count() or 1)
"""Nodes that start at the same time."""


class Failed(Exception):  # noqa: N818  # it travels as a message, and is an error only at the other end
    """A role can't be started.

    Args:
        text: The reason.
        where: The role, in words.
        errno: The kernel's error number, or 0.
    """

    def __init__(self, text: str, where: str, errno: int = 0) -> None:
        super().__init__(text)
        self.where = where
        self.errno = errno


class Zygote:
    """Serves one control channel.

    Requests: ``{"op": "exec", "role", "argv", "files"}``, ``{"op": "check_netem"}`` and ``{"op": "deploy",
    ...}`` (see `deploy_request`). Events: ``netem`` (what the kernel lacks), ``deployed``, ``failed`` (where,
    error, errno) and ``exited`` (role, status).
    """

    def __init__(self, control: Channel) -> None:
        self._control = control
        self._roles: dict[int, str] = {}
        self._ended_early: tuple[str, str] | None = None

    def serve(self) -> int:
        """Serve until the coordinator closes its end; the process's exit code."""
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
            # With CONFIG_SCHED_AUTOGROUP the kernel shares processors out among sessions: the bus would else
            # compete with every app's processes for the share of one.
            os.setsid()
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
        """Fork all nodes' namespaces, then the gateways, then start the nodes.

        In this order, as a gateway needs an interface in each of its nodes' namespaces, and no app may send
        before the gateways are there.

        Raises:
            Failed: A role can't be started; those that were end with the sandbox.
        """
        channels: dict[str, Channel] = {}
        for replica in request["replicas"]:
            name = replica["namespace"]["replica"]
            with _failing_at(f"the processes of {name}"):
                ours, theirs = Channel.pair()
                channels[name] = ours
                stack.callback(ours.close)
                self._fork_node(replica, theirs, request["file_limit"])
        fds_of: dict[str, dict[str, int]] = {network["name"]: {} for network in request["networks"]}
        for replica in request["replicas"]:
            namespace = replica["namespace"]
            fds = _answer(channels[namespace["replica"]], f"the namespaces of {namespace['replica']}")
            for interface, fd in zip(namespace["interfaces"], fds, strict=True):
                fds_of[interface["network"]][namespace["replica"]] = fd
        for network in request["networks"]:
            with _failing_at(f"the gateway of {network['name']}"):
                self._fork_gateway(network, fds_of[network["name"]])
        self._start(channels)

    def _start(self, channels: Mapping[str, Channel]) -> None:
        """Start the nodes, `_AT_ONCE` at a time. A node has started when its agent is on the bus.

        The agent then closes its end of the channel. Started all at once, the agents of hundreds of nodes
        share the processors for so long that their connections to the bus time out.
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
            leave_real_time_class()  # neither agents nor apps may run before everything else
            return run_node(replica, channel, file_limit)

        try:
            pid = fork(node, keep_fds=[channel.fileno()])
        finally:
            channel.close()
        self._roles[pid] = f"agent:{replica['namespace']['replica']}"

    def _fork_gateway(self, network: dict[str, Any], fds: dict[str, int]) -> None:
        """Start a gateway and wait until it has its nodes' interfaces.

        Args:
            network: The network's name and its gateway's assignment.
            fds: By replica, a TAP's descriptor or that of a network namespace; closed here.
        """
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
    """The descriptors that a role answers with.

    Raises:
        Failed: It answered with an error, or ended.
    """
    message, fds = channel.receive() or ({"error": "it ended while it started"}, [])
    if "error" in message:
        raise _failure(message, where)
    return fds


def _failure(message: dict[str, Any], where: str) -> Failed:
    return Failed(message["error"], where, message.get("errno", 0))


@contextlib.contextmanager
def _failing_at(where: str) -> Iterator[None]:
    """Turn the kernel's errors in the block into `Failed`."""
    try:
        yield
    except OSError as error:
        raise Failed(str(error), where, error.errno or 0) from error


def _check_netem() -> str:
    """The features of `netem` that this kernel lacks, in a phrase; "" if none.

    In a child, since the trial needs a network namespace to make qdiscs in.
    """
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
