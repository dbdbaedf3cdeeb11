"""Waits for the bus, which in a cluster may start long after its clients."""

from __future__ import annotations

import asyncio

from wotemu.errors import EmulationError
from wotemu_runtime.bus import BusAddress

BUS_DEADLINE_S = 300.0
_RETRY_S = 0.25


async def reach(bus: BusAddress, deadline_s: float = BUS_DEADLINE_S) -> None:
    """Return once the bus's port answers; `EmulationError` if it does not in time."""
    error: OSError | None = None
    try:
        async with asyncio.timeout(deadline_s):
            while True:
                try:
                    _, writer = await asyncio.open_connection(bus.host, bus.port)
                except OSError as failure:
                    error = failure
                    await asyncio.sleep(_RETRY_S)  # a server that is not there yet tells nobody when it is
                else:
                    writer.close()
                    return
    except TimeoutError:
        message = f"no answer within {deadline_s:g} s: {error or 'no answer at all'}"
        raise EmulationError(message, where="event bus") from None
