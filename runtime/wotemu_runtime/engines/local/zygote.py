"""The zygote, PID 1 of the sandbox: forks the roles from preloaded imports, and reports their ends.

Forks share the pages of what was imported before, so a node costs a few MB and starts in milliseconds.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from wotemu_gateways.netlink import namespaces
from wotemu_gateways.userspace.scheduling import leave_real_time_class
from wotemu_runtime.engines.local import node_namespace
from wotemu_runtime.engines.local.node_namespace import RUN_DIR
from wotemu_runtime.processes import reaper
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.processes.fork import exit_text, fork, freeze
from wotemu_runtime.roles.assignment import Assignment

if TYPE_CHECKING:
    from wotemu_runtime.agent.launcher import Program
    from wotemu_runtime.engines.local.agents import ServedNode


REPLACED = 3
WITHIN_S = 60.0
"""A process of agents that is killed is replaced, unless it was so many times within these seconds."""


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


@attrs.frozen
class _MadeNode:
    """A node whose namespaces are made, before its first process is forked.

    Attributes:
        assignment: What its agent does.
        program: What it runs.
        own: Its namespaces.
        launcher: The agent's end of the channel to its first process.
        nodes_end: The other end.
    """

    assignment: Assignment
    program: Program
    own: namespaces.Namespaces
    launcher: Channel
    nodes_end: Channel


class Zygote:
    """Serves one control channel; `outside` are the processes that become uplinks' programs.

    Requests: ``{"op": "exec", "role", "argv", "files"}``, ``{"op": "preload", "modules"}``, ``{"op": "hold",
    "name"}`` with a descriptor that a role needs, and ``{"op": "deploy", ...}`` (see `deploy_request`).
    Events: ``deployed``, ``failed`` (where, error, errno), ``exited`` (role, status, errno, and as ``raised``
    the first exception of an agent), and ``replaced`` (roles, status) of agents that were killed and are
    started again.
    """

    def __init__(self, control: Channel, outside: Sequence[Channel] = ()) -> None:
        self._control = control
        self._outside = [*outside]
        self._roles: dict[int, str] = {}
        self._agents: dict[str, Sequence[ServedNode]] = {}
        """The nodes of each process of agents, with their launchers' channels, which a successor needs."""
        self._replaced_at: dict[str, list[float]] = {}
        self._held: dict[str, int] = {}
        """Descriptors of the machine's that roles need, by name."""

    def serve(self) -> int:
        """Serve until the coordinator closes its end; the process's exit code."""
        reaper.serve(self._control, self._serve, self._ended, until_closed=True)
        return 0

    def _serve(self, request: dict[str, Any]) -> None:
        if request["op"] == "exec":
            self._exec(request["role"], request["argv"], request["files"])
            return
        if request["op"] == "hold":
            (self._held[request["name"]],) = request["fds"]
            return
        if request["op"] == "preload":
            for name in request["modules"]:
                importlib.import_module(name)
            return
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
            with contextlib.ExitStack() as stack, contextlib.ExitStack() as launchers:
                self._make_roles(request, stack, launchers)
                launchers.pop_all()
        except Failed as failed:
            where = {"where": failed.where, "errno": failed.errno}
            self._control.send({"event": "failed", "error": str(failed), **where})
        else:
            self._control.send({"event": "deployed"})

    def _make_roles(
        self, request: dict[str, Any], stack: contextlib.ExitStack, launchers: contextlib.ExitStack
    ) -> None:
        """Fork the nodes, then the gateways, then the agents.

        In this order, as a gateway needs an interface in each of its nodes' namespaces, and no app may send
        before the gateways are there. Agents start the apps, and serve nodes that are there.

        Raises:
            Failed: A role can't be started; those that were end with the sandbox.
        """
        fds_of: dict[str, dict[str, int]] = {network["name"]: {} for network in request["networks"]}
        served = self._make_nodes(request, fds_of, stack, launchers)
        first = {node.replica: node.first for node in served}
        for uplink in request["uplinks"]:
            with _failing_at(f"the uplink {uplink['namespace']['replica']}"):
                first |= self._fork_uplink(uplink, fds_of)
        for network in request["networks"]:
            with _failing_at(f"the gateway of {network['name']}"):
                self._fork_gateway(network, fds_of[network["name"]])
        if request["capture"] is not None:
            with _failing_at("the capture"):
                self._fork_capture(request["capture"], first)
        if request["publish"] is not None:
            with _failing_at("the published ports"):
                self._fork_publishing(request["publish"], first)
        self._fork_agents(served)

    def _fork_capture(self, assignment: dict[str, Any], first: Mapping[str, int]) -> None:
        """Start the process that captures nodes' packets, before anything sends some."""
        _add_first(assignment["data"]["nodes"], first)
        folder = self._held.pop("captures")

        def capture() -> int:
            from wotemu_runtime.capture.role import run_capture

            leave_real_time_class()
            return run_capture(assignment, folder)

        self._roles[fork(capture, keep_fds=[folder])] = assignment["name"]
        os.close(folder)

    def _fork_publishing(self, assignment: dict[str, Any], first: Mapping[str, int]) -> None:
        """Start the process that forwards ports of the machine to nodes."""
        ports = assignment["data"]["ports"]
        _add_first(ports, first)
        listeners = {each["port"]: self._held.pop(f"port {each['port']}") for each in ports}

        def publishing() -> int:
            from wotemu_runtime.publishing.role import run_publishing

            leave_real_time_class()
            return run_publishing(assignment, listeners)

        self._roles[fork(publishing, keep_fds=listeners.values())] = assignment["name"]
        for fd in listeners.values():
            os.close(fd)

    def _fork_uplink(self, uplink: Mapping[str, Any], fds_of: Mapping[str, dict[str, int]]) -> dict[str, int]:
        """Start the process of an uplink, in a network namespace of its own; its id by its replica.

        It stays in the sandbox's other namespaces, where the bus is.
        """
        from wotemu_runtime.uplink.role import run_uplink

        namespace = node_namespace.NodeNamespace.from_dict(uplink["namespace"])
        outside = self._outside.pop()
        home = namespaces.Namespaces(node_namespace.KINDS)
        try:
            own, fds = node_namespace.make(namespace)
            home.enter()
            own.enter(namespaces.CLONE_NEWNET)
            hosts = node_namespace.hosts_path(namespace.replica)

            def lead_out() -> int:
                leave_real_time_class()
                return run_uplink(uplink["assignment"], outside, hosts)

            pid = fork(lead_out, keep_fds=[outside.fileno()])
        finally:
            home.enter()
            home.close()
        own.close()
        outside.close()
        for interface, fd in zip(namespace.interfaces, fds, strict=True):
            fds_of[interface.network][namespace.replica] = fd
        self._roles[pid] = uplink["assignment"]["name"]
        return {namespace.replica: pid}

    def _make_nodes(
        self,
        request: dict[str, Any],
        fds_of: dict[str, dict[str, int]],
        stack: contextlib.ExitStack,
        launchers: contextlib.ExitStack,
    ) -> list[ServedNode]:
        """Make all nodes' namespaces, then fork their first processes.

        One after the other, as a fork keeps a copy of each page that this process writes to later: between
        two forks it writes as little as it can.

        Args:
            request: The zygote's request.
            fds_of: Gets the descriptors of each network's interfaces, by replica.
            stack: Closes what is needed no more once all roles run.
            launchers: Closes this process's copies of the launchers' channels.

        Returns:
            The nodes, as their agents will need them.
        """
        home = namespaces.Namespaces(node_namespace.KINDS | namespaces.CLONE_NEWPID)
        stack.callback(home.close)
        made = [_make_node(replica, home, fds_of, stack, launchers) for replica in request["replicas"]]
        return [self._fork_node(each, home, request["file_limit"]) for each in made]

    def _fork_node(self, made: _MadeNode, home: namespaces.Namespaces, file_limit: int) -> ServedNode:
        """Fork a node's first process in its namespaces."""
        from wotemu_runtime.engines.local.agents import ServedNode
        from wotemu_runtime.engines.local.node import run_node

        first = functools.partial(run_node, made.program, made.nodes_end, file_limit)
        with _failing_at(f"the processes of {made.assignment.subject}"):
            try:
                made.own.enter()
                namespaces.unshare(namespaces.CLONE_NEWPID)
                pid = fork(first, keep_fds=[made.nodes_end.fileno()])
            finally:
                home.enter()
        made.own.close()
        made.nodes_end.close()
        self._roles[pid] = made.assignment.name
        return ServedNode(made.assignment, pid, made.launcher)

    def _fork_agents(self, nodes: list[ServedNode]) -> None:
        """Start the processes that serve the nodes."""
        from wotemu_runtime.engines.local.agents import groups

        self._agents.update(groups(nodes))
        for name in self._agents:
            with _failing_at(f"the {name}"):
                self._fork_agents_of(name)

    def _fork_agents_of(self, name: str, *, replace: bool = False) -> None:
        """Start one process of agents, or start another in its place."""
        from wotemu_runtime.engines.local.agents import run_agents

        nodes = self._agents[name]

        def agents() -> int:
            leave_real_time_class()
            return run_agents(nodes, replace=replace)

        self._roles[fork(agents, keep_fds=[node.launcher.fileno() for node in nodes])] = name

    def _replace(self, name: str, status: int) -> bool:
        """Replace a process of agents that was killed; whether it was one, and another could be started."""
        if name not in self._agents or not os.WIFSIGNALED(status):
            return False
        now_s = time.monotonic()
        before = [at_s for at_s in self._replaced_at.get(name, ()) if now_s - at_s < WITHIN_S]
        if len(before) >= REPLACED:
            return False
        self._replaced_at[name] = [*before, now_s]
        try:
            self._fork_agents_of(name, replace=True)
        except OSError:
            return False
        roles = [node.assignment.name for node in self._agents[name]]
        self._control.send({"event": "replaced", "roles": roles, "status": exit_text(status)})
        return True

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
        if (role := self._roles.pop(pid, None)) and not self._replace(role, status):
            from wotemu_runtime.engines.local.node import NO_PROCESS

            number = errno.EAGAIN if os.waitstatus_to_exitcode(status) == NO_PROCESS else 0
            how = {"status": exit_text(status), "errno": number, "raised": _raised_by_agent()}
            self._control.send({"event": "exited", "role": role, **how})


