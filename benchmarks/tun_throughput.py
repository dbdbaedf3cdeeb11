"""Packets and bytes a second that the `tun` shaper carries, against a bare loop that only delays.

Run it as ``python -m benchmarks.tun_throughput`` in the repository (as root, or it enters a user namespace of
its own). It needs iperf3. Two replicas in namespaces exchange packets through one gateway process:

- bare: read a frame, hold it for a constant delay, write it; no addresses, conditions or counters
- delay: the switch, with the same delay, counting flows and hops
- all: the switch, with latency, jitter, loss, rate and queue on the sender's way up, rate and queue down

UDP is a flood of packets, so the gateway is what limits it; TCP is one iperf3 stream, without jitter and
loss, which would slow TCP itself. Rounds alternate, since a machine's speed drifts; the ratio is the median
of the rounds' ratios. CPU is the gateway's time for each packet it delivered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import select
import socket
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NoReturn

import attrs
import uvloop

from benchmarks.namespace import UNSHARE, Namespace
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.packets.ethernet import mac_of
from wotemu_gateways.shaper import Member
from wotemu_gateways.userspace.pump import Pump
from wotemu_gateways.userspace.scheduling import request_low_latency
from wotemu_gateways.userspace.switch import Switch
from wotemu_gateways.userspace.timerfd import TimerFd

DELAY_S = 0.005
PACKET_BYTES = 1000
SEGMENTS = 32
"""Packets in one send: 32 * 1000 bytes fit into the largest UDP datagram."""
OFFERED_PER_S = 150_000
"""More packets than any of the gateways carries on one core."""
UDP_SEGMENT = 103
"""Socket option of linux/udp.h that Python has no name for: the kernel cuts sends into such packets."""
ENDS = [Member(name, address, mac_of(address)) for name, address in (("a", "10.64.0.2"), ("b", "10.64.0.3"))]

DELAY = NetworkConditions(latency="5ms")
WIDE = NetworkConditions(rate="10gbit", queue="1s")
ALL = NetworkConditions(latency="5ms", jitter="1ms", loss="0.001%", rate="10gbit", queue="1s")
ALL_FOR_TCP = NetworkConditions(latency="5ms", rate="10gbit", queue="1s")


@attrs.frozen
class Throughput:
    """What one variant carried in one round: packets or Mbit a second, and the gateway's CPU time each."""

    per_second: float
    cpu_us: float


def bare_gateway(taps: Sequence[int]) -> None:
    """The least that can delay packets: one queue, absolute timers, 64 frames per wake-up."""
    timer, epoll = TimerFd(), select.epoll()
    epoll.register(timer.fd, select.EPOLLIN)
    for tap in taps:
        epoll.register(tap, select.EPOLLIN)
    other = {taps[0]: taps[1], taps[1]: taps[0]}
    waiting: deque[tuple[float, bytes, int]] = deque()
    now, read, write = time.monotonic, os.read, os.write
    while True:
        for fd, _ in epoll.poll():
            if fd == timer.fd:
                timer.clear()
                continue
            to, was_empty, due_s = other[fd], not waiting, now() + DELAY_S
            try:
                for _ in range(64):
                    waiting.append((due_s, read(fd, 65535), to))
            except BlockingIOError:
                pass
            if was_empty and waiting:
                timer.set(waiting[0][0])
        now_s = now()
        while waiting and waiting[0][0] <= now_s:
            _, frame, to = waiting.popleft()
            write(to, frame)
        if waiting:
            timer.set(waiting[0][0])


def switch_gateway(taps: Sequence[int], up: NetworkConditions, down: NetworkConditions) -> None:
    """The shaper as a run uses it."""
    directions: dict[Direction, NetworkConditions] = {"up": up, "down": down}
    hops = {(end.replica, way): conditions for end in ENDS for way, conditions in directions.items()}

    async def serve() -> None:
        request_low_latency()
        switch = Switch("field", ENDS, hops=hops, ports={5201: "iperf3"})
        pump = Pump(switch, asyncio.get_running_loop())
        for end, tap in zip(ENDS, taps, strict=True):
            pump.attach(end.replica, tap)
        while True:
            await asyncio.sleep(1)
            for _ in switch.drain(time.time()):
                pass

    uvloop.run(serve())


Gateway = Callable[[Sequence[int]], None]


def with_conditions(up: NetworkConditions, down: NetworkConditions) -> Gateway:
    """A gateway with these conditions on each node's two hops."""
    return lambda taps: switch_gateway(taps, up, down)


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


