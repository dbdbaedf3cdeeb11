"""Exposes a remote Thing again on this node's own servers: one binding in, another out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from wotemu.app import Conf
from wotemu_runtime.apps._consumer import Failures, find_thing
from wotemu_runtime.apps._following import follow


async def app(
    wot: Any,
    conf: Conf,
    loop: asyncio.AbstractEventLoop,
    servient_host: str,
    source_id: str,
    thing_id: str | None = None,
    timeout: float = 10.0,
    silence: float = 10.0,
) -> None:
    """Expose the Thing `source_id` of the node `servient_host` as `thing_id`, by default under the same id.

    Reads, writes and invocations are passed on, each with `timeout` seconds; events and changes of observable
    properties are emitted again. What fails at the source fails here, too, and is counted (metric
    ``bridge_failures``). Subscriptions are renewed as the subscriber renews them, after `silence` seconds
    without an item (0: however long).
    """
    source = await find_thing(wot, conf, servient_host, source_id)
    thing = wot.produce(json.dumps(_description(source.td.to_dict(), thing_id or source_id)))
    failures = Failures("bridge_failures")

    def passed_on(what: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def handler(*values: Any) -> Any:
            try:
                return await call(*values, timeout=timeout)
            except Exception as error:  # WoTPy raises bare Exception for what a remote Thing answers
                failures.add(what, error)
                raise

        return handler

    for name, each in source.properties.items():
        thing.set_property_read_handler(name, passed_on(f"read {name}", each.read))
        thing.set_property_write_handler(name, passed_on(f"write {name}", each.write))
    for name, each in source.actions.items():
        thing.set_action_handler(name, passed_on(f"invoke {name}", each.invoke))
    thing.expose()
    async with asyncio.TaskGroup() as group:
        for name in source.events:
            emit = _emitting(thing.emit_event, name)
            group.create_task(follow(source.events[name], f"event {name}", silence or None, failures, emit))
        for name, each in source.properties.items():
            if each.observable:
                emit = _announcing(thing, name)
                group.create_task(follow(each, f"property {name}", silence or None, failures, emit))
        group.create_task(asyncio.Event().wait())


def _emitting(emit: Callable[[str, Any], Any], name: str) -> Callable[[Any], None]:
    def on_item(item: Any) -> None:
        emit(name, item.data)

    return on_item


def _announcing(thing: Any, name: str) -> Callable[[Any], None]:
    def on_item(item: Any) -> None:
        # WoTPy announces a change only where the property is written, which would write to the source.
        thing._emit_property_change_event(name, item.data.value)

    return on_item


def _description(source: dict[str, Any], thing_id: str) -> dict[str, Any]:
    """The source's Thing Description without its forms, which WoTPy makes for the servers of this node."""
    kept = {key: value for key, value in source.items() if key not in ("forms", "base", "links")}
    for kind in ("properties", "actions", "events"):
        affordances = source.get(kind) or {}
        kept[kind] = {
            name: {key: value for key, value in each.items() if key != "forms"}
            for name, each in affordances.items()
        }
    return {**kept, "id": thing_id}
