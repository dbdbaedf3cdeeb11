"""A process's session on the bus: what all of its roles share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from wotemu.records import Event, Host
from wotemu_runtime.bus import BusAddress, BusClient, BusClock, Streams, connect
from wotemu_runtime.roles.address_stream import AddressStream
from wotemu_runtime.roles.commands import CommandReader
from wotemu_runtime.roles.host_report import HostClaim, host_name, report_host


class BusSession:
    """One connection to the bus, its clock, and one reader of each stream that all roles follow.

    Args:
        client: Connection to the bus; whoever opened it closes it.
        stack: Name of the emulation.
        clock: The bus's clock on this machine, already measured.
    """

    def __init__(self, client: BusClient, stack: str, clock: BusClock) -> None:
        self.client = client
        self.streams = Streams(stack)
        self.clock = clock
        self.host = host_name()
        self.commands = CommandReader(client, self.streams)
        self.addresses = AddressStream(client, self.streams)

    def __repr__(self) -> str:
        return f"BusSession({self.streams.stack!r} on {self.host!r}, {self.clock!r})"

    async def sleep_until(self, t: float) -> None:
        """Sleep until `t`, in seconds since the epoch on the bus's clock."""
        while (left_s := self.clock.left_s(t)) > 0:  # noqa: ASYNC110  # a loop's timers may be a millisecond early
            await asyncio.sleep(left_s)

    async def keep_time(self, on_correction: Callable[[], None]) -> None:
        """Measure the clock against the bus's periodically, until cancelled.

        Args:
            on_correction: Called after each correction: what waits for an instant then has to wait anew.
        """
        await self.clock.follow(self.client, on_correction)

    async def report_host(self, source: str, publish: Callable[[Host | Event], None]) -> None:
        """Report this machine's load as `source` while no other process does, until cancelled."""
        claim = HostClaim(self.client, self.streams.host(self.host), source)
        await report_host(self.host, source, claim, self.clock, publish)


@asynccontextmanager
async def bus_session(bus: BusAddress, stack: str) -> AsyncIterator[BusSession]:
    """Connect to the bus and measure its clock; the connection is closed when the block is left."""
    client = await connect(bus)
    try:
        yield BusSession(client, stack, await BusClock.measured(client, bus.anchor_s))
    finally:
        await client.aclose()


__all__ = ["BusSession", "bus_session"]
