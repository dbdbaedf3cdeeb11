"""What counting requests from packets costs: CPU time of traffic that has none, of a request, and of a claim.

    python -m benchmarks.wire_requests [--packets 10000] [--rounds 25] [--check] [--slack 1] [--json FILE]

Two namespaces are joined by a pair of interfaces. UDP datagrams of 1000 bytes and a TCP stream cross it with
the packet sockets of both nodes' agents and without them, in turns; all of the kernel's work for a packet is
CPU time of this process. It is the worst case: no gateway is between, which takes several times as much. Then
requests of HTTP cross it, and what both agents do with their packets is measured alone; and what an app on
WoTPy does for a request to be left out. The least of the rounds is printed: other load only adds.

`--check` exits with 1 where other traffic takes more than 15 % more CPU time, a request more than 60 us at
each end, or a claim more than 25 us.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.interactions import drain
from benchmarks.namespace import UNSHARE, Namespace
from wotemu_runtime.app_process.agent_connection import AgentConnection
from wotemu_runtime.app_process.messages import Claim
from wotemu_runtime.app_process.record_sockets import socket_pair
from wotemu_runtime.wire.packet_reader import PacketReader, open_packets
from wotemu_runtime.wire.seen_requests import SeenRequests

ADDRESSES = ("10.64.0.2", "10.64.0.3")
COAP_PORT, PORT = 5683, 8000
PACKET_BYTES = 1000
CHUNK_BYTES = 1 << 16
REQUEST = b"GET /things/7/value HTTP/1.1\r\nHost: sensor\r\nAccept: */*\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n21.5"
BATCH = 40
"""Requests after which their packets are read: the kernel's buffer has room for them."""
GOAL_RATIO, GOAL_REQUEST_US, GOAL_CLAIM_US = 1.15, 60.0, 25.0
_INSIDE = "--inside"


@contextmanager
def joined() -> Iterator[list[Namespace]]:
    """Two namespaces with an interface to each other."""
    ends = [Namespace(), Namespace()]
    try:
        second = ends[1].command("true")[1].partition("=")[2]
        ends[0]._run(f"ip link add eth0 type veth peer name eth0 netns {second}")
        for end, address in zip(ends, ADDRESSES, strict=True):
            end._run("ip link set eth0 gso_max_segs 1 up")
            end._run(f"ip addr add {address}/24 dev eth0")
        yield ends
    finally:
        for end in ends:
            end.close()


@contextmanager
def watched(ends: list[Namespace]) -> Iterator[list[socket.socket]]:
    """The packet sockets of both nodes' agents."""
    opened = []
    for end in ends:
        with end.entered():
            opened.append(open_packets(COAP_PORT))
    try:
        yield opened
    finally:
        for each in opened:
            each.close()


def datagrams(ends: list[Namespace], count: int) -> float:
    """Nanoseconds of CPU time of a datagram."""
    sockets = []
    for end in ends:
        with end.entered():
            sockets.append(socket.socket(type=socket.SOCK_DGRAM))
    sockets[1].bind((ADDRESSES[1], 9000))
    sockets[0].connect((ADDRESSES[1], 9000))
    data, send = bytes(PACKET_BYTES), sockets[0].send
    begun = time.process_time_ns()
    for _ in range(count):
        send(data)
    took = (time.process_time_ns() - begun) / count
    for each in sockets:
        each.close()
    return took


