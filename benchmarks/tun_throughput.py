"""Packets and bytes a second that the `tun` shaper carries, against a bare loop that only delays.

    python -m benchmarks.tun_throughput [--rounds 3] [--seconds 2] [--check] [--json FILE]

It needs iperf3; unless it is root it enters a user namespace of its own. Two replicas in namespaces exchange
packets through one gateway process:

- bare: read a frame, hold it for a constant delay, write it; no addresses, conditions or counters
- delay: the switch, with the same delay, counting flows and hops
- all: the switch, with latency, jitter, loss, rate and queue on the sender's way up, rate and queue down

The flood also comes from 50 of 100 ports to the other 50, 32 packets from each in turn. For the
floods the table has how late packets left the shaper's hops, p50, p95 and p99.

UDP is a flood of packets, so the gateway is what limits it; TCP is one iperf3 stream, without jitter and
loss, which would slow TCP itself. Rounds alternate, since a machine's speed drifts; the ratio is the median
of the rounds' ratios. CPU is the gateway's time for each packet it delivered.

`--check` exits with 1 where all conditions carry less than 0.8 of what the bare loop carries, and where the
bare loop delivered nearly all that was offered: then the flood was the limit, and the ratio hides something.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import NoReturn

import attrs

from benchmarks.namespace import UNSHARE
from benchmarks.tun_testbed import (
    ALL,
    ALL_FOR_TCP,
    DELAY,
    ENDS,
    PORT,
    SHARES,
    WIDE,
    Gateway,
    Testbed,
    bare_gateway,
    with_conditions,
)
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.packets.ethernet import mac_of
from wotemu_gateways.shaper import Member

PACKET_BYTES = 1000
SEGMENTS = 32
"""Packets in one send: 32 * 1000 bytes fit into the largest UDP datagram."""
OFFERED_PER_S = 400_000
"""More packets than any of the gateways carries on one core."""
UDP_SEGMENT = 103
"""Socket option of linux/udp.h that Python has no name for: the kernel cuts sends into such packets."""

MANY = [
    Member(f"n{number}", address, mac_of(address))
    for number, address in enumerate(f"10.64.0.{last}" for last in range(2, 102))
]
LATE = [f"late_p{share * 100:.0f}_ms" for share in SHARES]

GOAL = 0.8
FULL = 0.9
"""A share of what is offered: a gateway that delivers so much is not what limits the flood."""


@attrs.frozen
class Throughput:
    """What one variant carried in one round: packets or Mbit a second, the gateway's CPU time each, and
    lateness (percentiles of `SHARES`)."""

    per_second: float
    cpu_us: float
    late_ms: list[float]


UDP: dict[str, Gateway] = {
    "bare": bare_gateway,
    "delay": with_conditions(DELAY, NetworkConditions()),
    "all": with_conditions(ALL, WIDE),
}
TCP: dict[str, Gateway] = {
    "bare": bare_gateway,
    "delay": with_conditions(DELAY, NetworkConditions()),
    "all": with_conditions(ALL_FOR_TCP, WIDE),
}


def flood(bed: Testbed, seconds: float, members: Sequence[Member] = ENDS) -> Throughput:
    """Packets per second that reach receivers while more are sent than the gateway can carry.

    Each member at an even place sends to the next one.
    """
    with ExitStack() as stack:
        sources = []
        for sender, receiver in zip(members[::2], members[1::2], strict=True):
            with bed.namespaces[receiver.replica].entered():
                sink = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sink.bind(("", PORT))
            with bed.namespaces[sender.replica].entered():
                source = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            source.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, PACKET_BYTES)
            source.connect((receiver.ipv4, PORT))
            sources.append(source)
        flooder = os.fork()
        if not flooder:
            try:
                _send_forever(sources)
            finally:
                os._exit(1)
        try:
            time.sleep(0.5)  # until the queues are full
            return _watch(bed, seconds, members[1::2])
        finally:
            os.kill(flooder, 9)
            os.waitpid(flooder, 0)


def flood_of_many(bed: Testbed, seconds: float) -> Throughput:
    """As `flood`, between the pairs of `MANY`."""
    return flood(bed, seconds, MANY)


def _send_forever(sources: Sequence[socket.socket]) -> NoReturn:
    """Send at `OFFERED_PER_S`; segmentation offload leaves most of the CPU to the gateway."""
    burst, begun_s, sent, turns = bytes(PACKET_BYTES * SEGMENTS), time.monotonic(), 0, cycle(sources)
    while True:
        while sent < (time.monotonic() - begun_s) * OFFERED_PER_S:
            next(turns).send(burst)
            sent += SEGMENTS
        time.sleep(SEGMENTS / OFFERED_PER_S)


def _watch(bed: Testbed, seconds: float, receivers: Sequence[Member]) -> Throughput:
    def delivered() -> int:
        return sum(bed.delivered(receiver) for receiver in receivers)

    begun_s, cpu_s, packets = time.monotonic(), bed.cpu_s(), delivered()
    time.sleep(seconds)
    took_s, cpu_s, packets = time.monotonic() - begun_s, bed.cpu_s() - cpu_s, delivered() - packets
    return Throughput(packets / took_s, cpu_s / max(packets, 1) * 1e6, bed.late_ms())


def stream(bed: Testbed, seconds: float) -> Throughput:
    """Goodput of one TCP stream in Mbit/s."""
    sender, receiver = (bed.namespaces[end.replica] for end in ENDS)
    with subprocess.Popen(
        receiver.command("iperf3", "-s", "-1", "--forceflush"), stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        server.stdout.readline()
        server.stdout.readline()  # its second line says that it listens
        command = sender.command("iperf3", "-c", ENDS[1].ipv4, "-t", f"{seconds + 1:.0f}", "-O", "1", "-J")
        with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
            time.sleep(0.7)  # iperf3 leaves out the first second, too: -O 1
            watched = _watch(bed, seconds, ENDS[1:])
            report = json.loads(client.communicate()[0])
        server.communicate()
    return Throughput(report["end"]["sum_received"]["bits_per_second"] / 1e6, watched.cpu_us, watched.late_ms)


def compare(
    measure: Callable[[Testbed, float], Throughput],
    variants: dict[str, Gateway],
    rounds: int,
    seconds: float,
    members: Sequence[Member] = ENDS,
) -> dict[str, dict[str, float]]:
    """What each variant carries, as medians of the rounds, and how that compares with the bare loop."""
    results: dict[str, list[Throughput]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, gateway in variants.items():
            bed = Testbed(gateway, members)
            try:
                results[name].append(measure(bed, seconds))
            finally:
                bed.close()
    return {
        name: {
            "per_second": statistics.median(each.per_second for each in some),
            "x_bare": statistics.median(
                a.per_second / b.per_second for a, b in zip(some, results["bare"], strict=True)
            ),
            "cpu_us": statistics.median(each.cpu_us for each in some),
            **{
                f"late_p{share * 100:.0f}_ms": statistics.median(each.late_ms[place] for each in some)
                for place, share in enumerate(SHARES)
            },
        }
        for name, some in results.items()
    }


def show(title: str, table: dict[str, dict[str, float]]) -> None:
    """Print one table."""
    print(title)
    for name, row in table.items():
        carried, ratio, cpu_us = row["per_second"], row["x_bare"], row["cpu_us"]
        late = "" if name == "bare" else "  late " + " ".join(f"{row[key]:.2f}" for key in LATE) + " ms"
        print(f"  {name:6} {carried:9,.0f}  {ratio:5.2f} x bare  {cpu_us:6.2f} us CPU/packet{late}")


def missed(udp: dict[str, dict[str, float]], tcp: dict[str, dict[str, float]]) -> list[str]:
    """The goals that were missed."""
    found = [
        f"{name}: {table['all']['x_bare']:.2f} x bare with all conditions, of {GOAL}"
        for name, table in (("UDP", udp), ("TCP", tcp))
        if table["all"]["x_bare"] < GOAL
    ]
    if udp["bare"]["per_second"] > FULL * OFFERED_PER_S:
        found.append(f"UDP: {OFFERED_PER_S:,} packets/s are no limit to the bare loop")
    return found


def main() -> None:
    """Compare the variants of UDP, then those of TCP."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if os.geteuid() != 0:
        os.execvp(UNSHARE[0], [*UNSHARE, sys.executable, "-m", "benchmarks.tun_throughput", *sys.argv[1:]])
    udp = compare(flood, UDP, given.rounds, given.seconds)
    show(f"UDP, packets/s of {PACKET_BYTES} bytes", udp)
    many = compare(flood_of_many, UDP, given.rounds, given.seconds, MANY)
    show(f"UDP, the same from and to {len(MANY)} ports", many)
    tcp = compare(stream, TCP, given.rounds, given.seconds)
    show("TCP, Mbit/s of one stream", tcp)
    if given.json:
        given.json.write_text(json.dumps({"udp": udp, "many_ports": many, "tcp": tcp}))
    if given.check and (found := missed(udp, tcp)):
        sys.exit("goals missed: " + "; ".join(found))


if __name__ == "__main__":
    main()
