"""An emulated network with real nodes: their namespaces, a gateway's process, and traffic between them."""

from __future__ import annotations

import os
import pickle
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import attrs

from wotemu.records import Flow, Hop
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.compose import CLEAR
from wotemu_gateways.netlink.namespaces import entered

from .gateway import address_of

PORT = 5000
HEADERS_BYTES = 14 + 20 + 8
_STAMP = struct.Struct("!IQ")
_TIMESPEC = struct.Struct("=qq")
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS, _SO_NO_CHECK = 33, 35, 11
_ROOM = 128 << 20
_READY_S = 30.0
LATE_S = 0.003
"""Lateness allowed to a packet on a busy machine; nothing may be early."""

_DIRECTIONS: tuple[Direction, Direction] = ("up", "down")


class Namespace:
    """A network namespace, kept by a process that ends with this one."""

    def __init__(self) -> None:
        words = "ip link set lo up; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6; echo; exec cat"
        self._keeper = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._keeper.stdout is not None
        self._keeper.stdout.readline()
        self.fd = os.open(f"/proc/{self._keeper.pid}/ns/net", os.O_RDONLY)

    def command(self, *words: str) -> list[str]:
        """A command line that runs inside."""
        return ["nsenter", f"--net=/proc/{self._keeper.pid}/ns/net", *words]

    def run(self, line: str) -> str:
        """Run a command inside; its output."""
        return subprocess.run(self.command(*line.split()), capture_output=True, text=True, check=True).stdout

    def close(self) -> None:
        """Let it go."""
        os.close(self.fd)
        self._keeper.communicate()


@attrs.frozen
class Arrival:
    """One packet that came: its number, how long it was under way, when it came, and its bytes."""

    number: int
    delay_s: float
    at_s: float
    payload: bytes


class Stream:
    """Numbered, timed UDP packets from one node to another. The kernel stamps them when they arrive."""

    def __init__(
        self, field: Field, source: str, target: str, *, size: int, port: int, checksum: bool
    ) -> None:
        self.source, self.target = source, target
        self._to = (field.addresses[target], port)
        self._padding = bytes(size - _STAMP.size)
        with entered(field.nodes[source].fd):
            self._sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with entered(field.nodes[target].fd):
            self._sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sink.setblocking(False)
        for each in (self._sender, self._sink):
            each.setsockopt(socket.SOL_SOCKET, _SO_NO_CHECK, not checksum)
        try:
            self._sink.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _ROOM)
        except PermissionError:  # root of a user namespace may not; `Field.send` reads along
            self._sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)
        self._sink.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._sink.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        self._sink.bind(("", port))
        self.frame_bytes = size + HEADERS_BYTES
        self.sent = 0
        self.marked = 0
        self.arrived: list[Arrival] = []
        self._there: set[int] = set()

    def close(self) -> None:
        """Close both ends."""
        self._sender.close()
        self._sink.close()

    def set_tos(self, tos: int) -> None:
        """Send with these bits for service and congestion."""
        self._sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)

    def send(self, count: int = 1) -> None:
        """Send packets at once."""
        for _ in range(count):
            self._sender.sendto(_STAMP.pack(self.sent, time.time_ns()) + self._padding, self._to)
            self.sent += 1

    def receive(self) -> None:
        """Take what has arrived."""
        while True:
            try:
                payload, about, _, _ = self._sink.recvmsg(2048, 256)
            except BlockingIOError:
                return
            at_ns = 0
            for level, kind, data in about:
                if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                    seconds, ns = _TIMESPEC.unpack(data)
                    at_ns = seconds * 1_000_000_000 + ns
                elif (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS):
                    self.marked += data[0] & 3 == 3
            number, sent_ns = _STAMP.unpack_from(payload)
            self._there.add(number)
            self.arrived.append(Arrival(number, (at_ns - sent_ns) / 1e9, at_ns / 1e9, payload))

    def settle(self, count: int, within_s: float) -> None:
        """Wait until so many have arrived in all, duplicates not counted, or nothing has for that long."""
        self.receive()
        while len(self._there) < count and select.select([self._sink], [], [], within_s)[0]:
            self.receive()

    @property
    def numbers(self) -> list[int]:
        """Which packets arrived, in their order."""
        return [arrival.number for arrival in self.arrived]

    @property
    def delays_s(self) -> list[float]:
        """How long each was under way."""
        return [arrival.delay_s for arrival in self.arrived]

    @property
    def lost(self) -> list[bool]:
        """Of each packet sent, whether it was lost."""
        there = set(self.numbers)
        return [number not in there for number in range(self.sent)]


