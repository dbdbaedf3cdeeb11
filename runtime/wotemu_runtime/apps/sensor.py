"""Exposes a Thing that measures: a value to read, write and observe, an alarm, an action to calibrate it."""

from __future__ import annotations

import asyncio
from typing import Any

from wotemu.app import Conf
from wotemu_runtime.apps._consumer import gaps, rounds, seeded
from wotemu_runtime.apps._producer import produce

THING_ID = "urn:wotemu:sensor"


async def app(
    wot: Any,
    conf: Conf,
    loop: asyncio.AbstractEventLoop,
    thing_id: str = THING_ID,
    interval: float = 1.0,
    initial: float = 20.0,
    jitter: float = 0.5,
    alarm_above: float | None = None,
) -> None:
    """Expose the Thing `thing_id`, titled "sensor".

    Its property ``value`` starts at `initial` and, every `interval` seconds, takes a random step of standard
    deviation `jitter` (0: it stays as it is written). Whenever it is above `alarm_above` then, the event
    ``alarm`` carries it. The action ``calibrate`` adds its input's ``offset`` and answers
    ``{"before": ..., "after": ...}``.
    """
    every = gaps(conf, interval, None, None)
    numbers = seeded(conf)
    thing = produce(
        wot,
        thing_id,
        "sensor",
        properties={"value": {"type": "number", "observable": True}},
        actions={"calibrate": {"input": {"type": "object"}, "output": {"type": "object"}}},
        events={"alarm": {"data": {"type": "number"}}},
    )

    value = float(initial)

    async def read() -> float:
        return value

    async def write(wanted: float) -> None:
        nonlocal value
        value = float(wanted)

    async def calibrate(wanted: dict[str, Any] | None) -> dict[str, float]:
        before = value
        await thing.write_property("value", before + float((wanted or {}).get("offset", 0.0)))
        return {"before": before, "after": value}

    thing.set_property_read_handler("value", read)
    thing.set_property_write_handler("value", write)
    thing.set_action_handler("calibrate", calibrate)
    thing.expose()
    async for _ in rounds(every):
        if jitter:
            await thing.write_property("value", round(value + numbers.gauss(0.0, jitter), 3))
        if alarm_above is not None and value > alarm_above:
            thing.emit_event("alarm", value)
