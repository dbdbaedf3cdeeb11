"""What a publisher keeps, drops and counts; and that nothing is lost at its end without a word."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.records import SCHEMA_VERSION, App, Event, Log
from wotemu_runtime.bus import Publisher, Streams, decode_batch, publisher
from wotemu_runtime.bus.client import NewEntry
from wotemu_runtime.bus.codec import FIELD, encode_packed, pack_row
from wotemu_runtime.recording.ingest import Ingest
from wotemu_runtime.testing import on_jumping_clock

STREAMS = Streams("test")


@attrs.define
class FakeBus:
    """Takes each entry after `takes_s`; tables in `stuck` are never confirmed."""

    takes_s: float = 0.0
    stuck: frozenset[str] = frozenset()
    entries: list[dict[bytes, bytes]] = attrs.field(factory=list)

    async def add_entries(self, entries: Sequence[NewEntry]) -> None:
        for _, fields in entries:
            table, _ = decode_batch(dict(fields))
            await asyncio.sleep(3600 if table in self.stuck else self.takes_s)
            self.entries.append(dict(fields))

    def rows(self, table: str) -> list[list[Any]]:
        batches = [decode_batch(entry) for entry in self.entries]
        return [row for name, rows in batches if name == table for row in rows]


def publisher_on(bus: FakeBus) -> Publisher:
    return Publisher(bus, STREAMS, "agent:a", lambda: 1.0)


def account(records: Mapping[str, int]) -> Event:
    return Event(2.0, "role.done", "agent:a", "ended", {"records": dict(records)})


def metrics(count: int) -> list[App]:
    return [App(float(number), "a", "key", 0.0) for number in range(count)]


def received(bus: FakeBus) -> Ingest:
    """What a coordinator learns of what came; none of it is lost by then."""
    ingest = Ingest(0.0, resumed=False)
    for entry in bus.entries:
        _, events = ingest.accept(entry, 3.0)
        assert [event for event in events if event.kind == "records.lost"] == []
    return ingest


def missing(ingest: Ingest, *ended: str) -> dict[tuple[str, str], int]:
    """Counts of the records that never came, by source and table."""
    events = ingest.finish(3.0, set(ended))
    return {(event.source, event.data["table"]): event.data["count"] for event in events}


async def test_a_full_buffer_is_sent_to_its_end_as_long_as_the_bus_takes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes 40 times as long as a bus may confirm nothing."""
    monkeypatch.setattr(publisher, "STUCK_S", 0.5)
    monkeypatch.setattr(publisher, "MAX_BATCH", 10)
    bus = FakeBus(takes_s=0.01)
    sending = publisher_on(bus)
    sending.put(*metrics(2000))
    sending.close(account)
    await sending.run()
    assert [row[0] for row in bus.rows("app")] == [float(number) for number in range(2000)]
    assert Event(*bus.rows("events")[-1]).data == {"records": {"app": 2000, "events": 1}}
    assert missing(received(bus), "agent:a") == {}


async def test_what_a_stuck_bus_did_not_take_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "STUCK_S", 0.05)
    bus = FakeBus(stuck=frozenset({"app"}))
    sending = publisher_on(bus)
    sending.put(*metrics(700))
    sending.close(account)
    await sending.run()
    assert missing(received(bus)) == {("agent:a", "app"): 700}


