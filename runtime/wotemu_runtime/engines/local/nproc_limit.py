"""RLIMIT_NPROC: limits the processes and threads of an app that has a user namespace of its own."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

_COUNTED_BY_NAMESPACE = (5, 14)
"""The first kernel that counts by user namespace: before, all processes of a user are counted together."""


def nproc_limit_holds() -> bool:
    """Whether the limit holds for this user's apps.

    The kernel exempts the user who is root of the machine, also without capabilities (copy_process).
    """
    major, minor = platform.release().split("-")[0].split(".")[:2]
    uid_map = Path("/proc/self/uid_map").read_text()
    return (int(major), int(minor)) >= _COUNTED_BY_NAMESPACE and not is_root_of_machine(uid_map, os.geteuid())


def is_root_of_machine(uid_map: str, uid: int) -> bool:
    """Whether a user is the machine's root.

    Args:
        uid_map: The map of its user namespace, as /proc/PID/uid_map has it.
        uid: Its id in that namespace.
    """
    ranges = (map(int, line.split()) for line in uid_map.splitlines())
    return any(first <= uid < first + count and outside + uid == first for first, outside, count in ranges)


def set_nproc_limit(most: int) -> None:
    """Limit this process's user namespace to `most` processes and threads, or to fewer if that holds."""
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
