"""What of a stream entry counts, as bytes and rows, and what follows from it."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from wotemu.records import App, Change, Event, Hop, Record, to_row
from wotemu_runtime.bus import Origin, encode_batch, encode_origin
from wotemu_runtime.recording.ingest import BUS, Ingest


def entry(*records: Record, source: str = "agent:a", life: float = 1.0, first: int = 0) -> dict[bytes, bytes]:
    rows = [to_row(record) for record in records]
    return {**encode_batch(records[0].TABLE, rows), **encode_origin(Origin(source, life, first))}


def metrics(*times: float) -> list[App]:
    return [App(t, "a", "key", 1.0) for t in times]


def ready(source: str = "agent:a", **data: Any) -> Event:
    return Event(1.0, "role.ready", source, "", {"host": "edge", **data})


def change(number: int) -> Change:
    return Change(number, 1.0, 1.0, "conditions", "field", "", "", True, "")


@pytest.mark.parametrize("count", [1, 3, 20, 300])
def test_rows_that_all_count_are_the_bytes_of_the_entry(count: int) -> None:
    records = metrics(*range(count))
    batch, events = Ingest(0.0, resumed=False).accept(entry(*records), 1.0)
    assert batch.packed == msgpack.packb([to_row(record) for record in records])
    assert (batch.table, batch.received, len(batch.rows), events) == ("app", count, count, [])


def test_a_batch_that_came_before_in_part_is_not_the_bytes_of_the_entry() -> None:
    ingest = Ingest(0.0, resumed=False)
    ingest.accept(entry(*metrics(1, 2)), 1.0)
    batch, _ = ingest.accept(entry(*metrics(1, 2, 3)), 1.0)
    assert (batch.packed, batch.received, batch.rows) == (None, 3, [[3, "a", "key", 1.0]])


def test_a_change_that_two_gateways_answer_counts_once() -> None:
    ingest = Ingest(0.0, resumed=False)
    ingest.accept(entry(change(1), change(2), source="gateway:field"), 1.0)
    batch, _ = ingest.accept(entry(change(2), change(3), source="gateway:field", life=2.0), 1.0)
    assert [row[0] for row in batch.rows] == [3]
    assert ingest.answered == {1, 2, 3}


def test_a_gap_in_a_source_s_records_is_a_loss() -> None:
    _, (loss,) = Ingest(0.0, resumed=False).accept(entry(*metrics(1), first=7), 5.0)
    assert (loss.t, loss.kind, loss.source) == (5.0, "records.lost", "agent:a")
    assert loss.data == {"what": "app records that the bus had and lost", "count": 7, "table": "app"}


def test_a_role_is_ready_with_its_shaper_and_back_when_it_is_ready_again() -> None:
    ingest = Ingest(0.0, resumed=False)
    _, events = ingest.accept(entry(ready(shaper="netem")), 1.0)
    assert (ingest.ready, ingest.heard, ingest.shapers, events) == (
        {BUS, "agent:a"},
        {"agent:a"},
        {"netem"},
        [],
    )
    assert [each.kind for each in ingest.role_lost("agent:a", 2.0, "its machine is gone", "edge")] == [
        "role.lost"
    ]
    assert (ingest.lost, ingest.ready) == ({"agent:a"}, {BUS})
    _, (back,) = ingest.accept(entry(ready(), life=9.0), 9.0)
    assert (back.kind, back.data["gap_s"]) == ("role.back", 8.0)


def test_a_shaper_is_known_by_its_hops_where_the_ready_event_is_lost() -> None:
    ingest = Ingest(0.0, resumed=True)
    ingest.remember(
        "hops", [to_row(Hop(1.0, "field", "a", "up", "tun", *(0,) * 5, backlog=0, late_max=None))], 2.0
    )
    assert ingest.shapers == {"tun"}


def test_what_an_earlier_coordinator_stored_is_remembered_without_events() -> None:
    ingest = Ingest(0.0, resumed=True)
    lost = Event(3.0, "role.lost", "coordinator", "", {"role": "agent:b", "reason": "gone"})
    ingest.remember("events", [to_row(each) for each in (ready(), ready("agent:b"), lost)], 4.0)
    ingest.remember("changes", [to_row(change(4))], 4.0)
    assert (ingest.ready, ingest.lost, ingest.answered) == ({BUS, "agent:a"}, {"agent:b"}, {4})
    assert ingest.check_silence(5.0) == []


def test_an_outage_of_the_bus_is_reported_and_makes_no_role_silent() -> None:
    ingest = Ingest(0.0, resumed=False)
    ingest.accept(entry(ready()), 1.0)
    assert [each.data["role"] for each in ingest.bus_failed(2.0)] == [BUS]
    assert ingest.bus_failed(3.0) == []
    assert ingest.check_silence(60.0) == []
    is_back, (back,) = ingest.bus_answered(60.0)
    assert (is_back, back.kind) == (True, "role.back")
    assert ingest.check_silence(61.0) == []
    assert ingest.bus_answered(62.0) == (False, [])


def test_no_role_is_silent_while_the_bus_does_not_answer() -> None:
    """That it is away is known only when a command times out, which takes as long as a silence."""
    ingest = Ingest(0.0, resumed=False)
    ingest.accept(entry(ready()), 1.0)
    ingest.bus_answered(1.0)
    assert ingest.check_silence(7.0) == []
    assert ingest.bus_answered(8.0) == (False, [])
    assert ingest.check_silence(8.5) == [], "nobody could be heard before 8 s"
    for t in range(9, 15):
        ingest.bus_answered(float(t))
    assert [each.kind for each in ingest.check_silence(14.5)] == ["role.silent"]


def test_many_roles_without_a_count_at_their_end_are_one_loss() -> None:
    ingest = Ingest(0.0, resumed=False)
    many = {f"agent:{number:03}" for number in range(100)}
    for name in many:
        ingest.accept(entry(ready(name), source=name), 1.0)
    few = list(ingest.finish(2.0, {"agent:001", "agent:002"}))
    assert [each.source for each in few] == ["agent:001", "agent:002"]
    (one,) = ingest.finish(3.0, many)
    assert (one.kind, one.source, one.data["count"]) == ("records.lost", "coordinator", 100)
    assert one.data["roles"] == sorted(many)
    assert one.message.startswith("100 roles did not send the count of their records: agent:000, agent:001")
    assert len(one.message) < 200
