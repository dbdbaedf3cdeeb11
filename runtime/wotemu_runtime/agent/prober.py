"""Sends probes to the agents of other nodes over the emulated networks, and tells of those that come."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from wotemu.records import ProbeArrived, ProbeSent
from wotemu_gateways.packets import probe
from wotemu_runtime.bus import WallClock
from wotemu_runtime.planning.probe_schedule import Rounds
from wotemu_runtime.roles.role import Role

_SO_TIMESTAMPNS = 35
"""The kernel's option (asm-generic/socket.h) to tell when a datagram came to the interface."""

_TIMESPEC = struct.Struct("@ll")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
_MAX_BYTES = 64


class Prober:
    """One replica's probes, on all its networks. Open before T0, so that no early probe finds nobody."""

    def __init__(self, role: Role, replica: str, rounds: Sequence[Rounds]) -> None:
        self._role = role
        self._replica = replica
        self._rounds = rounds
        self._sockets: dict[str, socket.socket] = {}
        self._hosts = HostsFile()
        self._wall = WallClock()

    def __repr__(self) -> str:
        return f"Prober({self._replica!r}, {[each.network for each in self._rounds]})"

    def open(self) -> None:
        """Take the port on each network; where an app has it already, that is told and nothing is probed."""
        loop = asyncio.get_running_loop()
        for rounds in self._rounds:
            try:
                opened = _open(self._hosts.address(f"{self._replica}.{rounds.network}"))
            except OSError as error:
                text = f"{self._replica} can't probe {rounds.network}: {error}"
                self._role.event("probes.unavailable", text, network=rounds.network)
                continue
            self._sockets[rounds.network] = opened
            loop.add_reader(opened.fileno(), self._receive, opened, rounds.network)

    async def run(self) -> None:
        """Send until cancelled."""
        t0 = await self._role.t0
        async with asyncio.TaskGroup() as group:
            for rounds in self._rounds:
                if rounds.network in self._sockets:
                    group.create_task(self._send_all(rounds, t0), name=f"probes on {rounds.network}")

    def close(self) -> None:
        """Give the ports back."""
        loop = asyncio.get_running_loop()
        for opened in self._sockets.values():
            loop.remove_reader(opened.fileno())
            opened.close()
        self._sockets.clear()

    async def _send_all(self, rounds: Rounds, t0: float) -> None:
        """A probe a round; rounds that this process was too late for are left out."""
        for number in itertools.count():
            due = t0 + rounds.phase_s + number * rounds.every_s
            if self._role.now() > due + rounds.every_s:
                continue
            await self._role.session.sleep_until(due)
            self._send(rounds, number)

    def _send(self, rounds: Rounds, number: int) -> None:
        peer = rounds.peers[number % len(rounds.peers)]
        probe_id = rounds.number << 32 | number
        with contextlib.suppress(OSError):  # a peer that has no address yet: nothing was sent
            address = self._hosts.address(f"{peer}.{rounds.network}")
            self._wall.look()
            before = time.monotonic()
            self._sockets[rounds.network].sendto(probe.pack(probe_id), (address, probe.PORT))
            took = time.monotonic() - before
            sent = self._role.clock.at(before)
            self._role.publisher.put(ProbeSent(sent, rounds.network, self._replica, peer, probe_id, took))

    def _receive(self, opened: socket.socket, network: str) -> None:
        while True:
            try:
                payload, ancillary, _, _ = opened.recvmsg(_MAX_BYTES, _ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError:  # a peer's port was closed when our probe came: the kernel tells us once
                continue
            number = probe.unpack(payload)
            if number is not None:
                came = self._role.clock.at(_arrival(ancillary, self._wall))
                self._role.publisher.put(ProbeArrived(came, network, self._replica, number))


class HostsFile:
    """Looks names up in /etc/hosts alone: the resolver would ask a name server, and wait for it."""

    def __init__(self, path: Path = Path("/etc/hosts")) -> None:
        self._path = path
        self._read_at = 0
        self._addresses: dict[str, str] = {}

    def address(self, name: str) -> str:
        """The address of `name`; `OSError` where there is none."""
        changed_at = self._path.stat().st_mtime_ns
        if changed_at != self._read_at:
            self._read_at, self._addresses = changed_at, dict(_entries(self._path.read_text()))
        if name not in self._addresses:
            raise OSError(f"no address for {name}")
        return self._addresses[name]


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Names and addresses of a hosts file."""
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        yield from ((name, address) for name in names)


def _open(address: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        opened.bind((address, probe.PORT))
    except OSError:
        opened.close()
        raise
    return opened


def _arrival(ancillary: list[tuple[int, int, bytes]], wall: WallClock) -> float:
    """When the kernel got it, on CLOCK_MONOTONIC; now, if it doesn't say."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return wall.monotonic(float(seconds + nanoseconds / 1e9))  # the kernel stamps with CLOCK_REALTIME
    return time.monotonic()