class Field:
    """Nodes a, b and c under one shaper. Every condition can go back to none, so tests share them."""

    NODES = ("a", "b", "c")

    def __init__(self, shaper: str) -> None:
        self.shaper = shaper
        self.nodes = {name: Namespace() for name in self.NODES}
        self.addresses = {name: address_of(i) for i, name in enumerate(self.NODES)}
        self._home = Namespace()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        fds = [theirs.fileno(), *(node.fd for node in self.nodes.values())]
        named = [f"{name}={node.fd}" for name, node in self.nodes.items()]
        words = [sys.executable, "-m", "tests.conformance.gateway", shaper, str(theirs.fileno()), *named]
        self._process = subprocess.Popen(self._home.command(*words), pass_fds=fds)
        theirs.close()
        self._control.settimeout(_READY_S)
        self._unanswered = 1
        self._port = PORT
        self.await_answers()

    def close(self) -> None:
        """End the gateway and take the namespaces away."""
        self._control.close()
        self._process.wait(_READY_S)
        for namespace in (self._home, *self.nodes.values()):
            namespace.close()

    # The gateway

    def post(self, name: str, *arguments: Any) -> None:
        """Have the gateway do something, without waiting for it."""
        self._control.send(pickle.dumps((name, arguments)))
        self._unanswered += 1

    def await_answers(self) -> Any:
        """Wait until it has done all; what the last call returned."""
        answer = None
        while self._unanswered:
            received = self._control.recv(1 << 20)
            assert received, "the gateway has ended"
            self._unanswered -= 1
            ok, answer = pickle.loads(received)
            assert ok, answer
        return answer

    def call(self, name: str, *arguments: Any) -> Any:
        """Have the gateway do something; what it returned."""
        self.post(name, *arguments)
        return self.await_answers()

    def set(self, node: str, direction: Direction, conditions: NetworkConditions = CLEAR) -> None:
        """Impose conditions on a hop."""
        self.call("set_hop", node, direction, conditions)

    def clear(self) -> None:
        """Everything back to none, and the counters to zero."""
        for node in self.NODES:
            for direction in _DIRECTIONS:
                self.post("set_hop", node, direction, CLEAR)
            self.post("cut", node, False)
        self.post("partition", [])
        self.post("block", [])
        self.post("set_shared_bucket", None)
        self.call("drain", 0.0)

    def drain(self) -> tuple[list[Flow], dict[tuple[str, str], Hop]]:
        """The flows, and the hops by node and direction, since the last call."""
        rows = self.call("drain", time.time())
        hops = {(row.node, row.direction): row for row in rows if isinstance(row, Hop)}
        return [row for row in rows if isinstance(row, Flow)], hops

    def await_taken(self, node: str, count: int, within_s: float = 2.0) -> None:
        """Wait until the gateway has taken so many packets from a node: those that it holds or has sent on.

        What still waits in the kernel when conditions change comes after the change.
        """
        sent, deadline = 0, time.monotonic() + within_s
        while time.monotonic() < deadline:
            hop = self.drain()[1][node, "up"]
            sent += hop.sent
            if sent + hop.backlog >= count:
                return
        raise AssertionError(f"the gateway has taken {sent} packets of {count} from {node}")

    # Traffic

    @contextmanager
    def stream(
        self,
        source: str = "a",
        target: str = "b",
        *,
        size: int = 100,
        checksum: bool = True,
        port: int | None = None,
    ) -> Iterator[Stream]:
        """Packets with payloads of `size` bytes from one node to another, to a port, by default their own."""
        self._port += 1
        stream = Stream(self, source, target, size=size, port=port or self._port, checksum=checksum)
        try:
            yield stream
        finally:
            stream.close()

    def send(
        self,
        streams: Stream | Sequence[Stream],
        count: int,
        per_second: float,
        *,
        settle_s: float = 0.3,
        every_s: float = 0.0,
        then: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Send packets of each stream at a steady rate, and wait for what is under way.

        `then` is called every `every_s` meanwhile, with how often it has been.
        """
        streams = [streams] if isinstance(streams, Stream) else streams
        begun_s, called, done = time.monotonic(), 0, 0
        while done < count:
            passed_s = time.monotonic() - begun_s
            if every_s and passed_s >= called * every_s:
                then(called)
                called += 1
            due = min(1 + int(passed_s * per_second), count)
            if due == done:
                time.sleep(max((done / per_second) - passed_s, 0))
                continue
            for stream in streams:
                stream.send(due - done)
                stream.receive()
            done = due
        for stream in streams:
            stream.settle(stream.sent, settle_s)

    def run(self, node: str, line: str) -> str:
        """Run a command as a node; its output."""
        return self.nodes[node].run(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
