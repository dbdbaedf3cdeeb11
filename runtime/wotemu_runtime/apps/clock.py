"""Exposes a Thing with the time as a property to read, and an event that ticks."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from wotemu.app import Conf
from wotemu_runtime.apps._consumer import gaps, rounds
from wotemu_runtime.apps._producer import produce

THING_ID = "urn:wotemu:clock"


async def app(
    wot: Any, conf: Conf, loop: asyncio.AbstractEventLoop, thing_id: str = THING_ID, interval: float = 2.0
) -> None:
    """Expose the Thing `thing_id`, titled "clock".

    Its property ``time`` and its event ``tick``, which comes every `interval` seconds, carry milliseconds
    since the epoch.
    """
    every = gaps(conf, interval, None, None)
    thing = produce(
        wot,
        thing_id,
        "clock",
        properties={"time": {"type": "integer", "readOnly": True}},
        events={"tick": {"data": {"type": "integer"}}},
    )
    thing.set_property_read_handler("time", _read_time)
    thing.expose()
    async for _ in rounds(every):
        thing.emit_event("tick", _now_ms())


async def _read_time() -> int:
    return _now_ms()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
