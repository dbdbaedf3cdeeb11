"""Sends probes to the agents of other nodes over the emulated networks, and records those that arrive."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import struct
import time
from collections.abc import Sequence

from wotemu.records import ProbeArrived, ProbeSent
from wotemu_gateways.packets import probe
from wotemu_runtime.agent.namespaces import SO_TIMESTAMPNS, NodeNamespaces
from wotemu_runtime.bus import WallClock
from wotemu_runtime.planning.probe_rounds import Rounds
from wotemu_runtime.roles.role import Role

_TIMESPEC = struct.Struct("@ll")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
_MAX_BYTES = 64


class Prober:
    """One replica's probes, on all its networks.

    Open it before T0: other agents begin to send then.

    Args:
        role: the replica's role.
        replica: its name.
        rounds: on each network, whom to probe and when.
        namespaces: the node's namespaces, whose sockets and host names are used.
    """

    def __init__(
        self, role: Role, replica: str, rounds: Sequence[Rounds], namespaces: NodeNamespaces
    ) -> None:
        self._role = role
        self._replica = replica
        self._rounds = rounds
        self._sockets: dict[str, socket.socket] = {}
        self._namespaces = namespaces
        self._wall = WallClock()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failed: asyncio.Future[None]

    def __repr__(self) -> str:
        return f"Prober({self._replica!r}, {[each.network for each in self._rounds]})"

    def open(self) -> None:
        """Bind the port on each network; report where it is taken: nothing is probed there."""
        loop = asyncio.get_running_loop()
        for rounds in self._rounds:
            try:
                address = self._namespaces.address(f"{self._replica}.{rounds.network}")
                opened = self._namespaces.open_probe_socket(address)
            except OSError as error:
                text = f"{self._replica} can't probe {rounds.network}: {error}"
                self._role.event("probes.unavailable", text, network=rounds.network)
                continue
            self._sockets[rounds.network] = opened
            loop.add_reader(opened.fileno(), self._receive, opened, rounds.network)

    async def run(self) -> None:
        """Send until cancelled."""
        t0 = await self._role.t0
        self._failed = asyncio.get_running_loop().create_future()
        try:
            for rounds in self._rounds:
                if rounds.network in self._sockets:
                    self._send_when_due(rounds, 0, t0)
            await self._failed
        finally:
            for timer in self._timers.values():
                timer.cancel()

    def close(self) -> None:
        """Close the sockets."""
        loop = asyncio.get_running_loop()
        for opened in self._sockets.values():
            loop.remove_reader(opened.fileno())
            opened.close()
        self._sockets.clear()

    def _send_when_due(self, rounds: Rounds, number: int, t0: float) -> None:
        """Send the probe of a round when it is due, and then those of the next rounds, one each.

        Rounds that are over already are skipped.
        """
        first_s = t0 + rounds.phase_s
        over = math.floor((self._role.now() - first_s) / rounds.every_s)
        number = max(number, over)
        left_s = self._role.clock.left_s(first_s + number * rounds.every_s)
        if left_s <= 0:
            try:
                self._send(rounds, number)
            except Exception as error:  # nobody waits for a timer: `run` raises it
                self._failed.set_exception(error)
                return
            self._send_when_due(rounds, number + 1, t0)
            return
        # A timer, not a task that sleeps: there is one for each node and network.
        timer = asyncio.get_running_loop().call_later(left_s, self._send_when_due, rounds, number, t0)
        self._timers[rounds.network] = timer

    def _send(self, rounds: Rounds, number: int) -> None:
        peer = rounds.peers[number % len(rounds.peers)]
        probe_id = rounds.number << 32 | number
        with contextlib.suppress(OSError):  # the peer has no address yet: nothing was sent
            address = self._namespaces.address(f"{peer}.{rounds.network}")
            self._wall.look()  # as arrivals are stamped with the wall clock, which may be set
            before = time.monotonic()
            self._sockets[rounds.network].sendto(probe.pack(probe_id), (address, probe.PORT))
            took = time.monotonic() - before
            sent = self._role.clock.at(before)
            self._role.publisher.put(ProbeSent(sent, rounds.network, self._replica, peer, probe_id, took))

    def _receive(self, opened: socket.socket, network: str) -> None:
        """Record one probe; the loop calls again where there are more."""
        try:
            payload, ancillary, _, _ = opened.recvmsg(_MAX_BYTES, _ANCILLARY_BYTES)
        except OSError:  # also ICMP port unreachable for an earlier probe, reported once
            return
        number = probe.unpack(payload)
        if number is not None:
            arrived = self._role.clock.at(_arrival_s(ancillary, self._wall))
            self._role.publisher.put(ProbeArrived(arrived, network, self._replica, number))


def _arrival_s(ancillary: list[tuple[int, int, bytes]], wall: WallClock) -> float:
    """When the kernel received the datagram, on CLOCK_MONOTONIC; now, where it has no timestamp."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return wall.monotonic(float(seconds + nanoseconds / 1e9))  # the kernel stamps with CLOCK_REALTIME
    return time.monotonic()
