"""What a plan needs of this machine, in open files and memory: what can't be had is said in time."""

from __future__ import annotations

import resource

import psutil

from wotemu.errors import HostError
from wotemu_runtime.planning.models import Plan

BUS_CONNECTIONS = 3
"""Connections to the bus a role, at most: for commands, for members, and for all else."""
_OWN_FILES = 96
"""What any process needs besides, and what a Redis server keeps for itself (32)."""

NODE_BYTES = 12_000_000
"""Memory of a node whose app needs none, at least: its processes share most pages. Measured: 16 to 20 MB."""


def check_memory(plan: Plan) -> None:
    """`HostError` where not even idle nodes have room."""
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
    """What the process with most open files needs: the bus, or the one that holds all nodes' interfaces."""
    interfaces = sum(len(network.members) for network in plan.networks)
    return _OWN_FILES + max(BUS_CONNECTIONS * len(plan.roles), len(plan.replicas) + interfaces)


def allow_files(plan: Plan) -> int:
    """Raise this process's limit of open files, and so its children's, as far as it may be raised.

    Returns:
        The limit before, which is an app's to have.

    Raises:
        HostError: The plan needs more.
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
    """Give this process the limit that `allow_files` found."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
