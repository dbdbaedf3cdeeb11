"""TAP devices: Ethernet interfaces whose other end is a file descriptor, one frame a read or write."""

from __future__ import annotations

import fcntl
import os
import struct

TUN_DEVICE = "/dev/net/tun"

TX_QUEUE_FRAMES = 4000
"""Frames that the kernel queues for a gateway that is busy; the default of 500 fills within one burst."""

_TUNSETIFF, _TUNSETPERSIST, _TUNSETCARRIER, _TUNGETFEATURES = 0x400454CA, 0x400454CB, 0x400454E2, 0x800454CF
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_IFREQ = struct.Struct("16sH22x")
"""struct ifreq: name and flags."""


def open_tap(name: str, *, outlives_descriptor: bool = False) -> int:
    """Create a TAP in this thread's network namespace; it lives as long as its descriptor.

    No offload is requested, so no frame is longer than the MTU allows: one super-frame of 64 KiB would be
    delayed, lost and paced as one packet.

    Args:
        name: The interface's name.
        outlives_descriptor: Whether it lives as long as its namespace instead. The kernel removes a device
            in 25 ms as its descriptor is closed, one after the other, but all devices of namespaces that
            end at one time at once.

    Returns:
        A non-blocking descriptor.

    Raises:
        OSError: The device can't be opened, or the interface can't be made.
    """
    fd = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, _IFREQ.pack(name.encode(), _IFF_TAP | _IFF_NO_PI))
        if outlives_descriptor:
            fcntl.ioctl(fd, _TUNSETPERSIST, 1)
    except BaseException:
        os.close(fd)
        raise
    return fd


def set_carrier(fd: int, *, is_on: bool) -> None:
    """Give a TAP its carrier, or take it away, as a cable that is plugged in or out (Linux 5.0).

    Raises:
        OSError: The kernel is too old.
    """
    fcntl.ioctl(fd, _TUNSETCARRIER, struct.pack("=i", is_on))


def is_tun(path: str) -> bool:
    """Whether a device makes TAPs; `OSError` where it can't be opened."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _TUNGETFEATURES, bytes(4))
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
