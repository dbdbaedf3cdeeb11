"""Reads properties of a remote Thing over and over."""

from __future__ import annotations

import asyncio
from typing import Any

from wotemu.app import Conf
from wotemu_runtime.apps._consumer import Failures, attempt, chosen_names, find_thing, gaps, rounds


async def app(
    wot: Any,
    conf: Conf,
    loop: asyncio.AbstractEventLoop,
    servient_host: str,
    thing_id: str,
    properties: list[str] | None = None,
    interval: float | None = None,
    rate: float | None = None,
    lambd: float | None = None,
    timeout: float = 5.0,
) -> None:
    """Read `properties` (else all) of the Thing `thing_id` on the node `servient_host`, one after another.

    A round begins every `interval` seconds, `rate` times a second, or after exponentially distributed gaps
    of 1/`lambd` seconds (none given: every second). A read fails after `timeout` seconds; failures are
    logged and counted (metric ``read_failures``), and reading goes on.
    """
    every = gaps(conf, interval, rate, lambd)
    thing = await find_thing(wot, conf, servient_host, thing_id)
    names = chosen_names(thing.properties, properties, "property")
    failures = Failures("read_failures")
    async for _ in rounds(every):
        for name in names:
            await attempt(thing.properties[name].read(timeout=timeout), f"read {name}", timeout, failures)