def _raised_by_agent() -> dict[str, str] | None:
    """The first exception of an agent, with the role that it is of; None where none has raised."""
    from wotemu_runtime.engines.local.agents import NOTE

    with contextlib.suppress(OSError, ValueError):
        found: dict[str, str] = json.loads(NOTE.read_text())
        return found
    return None


def _make_node(
    replica: Mapping[str, Any],
    home: namespaces.Namespaces,
    fds_of: Mapping[str, dict[str, int]],
    stack: contextlib.ExitStack,
    launchers: contextlib.ExitStack,
) -> _MadeNode:
    """Make the namespaces of one node of a request, and go back `home`; see `Zygote._make_nodes`."""
    from wotemu_runtime.engines.local.node import program_from_dict

    namespace = node_namespace.NodeNamespace.from_dict(replica["namespace"])
    with _failing_at(f"the namespaces of {namespace.replica}"):
        try:
            own, fds = node_namespace.make(namespace)
            launcher, nodes_end = Channel.pair()
        finally:
            home.enter()
    for each in (own, nodes_end):
        stack.callback(each.close)
    launchers.callback(launcher.close)
    for interface, fd in zip(namespace.interfaces, fds, strict=True):
        fds_of[interface.network][namespace.replica] = fd
    assignment = Assignment.from_dict(replica["assignment"])
    return _MadeNode(assignment, program_from_dict(replica["program"]), own, launcher, nodes_end)


def _add_first(items: Sequence[dict[str, Any]], first: Mapping[str, int]) -> None:
    """Add to each item about a replica the id of its first process."""
    for each in items:
        each["first"] = first[each["replica"]]


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
