"""Making and entering namespaces: unshare(2) and setns(2), which Python has itself only from 3.12 on."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leave the given namespaces for new ones.

    Raises:
        OSError: The kernel does not permit it.
    """
    if _libc.unshare(ctypes.c_int(flags)):
        raise _error("unshare")


def map_single_user(inside_uid: int, inside_gid: int, outside_uid: int, outside_gid: int) -> None:
    """Map this new user namespace's only user: it is `inside_uid` here and `outside_uid` in the parent."""
    # Without privileges in the parent, the kernel takes a gid_map only once setgroups(2) is denied.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inside_uid} {outside_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{inside_gid} {outside_gid} 1")


@contextmanager
def entered(netns_fd: int) -> Iterator[None]:
    """Move this thread to another network namespace for a while; sockets made there stay there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(netns_fd, CLONE_NEWNET)
        try:
            yield
        finally:
            _setns(home, CLONE_NEWNET)
    finally:
        os.close(home)


@contextmanager
def new_pid_namespace() -> Iterator[None]:
    """Have the first process that is forked in the block be the first one of a new PID namespace."""
    home = os.open("/proc/thread-self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare(CLONE_NEWPID)
        try:
            yield
        finally:
            _setns(home, CLONE_NEWPID)  # else the next fork would fail: unshare(2) moved all later children
    finally:
        os.close(home)


def _setns(fd: int, kind: int) -> None:
    if _libc.setns(fd, kind):
        raise _error("setns")


def _error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")
