"""Subscribes to a remote Thing's events and observes its properties."""

from __future__ import annotations

import asyncio
from typing import Any

from wotemu.app import Conf
from wotemu_runtime.apps._consumer import Failures, chosen_names, find_thing
from wotemu_runtime.apps._following import follow


async def app(
    wot: Any,
    conf: Conf,
    loop: asyncio.AbstractEventLoop,
    servient_host: str,
    thing_id: str,
    events: list[str] | None = None,
    properties: list[str] | None = None,
    silence: float = 10.0,
) -> None:
    """Follow `events` (else all) and `properties` (else the observable ones) of the Thing `thing_id`.

    The Thing is on the node `servient_host`. A subscription that fails, ends, or delivers nothing for
    `silence` seconds (0: however long) is renewed, after a pause that grows from half a second to five;
    each such failure is logged and counted (metric ``subscription_failures``). A cut network says
    nothing, so silence is the only sign of it.
    """
    thing = await find_thing(wot, conf, servient_host, thing_id)
    observable = [name for name in thing.properties if thing.properties[name].observable]
    names = chosen_names(observable, properties, "observable property")
    interactions = {f"property {name}": thing.properties[name] for name in names}
    names = chosen_names(thing.events, events, "event")
    interactions |= {f"event {name}": thing.events[name] for name in names}
    failures = Failures("subscription_failures")
    async with asyncio.TaskGroup() as group:
        for what, interaction in interactions.items():
            group.create_task(follow(interaction, what, silence or None, failures))
