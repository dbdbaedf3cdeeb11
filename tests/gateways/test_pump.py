"""In which order frames are read and let go. Ports are sockets here, and the clock moves with each read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Rate
from wotemu_gateways.userspace.port import Port
from wotemu_gateways.userspace.pump import Pump
from wotemu_gateways.userspace.switch import BATCH

from .network import FakeNetwork, ipv4

NODES = tuple("abcdefgh")
READ_S = 0.001


class BusyNetwork(FakeNetwork):
    """A network on which reading from a port takes a millisecond."""

    def __init__(self, **hops: NetworkConditions) -> None:
        super().__init__(*NODES, hops={(name, "up"): conditions for name, conditions in hops.items()})
        self.reads: list[int] = []
        self.all_read = asyncio.Event()
        read = self.switch.read

        def slow(port: Port, at_most: int = BATCH) -> int:
            self.reads.append(len(self.received("b")))
            if len(self.reads) == len(NODES) - 2:
                self.all_read.set()
            self.clock.advance(READ_S)
            return read(port, at_most)

        self.switch.read = slow  # type: ignore[method-assign]

    @asynccontextmanager
    async def pumped(self) -> AsyncIterator[Pump]:
        pump = Pump(self.switch, asyncio.get_running_loop())
        for name, (_, end) in self._pairs.items():
            pump.attach(name, end.dup().detach())
        try:
            yield pump
        finally:
            pump.close()


async def test_what_is_due_leaves_before_the_next_port_is_read() -> None:
    """A hundred busy ports would otherwise hold it for as long as all of them take."""
    with BusyNetwork(a=NetworkConditions(latency="1ms")) as net:
        net.send("a", "b", b"due in a millisecond")
        net.reads.clear()
        async with net.pumped():
            for name in NODES[2:]:
                sender, target = net.members[name], net.members["a"]
                net._pairs[name][0].send(ipv4(sender, target))
            async with asyncio.timeout(10):
                await net.all_read.wait()
        # What had newly reached b when each port was read: it was due while the first one was.
        assert net.reads == [0, 1, 0, 0, 0, 0]


async def test_a_raised_rate_sets_the_timer_anew() -> None:
    """Nothing else would wake the pump before the departure that the old rate gave."""
    with FakeNetwork("a", "b", hops={("a", "up"): NetworkConditions(rate="8bit")}) as net:
        pump = Pump(net.switch, asyncio.get_running_loop())
        try:
            net.send("a", "b")
            assert pump._armed_s is None
            net.switch.set_hop("a", "up", NetworkConditions(rate=Rate(8e3)))
            assert pump._armed_s == net.switch.timers.next_s is not None
        finally:
            pump.close()
