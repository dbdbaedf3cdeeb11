"""Replicas in namespaces and a gateway process between them, for benchmarks of the `tun` shaper."""

from __future__ import annotations

import asyncio
import mmap
import os
import select
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop

from benchmarks.namespace import Namespace
from wotemu.percentiles import Histogram
from wotemu.records import Hop
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.packets.ethernet import mac_of
from wotemu_gateways.shaper import Member
from wotemu_gateways.userspace.pump import Pump
from wotemu_gateways.userspace.scheduling import request_low_latency
from wotemu_gateways.userspace.switch import Switch
from wotemu_gateways.userspace.timerfd import TimerFd

DELAY_S = 0.005
PORT = 5201
"""Where receivers listen; iperf3's own."""
ENDS = [Member(name, address, mac_of(address)) for name, address in (("a", "10.64.0.2"), ("b", "10.64.0.3"))]

DELAY = NetworkConditions(latency="5ms")
WIDE = NetworkConditions(rate="10gbit", queue="1s")
ALL = NetworkConditions(latency="5ms", jitter="1ms", loss="0.001%", rate="10gbit", queue="1s")
ALL_FOR_TCP = NetworkConditions(latency="5ms", rate="10gbit", queue="1s")


DRAIN_S = 0.25
WARM_UP_DRAINS = 2
"""Lateness of the first half second, in which queues fill, is left out."""
SHARES = (0.5, 0.95, 0.99)
_SECONDS = struct.Struct(f"{len(SHARES)}d")


def bare_gateway(members: Sequence[Member], taps: Sequence[int], lateness: mmap.mmap) -> None:  # noqa: ARG001
    """The least that can delay packets: one queue, absolute timers, 64 frames per wake-up."""
    request_low_latency()  # as a gateway does
    timer, epoll = TimerFd(), select.epoll()
    epoll.register(timer.fd, select.EPOLLIN | select.EPOLLET)
    for tap in taps:
        epoll.register(tap, select.EPOLLIN)
    other = {tap: taps[place ^ 1] for place, tap in enumerate(taps)}  # each pair's ends
    waiting: deque[tuple[float, bytes, int]] = deque()
    now, read, write = time.monotonic, os.read, os.write
    while True:
        for fd, _ in epoll.poll():
            if fd == timer.fd:
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


def switch_gateway(
    members: Sequence[Member],
    taps: Sequence[int],
    lateness: mmap.mmap,
    up: NetworkConditions,
    down: NetworkConditions,
) -> None:
    """The shaper as a run uses it; `lateness` gets percentiles of how late packets left."""
    directions: dict[Direction, NetworkConditions] = {"up": up, "down": down}
    hops = {(each.replica, way): conditions for each in members for way, conditions in directions.items()}

    async def serve() -> None:
        request_low_latency()
        switch = Switch("field", members, hops=hops, ports={PORT: "iperf3"})
        pump = Pump(switch, asyncio.get_running_loop())
        for member, tap in zip(members, taps, strict=True):
            pump.attach(member.replica, tap)
        late, drains = Histogram(), 0
        while True:
            await asyncio.sleep(DRAIN_S)
            rows, drains = list(switch.drain(time.time())), drains + 1
            if drains > WARM_UP_DRAINS:
                for row in rows:
                    if isinstance(row, Hop):
                        late.merge(row.late_bins, row.late_counts)
                lateness[:] = _SECONDS.pack(*(late.percentile(share) or 0.0 for share in SHARES))

    uvloop.run(serve())


Gateway = Callable[[Sequence[Member], Sequence[int], mmap.mmap], None]


def with_conditions(up: NetworkConditions, down: NetworkConditions) -> Gateway:
    """A gateway with these conditions on each node's two hops."""
    return lambda members, taps, lateness: switch_gateway(members, taps, lateness, up, down)


class Testbed:
    """Replicas and a gateway process between them."""

    def __init__(self, gateway: Gateway, members: Sequence[Member] = ENDS) -> None:
        """Make the namespaces, and fork the gateway with the other ends of their interfaces."""
        self.namespaces = {member.replica: Namespace() for member in members}
        taps = [self.namespaces[member.replica].make_tap(member) for member in members]
        self._lateness = mmap.mmap(-1, _SECONDS.size)
        self._gateway = os.fork()
        if not self._gateway:
            try:
                gateway(members, taps, self._lateness)
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
        self._lateness.close()

    def late_ms(self) -> list[float]:
        """How late packets have left: the percentiles of `SHARES`, in milliseconds; zeros of a bare loop."""
        return [late_s * 1e3 for late_s in _SECONDS.unpack(self._lateness)]

    def cpu_s(self) -> float:
        """CPU time of the gateway so far."""
        # The first field, in nanoseconds: stat's times have a grain of 10 ms.
        return int(Path(f"/proc/{self._gateway}/schedstat").read_text().split()[0]) / 1e9

    def delivered(self, member: Member) -> int:
        """Packets that a replica's interface has received."""
        with self.namespaces[member.replica].entered(), open("/proc/thread-self/net/dev") as devices:  # noqa: PTH123
            line = next(line for line in devices if line.strip().startswith("eth0"))
        return int(line.partition(":")[2].split()[1])