@contextmanager
def connection(ends: list[Namespace]) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection between the two."""
    with ends[1].entered():
        listening = socket.create_server((ADDRESSES[1], PORT))
    with ends[0].entered():
        client = socket.create_connection((ADDRESSES[1], PORT))
    served, _ = listening.accept()
    for each in (client, served):
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with listening, client, served:
        yield client, served


def stream(ends: list[Namespace], count: int) -> float:
    """Nanoseconds of CPU time of 1000 bytes of a TCP stream."""
    chunks = max(1, count * PACKET_BYTES // CHUNK_BYTES)
    with connection(ends) as (client, served):
        data = bytes(CHUNK_BYTES)
        begun = time.process_time_ns()
        for _ in range(chunks):
            client.sendall(data)
            left = CHUNK_BYTES
            while left:
                left -= len(served.recv(left))
        return (time.process_time_ns() - begun) / (chunks * CHUNK_BYTES) * PACKET_BYTES


async def request_us(ends: list[Namespace], count: int) -> float:
    """Microseconds of CPU time that one end's agent uses for a request and its answer."""
    took_ns = seen = 0
    with watched(ends) as opened, connection(ends) as (client, served):
        nodes = [SeenRequests() for _ in opened]
        readers = [
            PacketReader(each, lambda frame, t, sent, node=node: node.take(frame, t, is_outgoing=sent))  # type: ignore[misc]
            for each, node in zip(opened, nodes, strict=True)
        ]
        for _ in range(count // BATCH):
            for _ in range(BATCH):
                client.sendall(REQUEST)
                served.recv(CHUNK_BYTES)
                served.sendall(ANSWER)
                client.recv(CHUNK_BYTES)
            begun = time.process_time_ns()
            for reader, node in zip(readers, nodes, strict=True):
                reader._read()
                seen += sum(1 for _ in node.ended(time.monotonic()))
            took_ns += time.process_time_ns() - begun
        for node in nodes:
            seen += sum(1 for _ in node.ended(time.monotonic(), is_last=True))
        for reader in readers:
            reader.close()
    expected = count // BATCH * BATCH * len(ends)
    if seen != expected:
        raise RuntimeError(f"{seen} of {expected} requests were seen")
    return took_ns / expected / 1e3


def claim_us(count: int) -> float:
    """Microseconds of CPU time of an app that says which socket it measures itself."""
    agent, own = socket_pair()
    pid = drain(agent, own)
    connected = AgentConnection(own)
    begun = time.process_time_ns()
    for number in range(count):
        connected.claim(Claim("connected", 32768 + number % 20000, time.monotonic()))
    took_ns = time.process_time_ns() - begun
    own.close()
    os.waitpid(pid, 0)
    return took_ns / count / 1e3


def traffic(
    ends: list[Namespace], flood: Callable[[list[Namespace], int], float], packets: int, rounds: int
) -> tuple[float, float]:
    """The least without the agents' sockets and with them."""
    found: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * rounds):
        is_watched = number % 4 in (1, 2)  # neither is always the first of a pair
        with ExitStack() as stack:
            if is_watched:
                stack.enter_context(watched(ends))
            found[is_watched].append(flood(ends, packets))
    return min(found[False]), min(found[True])


def measure(packets: int, rounds: int) -> dict[str, dict[str, float]]:
    """All of it, in the order in which it is printed."""
    with joined() as ends:
        found = {}
        for name, flood in (("UDP, a packet of 1000 bytes", datagrams), ("TCP, 1000 bytes", stream)):
            without, with_it = traffic(ends, flood, packets, rounds)
            found[name] = {"without_ns": without, "with_ns": with_it, "ratio": with_it / without}
        requests = [asyncio.run(request_us(ends, packets // 10)) for _ in range(rounds)]
        found["a request, at each end"] = {"us": min(requests)}
        found["a claim"] = {"us": min(claim_us(packets // 10) for _ in range(rounds))}
        return found


def main() -> None:
    """Measure, print the table, and check the goals."""
    if _INSIDE not in sys.argv:  # as root of namespaces of its own
        command = [*UNSHARE, sys.executable, "-m", "benchmarks.wire_requests", *sys.argv[1:], _INSIDE]
        sys.exit(subprocess.run(command, check=False).returncode)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--slack", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument(_INSIDE, action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    found = measure(given.packets, given.rounds)
    for name, values in found.items():
        if "ratio" in values:
            without, with_it, ratio = values.values()
            print(f"{name:<30}{without:>8.0f} ns{with_it:>8.0f} ns{ratio:>8.3f} x")
        else:
            print(f"{name:<30}{values['us']:>8.1f} us")
    if given.json:
        given.json.write_text(json.dumps(found))
    ratios = [values["ratio"] for values in found.values() if "ratio" in values]
    missed = [
        max(ratios) > 1 + (GOAL_RATIO - 1) * given.slack,
        found["a request, at each end"]["us"] > GOAL_REQUEST_US * given.slack,
        found["a claim"]["us"] > GOAL_CLAIM_US * given.slack,
    ]
    if given.check and any(missed):
        sys.exit(
            f"goals missed: other traffic {GOAL_RATIO:g} x, a request {GOAL_REQUEST_US:g} us, "
            f"a claim {GOAL_CLAIM_US:g} us"
        )


if __name__ == "__main__":
    main()
