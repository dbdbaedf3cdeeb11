"""Two replicas in namespaces and a gateway process between them, for benchmarks of the `tun` shaper."""

from __future__ import annotations

import asyncio
import os
import select
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop

from benchmarks.namespace import Namespace
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


def bare_gateway(taps: Sequence[int]) -> None:
    """The least that can delay packets: one queue, absolute timers, 64 frames per wake-up."""
    request_low_latency()  # as a gateway does
    timer, epoll = TimerFd(), select.epoll()
    epoll.register(timer.fd, select.EPOLLIN | select.EPOLLET)
    for tap in taps:
        epoll.register(tap, select.EPOLLIN)
    other = {taps[0]: taps[1], taps[1]: taps[0]}
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


def switch_gateway(taps: Sequence[int], up: NetworkConditions, down: NetworkConditions) -> None:
    """The shaper as a run uses it."""
    directions: dict[Direction, NetworkConditions] = {"up": up, "down": down}
    hops = {(end.replica, way): conditions for end in ENDS for way, conditions in directions.items()}

    async def serve() -> None:
        request_low_latency()
        switch = Switch("field", ENDS, hops=hops, ports={PORT: "iperf3"})
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
        """CPU time of the gateway so far."""
        # The first field, in nanoseconds: stat's times have a grain of 10 ms.
        return int(Path(f"/proc/{self._gateway}/schedstat").read_text().split()[0]) / 1e9

    def delivered(self, member: Member) -> int:
        """Packets that a replica's interface has received."""
        with self.namespaces[member.replica].entered(), open("/proc/thread-self/net/dev") as devices:  # noqa: PTH123
            line = next(line for line in devices if line.strip().startswith("eth0"))
        return int(line.partition(":")[2].split()[1])