@on_jumping_clock
async def test_publishers_that_share_a_client_send_at_the_same_times() -> None:
    loop = asyncio.get_running_loop()
    sent_s: list[float] = []

    class Timed(FakeBus):
        async def add_entries(self, entries: Sequence[NewEntry]) -> None:
            sent_s.append(loop.time())

    bus, began_s = Timed(), loop.time()
    publishers = [publisher_on(bus) for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        for each in publishers:
            group.create_task(each.run(began_s))
        for number, each in enumerate(publishers):
            await asyncio.sleep(0.21)
            each.put(*metrics(1))
            if number == 1:
                each.put(Event(1.0, "app.exited", "agent:a", ""))  # sent at once, and changes no later time
        await asyncio.sleep(1.0)
        for each in publishers:
            each.put(*metrics(1))
        await asyncio.sleep(1.0)
        for each in publishers:
            each.close()
    assert [round(t - began_s, 3) for t in sent_s] == [0.42, 1.0, 1.0, 2.0, 2.0, 2.0]


async def test_a_role_that_goes_on_unrecorded_counts_its_records_too() -> None:
    bus = FakeBus()
    sending = publisher_on(bus)
    sending.put(*metrics(3))
    await sending.mute(account)
    sending.put(*metrics(3))
    sending.close(account)
    await sending.run()
    assert [Event(*row).data for row in bus.rows("events")] == [{"records": {"app": 3, "events": 1}}]
    assert len(bus.rows("app")) == 3


async def test_a_role_without_a_last_word_is_told_of() -> None:
    bus = FakeBus()
    sending = publisher_on(bus)
    sending.put(Event(1.0, "role.ready", "agent:a", ""), *metrics(3))
    await sending.flush()
    assert missing(received(bus), "agent:a", "agent:never-ready") == {("agent:a", ""): 1}


@pytest.mark.parametrize("has_account", [False, True])
async def test_a_replaced_task_without_a_last_word_is_reported(has_account: bool) -> None:
    """It was killed with its machine cut off, so nobody knows how many records it still had."""
    bus = FakeBus()
    for life in (1.0, 2.0):
        sending = Publisher(bus, STREAMS, "agent:a", partial(float, life))
        sending.put(Event(life, "role.ready", "agent:a", ""))
        if has_account or life == 2.0:
            sending.close(account)
            await sending.run()
        else:
            await sending.flush()
    assert missing(received(bus), "agent:a") == ({} if has_account else {("agent:a", ""): 1})


async def test_entries_that_are_left_on_the_bus_are_counted() -> None:
    """A recorder that was given up has read the first batch of three."""
    bus = FakeBus()
    sending = publisher_on(bus)
    sending.put(*metrics(600))
    sending.close(account)
    await sending.run()
    ingest = received(FakeBus(entries=bus.entries[:1]))
    for entry in bus.entries[1:]:
        ingest.count(entry)
    assert missing(ingest, "agent:a") == {("agent:a", "app"): 600 - 256, ("agent:a", "events"): 1}


async def test_kept_records_are_bounded_in_bytes_and_the_dropped_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of long lines fewer are kept than of short ones; the newest stay."""
    monkeypatch.setattr(publisher, "MAX_KEPT_BYTES", 100_000)
    monkeypatch.setattr(publisher, "MAX_BATCH_BYTES", 50_000)
    bus = FakeBus()
    sending = publisher_on(bus)
    sending.put(*(Log(float(number), "a", "stdout", "x" * 9_900) for number in range(100)), *metrics(100))
    await sending.flush()
    kept = bus.rows("logs")
    assert [row[0] for row in kept] == [float(number) for number in range(100 - len(kept), 100)]
    assert 9 <= len(kept) <= 10
    assert len(bus.rows("app")) == 100
    (lost,) = bus.rows("events")
    assert lost[4] == {"what": "logs", "count": 100 - len(kept), "table": "logs"}


async def test_long_lines_travel_in_entries_of_about_a_megabyte() -> None:
    bus = FakeBus()
    sending = publisher_on(bus)
    sending.put(*(Log(float(number), "a", "stdout", "x" * 16_384) for number in range(256)))
    await sending.flush()
    assert len(bus.rows("logs")) == 256
    assert max(sum(map(len, entry.values())) for entry in bus.entries) < 1.1 * publisher.MAX_BATCH_BYTES


@given(st.lists(st.lists(st.text("abc", max_size=500) | st.floats(allow_nan=False) | st.none()), max_size=40))
def test_rows_packed_one_by_one_are_an_entry_like_any_other(rows: list[list[Any]]) -> None:
    entry = encode_packed("app", [pack_row(row) for row in rows])
    assert msgpack.unpackb(entry[FIELD]) == [SCHEMA_VERSION, "app", rows]
    assert entry == {FIELD: msgpack.packb([SCHEMA_VERSION, "app", rows])}
