"""Invokes actions of a remote Thing over and over."""

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
    actions: list[str] | None = None,
    skip: list[str] | None = None,
    params: dict[str, Any] | None = None,
    interval: float | None = None,
    rate: float | None = None,
    lambd: float | None = None,
    timeout: float = 10.0,
) -> None:
    """Invoke `actions` (else all but `skip`) of the Thing `thing_id` on the node `servient_host`, in turn.

    `params` maps an action's name to its input. A round begins every `interval` seconds, `rate` times a
    second, or after exponentially distributed gaps of 1/`lambd` seconds (none given: every second). An
    invocation fails after `timeout` seconds; failures are logged and counted (metric ``call_failures``).
    """
    every = gaps(conf, interval, rate, lambd)
    thing = await find_thing(wot, conf, servient_host, thing_id)
    chosen_names(thing.actions, skip, "action")
    names = [name for name in chosen_names(thing.actions, actions, "action") if name not in (skip or ())]
    inputs = params or {}
    failures = Failures("call_failures")
    async for _ in rounds(every):
        for name in names:
            call = thing.actions[name].invoke(inputs.get(name), timeout=timeout)
            await attempt(call, f"invoke {name}", timeout, failures)