class Testbed:
    """Two replicas and a gateway process between them."""

    def __init__(self, gateway: Gateway) -> None:
        """Make the namespaces, and fork the gateway with the other ends of their interfaces."""
        self.namespaces = {end.replica: Namespace() for end in ENDS}
        taps = [self.namespaces[end.replica].make_tap(end) for end in ENDS]
        self._gateway = os.fork()
        if not self._gateway:
            try:
                gateway(taps)
            finally:
                os._exit(1)
        for tap in taps:
            os.close(tap)

    def close(self) -> None:
        """End the gateway and remove the namespaces."""
        os.kill(self._gateway, 15)
        os.waitpid(self._gateway, 0)
        for namespace in self.namespaces.values():
            namespace.close()

    def cpu_s(self) -> float:
        """CPU time of the gateway so far, user and system."""
        with open(f"/proc/{self._gateway}/stat") as stat:  # noqa: PTH123
            fields = stat.read().rpartition(")")[2].split()
        # utime and stime, fields 14 and 15 of proc(5), of which the first two stand before the ")".
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def delivered(self, member: Member) -> int:
        """Packets that a replica's interface has received."""
        with self.namespaces[member.replica].entered(), open("/proc/thread-self/net/dev") as devices:  # noqa: PTH123
            line = next(line for line in devices if line.strip().startswith("eth0"))
        return int(line.partition(":")[2].split()[1])


def flood(bed: Testbed, seconds: float) -> Throughput:
    """Packets per second that reach the receiver while more are sent than the gateway can carry."""
    sender, receiver = ENDS
    with bed.namespaces[receiver.replica].entered():
        sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("", 5201))
    with bed.namespaces[sender.replica].entered():
        source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    source.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, PACKET_BYTES)
    source.connect((receiver.ipv4, 5201))
    flooder = os.fork()
    if not flooder:
        try:
            _send_forever(source)
        finally:
            os._exit(1)
    try:
        time.sleep(0.5)  # until the queues are full
        return _watch(bed, seconds)
    finally:
        os.kill(flooder, 9)
        os.waitpid(flooder, 0)
        sink.close()
        source.close()


def _send_forever(source: socket.socket) -> NoReturn:
    """Send at `OFFERED_PER_S`; segmentation offload leaves most of the CPU to the gateway."""
    burst, begun_s, sent = bytes(PACKET_BYTES * SEGMENTS), time.monotonic(), 0
    while True:
        while sent < (time.monotonic() - begun_s) * OFFERED_PER_S:
            source.send(burst)
            sent += SEGMENTS
        time.sleep(SEGMENTS / OFFERED_PER_S)


def _watch(bed: Testbed, seconds: float) -> Throughput:
    begun_s, cpu_s, packets = time.monotonic(), bed.cpu_s(), bed.delivered(ENDS[1])
    time.sleep(seconds)
    took_s, cpu_s, packets = time.monotonic() - begun_s, bed.cpu_s() - cpu_s, bed.delivered(ENDS[1]) - packets
    return Throughput(packets / took_s, cpu_s / max(packets, 1) * 1e6)


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
            watched = _watch(bed, seconds)
            report = json.loads(client.communicate()[0])
        server.communicate()
    return Throughput(report["end"]["sum_received"]["bits_per_second"] / 1e6, watched.cpu_us)


def compare(
    title: str,
    measure: Callable[[Testbed, float], Throughput],
    variants: dict[str, Gateway],
    rounds: int,
    seconds: float,
) -> None:
    """Print what each variant carries, and how that compares with the bare loop."""
    results: dict[str, list[Throughput]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, gateway in variants.items():
            bed = Testbed(gateway)
            try:
                results[name].append(measure(bed, seconds))
            finally:
                bed.close()
    print(title)
    for name, some in results.items():
        ratios = [a.per_second / b.per_second for a, b in zip(some, results["bare"], strict=True)]
        carried = statistics.median(each.per_second for each in some)
        cpu_us = statistics.median(each.cpu_us for each in some)
        ratio = statistics.median(ratios)
        print(f"  {name:6} {carried:9,.0f}  {ratio:5.2f} x bare  {cpu_us:6.2f} us CPU/packet")


def main() -> None:
    """Compare the variants of UDP, then those of TCP."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        os.execvp(UNSHARE[0], [*UNSHARE, sys.executable, "-m", "benchmarks.tun_throughput", *sys.argv[1:]])
    rounds, seconds = arguments.rounds, arguments.seconds
    compare(f"UDP, packets/s of {PACKET_BYTES} bytes", flood, UDP, rounds, seconds)
    compare("TCP, Mbit/s of one stream", stream, TCP, rounds, seconds)


if __name__ == "__main__":
    main()
