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

_NAMES = {
    CLONE_NEWNET: "net",
    CLONE_NEWUTS: "uts",
    CLONE_NEWIPC: "ipc",
    CLONE_NEWPID: "pid_for_children",
    CLONE_NEWNS: "mnt",
}
"""The files of /proc/thread-self/ns; the mounts last, which bring another /proc."""

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


class Namespaces:
    """Namespaces of several kinds, held by descriptors, which a process of one thread can enter.

    Args:
        flags: ``CLONE_NEW...`` of the kinds that are held: the ones that this process is in now, or of PID
            namespaces the one that its next child will be in.
    """

    def __init__(self, flags: int) -> None:
        self._fds: dict[int, int] = {}
        try:
            for kind, name in _NAMES.items():
                if kind & flags:
                    self._fds[kind] = os.open(f"/proc/thread-self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"Namespaces({[_NAMES[kind] for kind in self._fds]})"

    def enter(self, flags: int = ~0) -> None:
        """Move this process there, and of PID namespaces its next children; its directory becomes the root.

        Args:
            flags: ``CLONE_NEW...`` of the kinds to enter, of those that are held.

        Raises:
            OSError: The kernel does not permit it.
        """
        for kind, fd in self._fds.items():
            if kind & flags:
                _setns(fd, kind)

    def close(self) -> None:
        """Give the descriptors back; namespaces live on as long as a process is in them."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()


def _setns(fd: int, kind: int) -> None:
    if _libc.setns(fd, kind):
        raise _error("setns")


def _error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")
