"""System calls that Python lacks; each raises `OSError`, as those in `os` do."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

# Constants have their names of <sys/mount.h>, <sys/prctl.h>, <linux/capability.h>, <net/if.h>,
# <linux/sockios.h>.
MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x2, 0x4, 0x8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x20, 0x1000, 0x4000, 0x40000

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_LINUX_CAPABILITY_VERSION_3 = 0x20080522
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 0x1
_IFREQ_FLAGS = "16sH14x"
"""struct ifreq with ifr_flags: the interface's name, the flags, and the rest of the union."""

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount a file system, or change the propagation of a mount: mount(2).

    Args:
        source: A device or directory; the kernel ignores it where there is none.
        target: The mount point.
        kind: Type of the file system; none for a bind mount or a change.
        flags: `MS_BIND` and so on.
        data: Options of the file system.
    """
    arguments = (
        source.encode(),
        target.encode(),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        data.encode() or None,
    )
    _check(_libc.mount(*arguments), f"mount {source} on {target}")


def die_with_parent(signal: int, parent: int) -> None:
    """Have the kernel send `signal` to this process when its parent ends.

    Args:
        signal: The signal's number.
        parent: Process id of the parent, 0 if that is in another PID namespace.
    """
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal)), "prctl")
    # The parent may have ended before the call: then the signal would never come.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal)


def adopt_orphans() -> None:
    """Become the parent of each descendant whose parent ends, in order to reap it: PR_SET_CHILD_SUBREAPER."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0), "prctl")


def name_thread(name: str) -> None:
    """Name this thread, and a process by its first one, for ``ps`` and the like: 15 bytes at most."""
    _check(_libc.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0), "prctl")


def drop_all_capabilities() -> None:
    """Drop every capability; no program that is started from here can regain one."""
    # The bounding set stays: without it, execve(2) refuses a program with file capabilities, such as ping,
    # which runs well without them. With "no new privileges" it gets none.
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0), "prctl")
    header = struct.pack("=Ii", _LINUX_CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, bytes(24)), "capset")


def interface_up(name: str) -> None:
    """Set an interface up, without importing a netlink library."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack(_IFREQ_FLAGS, name.encode(), 0)
        flags = struct.unpack(_IFREQ_FLAGS, fcntl.ioctl(sock, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack(_IFREQ_FLAGS, name.encode(), flags | _IFF_UP))
