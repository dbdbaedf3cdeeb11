"""Checks before anything starts that this machine has the open files and the memory that a plan needs."""

from __future__ import annotations

import resource

import psutil

from wotemu.errors import HostError
from wotemu_runtime.planning.models import Plan

BUS_CONNECTIONS = 3
"""Connections of one role to the bus, at most: for commands, for addresses, and for all else."""
_OWN_FILES = 96
"""Files that any process needs besides, with those that a Redis server reserves (32)."""

NODE_BYTES = 12_000_000
"""Lower bound of the memory of an idle node, whose processes share most pages. Measured: 16 to 20 MB."""


def check_memory(plan: Plan) -> None:
    """Check that idle nodes have room.

    Raises:
        HostError: They have not.
    """
    needed = NODE_BYTES * len(plan.replicas)
    available = psutil.virtual_memory().available + psutil.swap_memory().free
    if needed > available:
        raise HostError(
            f"{len(plan.replicas)} nodes need {needed / 1e9:.1f} GB of memory at the least;"
            f" {available / 1e9:.1f} GB are free",
            where="local engine",
            hint="use fewer nodes, or a cluster: --engine swarm",
        )


def needed_files(plan: Plan) -> int:
    """The open files of the process with most: the bus, or the zygote, which holds all nodes' interfaces."""
    interfaces = sum(len(network.members) for network in plan.networks)
    return _OWN_FILES + max(BUS_CONNECTIONS * len(plan.roles), len(plan.replicas) + interfaces)


def allow_files(plan: Plan) -> int:
    """Raise the limit of open files of this process, and so of its children, as far as it may be raised.

    Returns:
        The former limit, which apps get back: many programs close or poll all files up to it.

    Raises:
        HostError: The plan needs more than the hard limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    needed = needed_files(plan)
    if not unlimited and hard < needed:
        raise HostError(
            f"{len(plan.replicas)} nodes need {needed} open files in one process; {hard} are allowed",
            where="local engine",
            hint=f"allow more in this shell: ulimit -n {needed}; if that is refused, as root in"
            " /etc/security/limits.conf (nofile), or use fewer nodes",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(needed, soft) if unlimited else hard, hard))
    return soft


def restore_files(soft: int) -> None:
    """Give this process the limit that `allow_files` returned."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
