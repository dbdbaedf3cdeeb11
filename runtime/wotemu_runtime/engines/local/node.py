"""A node of the local engine: makes its namespaces, then waits for its first process."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from wotemu_gateways.netlink import namespaces
from wotemu_runtime.agent.agent import run_agent
from wotemu_runtime.agent.launcher import Launcher, Program
from wotemu_runtime.app_process.loading.spec import AppSpec
from wotemu_runtime.engines.local import machine_limits, node_namespace
from wotemu_runtime.processes import syscalls
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.processes.fork import fork

SCRATCH = Path("/run/wotemu/nodes")


def run_node(replica: dict[str, Any], channel: Channel, file_limit: int) -> int:
    """Make a node's namespaces, hand its interfaces to the gateways, and run its first process.

    Args:
        replica: The namespaces, program and assignment, as `deploy_request` has them.
        channel: The zygote's messages; it closes when the node's agent is on the bus.
        file_limit: How many files the app may open.

    Returns:
        The exit code of the first process.
    """
    namespace = node_namespace.NodeNamespace.from_dict(replica["namespace"])
    try:
        fds = node_namespace.enter(namespace, SCRATCH / namespace.replica)
    except OSError as error:
        channel.send({"error": str(error), "errno": error.errno or 0})
        return 1
    channel.send({"placed": namespace.replica}, fds)
    for fd in fds:
        os.close(fd)
    if channel.receive() is None:
        return 1
    fd = channel.fileno()
    try:
        first = fork(lambda: _first_process(replica, fd, file_limit), keep_fds=[fd])
    except OSError as error:
        channel.send({"error": str(error), "errno": error.errno or 0})
        return 1
    channel.close()
    signal.signal(signal.SIGTERM, lambda *_: os.kill(first, signal.SIGTERM))
    _, status = os.waitpid(first, 0)
    return os.waitstatus_to_exitcode(status)


def _first_process(replica: dict[str, Any], fd: int, file_limit: int) -> int:
    """The node's init: starts agent and app. The agent closes `fd` once it is on the bus."""
    node_namespace.mount_proc()
    program = program_from_dict(replica["program"])
    assignment = replica["assignment"]

    def become_app(program: Program) -> None:
        machine_limits.restore_files(file_limit)
        isolate(program)

    launcher = Launcher(program, become_app)
    launcher.serve(
        lambda agent_end: run_agent(assignment, agent_end, on_connected=lambda: os.close(fd)), keep_fds=[fd]
    )


def program_from_dict(data: dict[str, Any]) -> Program:
    """A `Program` from its message."""
    return Program(
        app=None if data["app"] is None else AppSpec.from_dict(data["app"]),
        command=tuple(data["command"]),
        env=data["env"],
        cwd=data["cwd"],
        cgroups=tuple(data["cgroups"]),
        uid=data["uid"],
    )


def isolate(program: Program) -> None:
    """Confine this process as an app: in its control groups, as an ordinary user, without capabilities."""
    for directory in program.cgroups:
        try:
            Path(directory, "cgroup.procs").write_text("0")
        except OSError as error:  # reported in the log; the app runs without the limit
            print(f"wotemu: a limit is not enforced: {directory}: {error.strerror}", file=sys.stderr)
    # Hides the bus's socket and configuration, with its password, from the app.
    namespaces.unshare(namespaces.CLONE_NEWNS)
    syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount(
        "tmpfs", "/run/wotemu", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755,size=64k"
    )
    if program.uid is not None:
        uid, gid = os.geteuid(), os.getegid()
        namespaces.unshare(namespaces.CLONE_NEWUSER)
        namespaces.map_single_user(program.uid, program.uid, uid, gid)
    # Last, as mounts and user namespaces need them.
    syscalls.drop_all_capabilities()
