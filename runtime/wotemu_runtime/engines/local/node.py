"""A node of the local engine: its first process, which launches its app."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

from wotemu_gateways.netlink import namespaces
from wotemu_gateways.userspace.scheduling import leave_real_time_class
from wotemu_runtime.agent.launcher import Launcher, Program
from wotemu_runtime.app_process import scratch
from wotemu_runtime.app_process.loading.spec import AppSpec
from wotemu_runtime.engines.local import node_namespace
from wotemu_runtime.engines.local.file_limit import set_file_limit
from wotemu_runtime.engines.local.nproc_limit import set_nproc_limit
from wotemu_runtime.processes import syscalls
from wotemu_runtime.processes.channel import Channel

NO_PROCESS = os.EX_OSERR
"""Exit code of a node that the kernel refused a process (sysexits.h: "can't fork")."""


def run_node(program: Program, launcher: Channel, file_limit: int) -> int:
    """Launch a node's app when its agent requests it; this process is the first one of the node.

    Args:
        program: What the node runs.
        launcher: The requests of the node's agent; the node ends once the agent closes its end.
        file_limit: How many files the app may open.

    Returns:
        The exit code.
    """
    leave_real_time_class()  # no app may run before everything else
    node_namespace.mount_proc()

    def become_app(program: Program) -> None:
        set_file_limit(file_limit)
        isolate(program)

    clock = None
    if program.skews_clock:
        from wotemu_runtime.agent.wall_clock import open_wall_clock  # few nodes have a use for it

        node_namespace.mount_shared_memory()
        clock = open_wall_clock(node_namespace.RUN_DIR)
    try:
        Launcher(program, become_app, scratch.IN_NAMESPACE, clock).serve(launcher)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.ENOMEM):
            raise
        print(f"wotemu: the app's process can't be made: {error.strerror}", file=sys.stderr)
        return NO_PROCESS
    return 0


def program_from_dict(data: dict[str, Any]) -> Program:
    """A `Program` from its message."""
    return Program(
        app=None if data["app"] is None else AppSpec.from_dict(data["app"]),
        command=tuple(data["command"]),
        env=data["env"],
        cwd=data["cwd"],
        cgroups=tuple(data["cgroups"]),
        uid=data["uid"],
        nproc_limit=data["nproc_limit"],
        skews_clock=data.get("skews_clock", False),
    )


def isolate(program: Program) -> None:
    """Confine this process as an app: in its control groups, as an ordinary user, without capabilities."""
    for directory in program.cgroups:
        try:
            Path(directory, "cgroup.procs").write_text("0")
        except OSError as error:  # reported in the log; the app runs without the limit
            print(f"wotemu: a limit is not enforced: {directory}: {error.strerror}", file=sys.stderr)
    if program.uid is not None:
        uid, gid = os.geteuid(), os.getegid()
        namespaces.unshare(namespaces.CLONE_NEWUSER)
        namespaces.map_single_user(program.uid, program.uid, uid, gid)
        if (
            program.nproc_limit is not None
        ):  # counted in the new namespace, not with the user's other processes
            set_nproc_limit(program.nproc_limit)
    # Last, as the user namespace needs them.
    syscalls.drop_all_capabilities()
