"""The shaper in user space: TAP devices, and the loop that moves frames between them and the switch.

A replica's interface is a TAP whose other end the gateway holds, so nothing can pass unshaped. No offload is
asked for: every frame is at most one MTU long, so rate and loss count what a wire would carry.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import select
import socket
import struct
from pathlib import Path

from wotemu_gateways.frames import mac_text
from wotemu_gateways.ports import Port
from wotemu_gateways.switch import Switch
from wotemu_gateways.timer import Timer

DEVICE = Path("/dev/net/tun")
QUEUE_FRAMES = 4096
"""Frames that the kernel keeps for the gateway; a stall of 50 ms at 80,000 packets/s fits."""

_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_TUNSETIFF = 0x400454CA
_SIOCSIFMTU, _SIOCSIFHWADDR, _SIOCSIFTXQLEN = 0x8922, 0x8924, 0x8943
_ARPHRD_ETHER = 1
_CLONE_NEWNET = 0x40000000
_TURN_S = 0.002


def open_tap(netns_fd: int, name: str, mac: bytes, mtu: int) -> int:
    """Make a TAP in another network namespace; the non-blocking descriptor of its gateway end.

    The device lives as long as the descriptor. It is down and has no address yet. The calling thread enters
    the namespace and comes back. `OSError` says what the kernel refused.
    """
    with Path("/proc/thread-self/ns/net").open("rb") as home:
        _setns(netns_fd)
        try:
            return _make_tap(name, mac, mtu)
        finally:
            _setns(home.fileno())


def _setns(netns_fd: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(netns_fd, _CLONE_NEWNET):
        error = ctypes.get_errno()
        raise OSError(error, f"setns: {os.strerror(error)}")


def _make_tap(name: str, mac: bytes, mtu: int) -> int:
    ifname = name.encode()
    fd = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", ifname, _IFF_TAP | _IFF_NO_PI))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, _SIOCSIFHWADDR, struct.pack("16sH6s16x", ifname, _ARPHRD_ETHER, mac))
            fcntl.ioctl(control, _SIOCSIFMTU, struct.pack("16si20x", ifname, mtu))
            fcntl.ioctl(control, _SIOCSIFTXQLEN, struct.pack("16si20x", ifname, QUEUE_FRAMES))
    except OSError as error:
        os.close(fd)
        error.add_note(f"while making the TAP {name} with MAC {mac_text(mac)}")
        raise
    return fd


class Pump:
    """Moves frames for one switch, inside an event loop.

    The ports' descriptors and the timer are in an epoll set of their own, and the loop watches that set: a
    wake-up of the loop serves packets as tightly as a loop of its own would, for at most 2 ms at a time.
    """

    def __init__(self, switch: Switch, loop: asyncio.AbstractEventLoop) -> None:
        self._switch = switch
        self._loop = loop
        self._timer = Timer()
        self._armed_s: float | None = None
        self._ports: dict[int, Port] = {}
        self._epoll = select.epoll()
        self._epoll.register(self._timer.fd, select.EPOLLIN)
        loop.add_reader(self._epoll.fileno(), self._serve)

    def attach(self, replica: str, fd: int) -> None:
        """Take over a replica's descriptor, instead of any it had; it is closed with the pump."""
        self.detach(replica)
        self._ports[fd] = self._switch.attach(replica, fd)
        self._epoll.register(fd, select.EPOLLIN)

    def detach(self, replica: str) -> None:
        """Close a replica's descriptor, if it has one."""
        for fd in [fd for fd, port in self._ports.items() if port.replica == replica]:
            self._switch.attach(replica, -1)
            self._epoll.unregister(fd)
            del self._ports[fd]
            os.close(fd)

    def close(self) -> None:
        """Stop, and close every descriptor."""
        self._loop.remove_reader(self._epoll.fileno())
        for port in list(self._ports.values()):
            self.detach(port.replica)
        self._epoll.close()
        self._timer.close()

    def _serve(self) -> None:
        switch, ports, timer_fd = self._switch, self._ports, self._timer.fd
        poll, now, release = self._epoll.poll, switch.now, switch.deadlines.release
        turn_ends_s = now() + _TURN_S
        while events := poll(0):
            now_s = now()
            for fd, _ in events:
                if fd == timer_fd:
                    self._timer.clear()
                    self._armed_s = None
                else:
                    switch.read(ports[fd], now_s)
            release(now())
            self._arm()
            if now_s > turn_ends_s:
                return

    def _arm(self) -> None:
        next_s = self._switch.deadlines.next_s
        if next_s != self._armed_s:
            self._armed_s = next_s
            if next_s is not None:
                self._timer.set(next_s)
