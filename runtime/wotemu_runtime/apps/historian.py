"""Stores the properties of remote Things, and answers what they were; historians can be stacked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from wotemu.app import Conf, write_metric
from wotemu_runtime.apps._consumer import Failures, attempt, find_thing, gaps, rounds
from wotemu_runtime.apps._history_store import (
    HistoryStore,
    MongoStore,
    Sample,
    SqliteStore,
    Wanted,
    first_of_buckets,
)
from wotemu_runtime.apps._producer import produce
from wotemu_runtime.apps._remote_things import RemoteThing

THING_ID = "urn:wotemu:historian"
DEFAULT_PAST_S = 60.0
"""How far ``get`` looks back where no start is given."""


_WHICH = {name: {"type": "string"} for name in ("servient", "thingId", "propertyName")}
_SAMPLE = {"type": "object", "properties": {**_WHICH, "unixTime": {"type": "number"}}}  # and "value": any
_SPAN = {"fromUnix": {"type": "number"}, "toUnix": {"type": "number"}, "buckets": {"type": "integer"}}


async def app(
    wot: Any,
    conf: Conf,
    loop: asyncio.AbstractEventLoop,
    thing_id: str = THING_ID,
    observed_things: list[RemoteThing] | None = None,
    interval: float = 5.0,
    timeout: float = 10.0,
    database: str = ":memory:",
    mongo_uri: str | None = None,
    db_name: str = "wotemu",
    timeout_ping: float = 60.0,
    downlink_servient_host: str | None = None,
    downlink_thing_id: str = THING_ID,
    downlink_buckets: int = 1,
    downlink_interval: float = 60.0,
) -> None:
    """Expose the Thing `thing_id`, titled "historian": its actions ``write``, ``get`` and ``list``.

    Every `interval` seconds it stores all properties of `observed_things`, which are dicts with
    ``servient_host`` and ``thing_id``. Values go to the file `database` of SQLite's, by default to memory, or
    to the MongoDB server `mongo_uri`, database `db_name`, which is waited for `timeout_ping` seconds.

    It can be the uplink of another historian, the Thing `downlink_thing_id` on the node
    `downlink_servient_host`: every `downlink_interval` seconds it stores of each of that one's properties the
    first value of `downlink_buckets` parts of that time.

    Requests fail after `timeout` seconds; failures are logged and counted (metric ``historian_failures``), as
    are stored values (metric ``historian_values``).
    """
    observed = observed_things or []
    store: HistoryStore
    if mongo_uri is None:
        store = await SqliteStore.open(database)
    else:
        store = await MongoStore.open(mongo_uri, db_name, timeout_ping)
    _expose(wot, thing_id, store, observed)
    history = _History(store, Failures("historian_failures"), timeout)
    try:
        async with asyncio.TaskGroup() as group:
            for each in observed:
                group.create_task(
                    history.follow(wot, conf, each["servient_host"], each["thing_id"], interval)
                )
            if downlink_servient_host is not None:
                downlink = find_thing(wot, conf, downlink_servient_host, downlink_thing_id)
                group.create_task(
                    history.follow_historian(await downlink, downlink_buckets, downlink_interval)
                )
            group.create_task(asyncio.Event().wait())
    finally:
        await store.close()


def _expose(wot: Any, thing_id: str, store: HistoryStore, observed: Sequence[RemoteThing]) -> None:
    thing = produce(
        wot,
        thing_id,
        "historian",
        properties={"observedThings": {"type": "array", "readOnly": True}},
        actions={
            "list": {
                "safe": True,
                "output": {"type": "array", "items": {"type": "object", "properties": _WHICH}},
            },
            "get": {
                "safe": True,
                "input": {"type": "object", "properties": {**_WHICH, **_SPAN}},
                "output": {"type": "array", "items": _SAMPLE},
            },
            "write": {"input": {**_SAMPLE, "required": [*_WHICH, "value"]}},
        },
    )

    async def things() -> list[dict[str, str]]:
        return [{"servient": each["servient_host"], "thingId": each["thing_id"]} for each in observed]

    async def list_(_: Any) -> list[dict[str, str]]:
        return [dict(zip(_WHICH, key, strict=True)) for key in await store.keys()]

    async def get(given: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        found = await store.find(_wanted(given or {}))
        buckets = (given or {}).get("buckets")
        return [_as_item(each) for each in (first_of_buckets(found, int(buckets)) if buckets else found)]

    async def write(given: Mapping[str, Any]) -> None:
        await store.add([_from_item(given)])

    thing.set_property_read_handler("observedThings", things)
    for name, handler in (("list", list_), ("get", get), ("write", write)):
        thing.set_action_handler(name, handler)
    thing.expose()


def _wanted(given: Mapping[str, Any]) -> Wanted:
    to_s = given.get("toUnix")
    return Wanted(
        from_s=float(given.get("fromUnix", time.time() - DEFAULT_PAST_S)),
        to_s=None if to_s is None else float(to_s),
        host=given.get("servient"),
        thing_id=given.get("thingId"),
        name=given.get("propertyName"),
    )


def _as_item(sample: Sample) -> dict[str, Any]:
    return {**dict(zip(_WHICH, sample.key, strict=True)), "unixTime": sample.unix_s, "value": sample.value}


def _from_item(item: Mapping[str, Any]) -> Sample:
    host, thing_id, name = (str(item[each]) for each in _WHICH)
    return Sample((host, thing_id, name), float(item.get("unixTime") or time.time()), item["value"])


class _History:
    """Fills a store from remote Things."""

    def __init__(self, store: HistoryStore, failures: Failures, timeout: float) -> None:
        self._store = store
        self._failures = failures
        self._timeout = timeout
        self._values = 0

    async def follow(self, wot: Any, conf: Conf, host: str, thing_id: str, interval: float) -> None:
        """Store all properties of a Thing, again and again."""
        thing = await find_thing(wot, conf, host, thing_id)
        async for _ in rounds(gaps(conf, interval, None, None)):
            async with asyncio.TaskGroup() as group:
                for name in thing.properties:
                    group.create_task(self._read(thing, (host, thing_id, name)))

    async def _read(self, thing: Any, key: tuple[str, str, str]) -> None:
        failed = self._failures.count
        reading = thing.properties[key[2]].read(timeout=self._timeout)
        value = await attempt(
            reading, f"read {key[2]} of {key[1]} on {key[0]}", self._timeout, self._failures
        )
        if self._failures.count == failed:
            await self._add([Sample(key, time.time(), value)])

    async def follow_historian(self, thing: Any, buckets: int, interval: float) -> None:
        """Store what another historian has stored, again and again."""
        while True:
            await asyncio.sleep(interval)
            to_s = time.time()
            keys = await self._invoke(thing, "list", None) or []
            spans = [{**key, "fromUnix": to_s - interval, "toUnix": to_s, "buckets": buckets} for key in keys]
            found = await asyncio.gather(*(self._invoke(thing, "get", span) for span in spans))
            await self._add([_from_item(item) for items in found for item in items or ()])

    async def _invoke(self, thing: Any, name: str, given: Any) -> Any:
        call = thing.actions[name].invoke(given, timeout=self._timeout)
        return await attempt(call, f"invoke {name}", self._timeout, self._failures)

    async def _add(self, samples: Sequence[Sample]) -> None:
        await self._store.add(samples)
        self._values += len(samples)
        write_metric("historian_values", self._values)
