"""The few system calls that Python 3.11 lacks, each raising `OSError` as os.* does."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x2, 0x4, 0x8
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    arguments = (
        source.encode(),
        target.encode(),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        data.encode() or None,
    )
    _check(_libc.mount(*arguments), f"mount {source} on {target}")


def die_with_parent(signal: int, parent: int) -> None:
    """Have the kernel send `signal` to this process when its parent ends, also if it has ended already."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal)), "prctl")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so as to be able to wait for it."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0), "prctl")


def sethostname(name: str) -> None:
    """sethostname(2), in this UTS namespace."""
    encoded = name.encode()
    _check(_libc.sethostname(encoded, ctypes.c_size_t(len(encoded))), "sethostname")


def drop_all_capabilities() -> None:
    """Give up every capability, for good: no program started from here can get one back.

    The bounding set stays: without it, execve(2) refuses a program with file capabilities, such as ping,
    which runs well without them; with "no new privileges" it gets none.
    """
    _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0), "prctl")
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, bytes(24)), "capset")


def interface_up(name: str) -> None:
    """Set an interface up (SIOCGIFFLAGS, SIOCSIFFLAGS): loopback, before any netlink library is loaded."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sH14x", name.encode(), 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(sock, 0x8913, request))[1]
        fcntl.ioctl(sock, 0x8914, struct.pack("16sH14x", name.encode(), flags | 0x1))
