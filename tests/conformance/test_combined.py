"""A rate together with what happens to packets behind it, and the counters while they pass."""

from __future__ import annotations

import pytest

from wotemu.records import Hop
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Packets, Rate

from .conftest import once_per_core
from .field import Field, Stream
from .findings import Findings
from .intervals import Interval, share_interval
from .test_rate import goodput

SMALL = 208
"""The payload of a packet of 250 bytes: at 4 Mbit/s, 2000 a second, which a slow guest forwards."""

RATE, PER_SECOND, SECONDS = 4e6, 2000, 6


def saturated(field: Field, direction: Direction, conditions: NetworkConditions) -> Stream:
    """Seconds of half as many packets again as the rate lets through.

    `conditions` have a queue in which enough waits that a sender that is held up for a moment costs nothing.
    """
    field.set("a" if direction == "up" else "b", direction, conditions)
    with field.stream(size=SMALL) as stream:
        field.send(stream, PER_SECOND * SECONDS * 3 // 2, per_second=PER_SECOND * 1.5)
        return stream


def of_the_rate(share: float, interval: Interval) -> Interval:
    """Bits a second that a share of the rate is, with a margin for the clocks' reading."""
    low, high = interval
    assert low <= share <= high
    return RATE * low * 0.99, RATE * high * 1.01


@once_per_core
@pytest.mark.parametrize("direction", ["up", "down"])
def test_what_is_lost_on_the_air_took_time(field: Field, findings: Findings, direction: Direction) -> None:
    loss = 0.3
    stream = saturated(field, direction, NetworkConditions(rate=Rate(RATE), queue="1s", loss=loss))
    served = PER_SECOND * SECONDS
    assert findings.within(
        f"goodput at 4 Mbit/s with 30 % loss, {direction}",
        RATE * (1 - loss),
        goodput(stream),
        of_the_rate(1 - loss, share_interval(1 - loss, served)),
        "bit/s",
    )


@once_per_core
@pytest.mark.parametrize("direction", ["up", "down"])
def test_duplicates_take_none_of_the_rate(field: Field, findings: Findings, direction: Direction) -> None:
    share = 0.2
    stream = saturated(field, direction, NetworkConditions(rate=Rate(RATE), queue="1s", duplicate=share))
    served = PER_SECOND * SECONDS
    low, high = share_interval(share, served)
    ok = findings.within(
        f"goodput at 4 Mbit/s with 20 % duplicates, {direction}",
        RATE * (1 + share),
        goodput(stream),
        of_the_rate(1 + share, (1 + low, 1 + high)),
        "bit/s",
    )
    first: dict[int, float] = {}
    for arrival in stream.arrived:
        first.setdefault(arrival.number, arrival.at_s)
    instants_s = list(first.values())[20:]
    originals = (len(instants_s) - 1) * stream.frame_bytes * 8 / (instants_s[-1] - instants_s[0])
    ok &= findings.within(
        f"of that, originals, {direction}", RATE, originals, (RATE * 0.98, RATE * 1.02), "bit/s"
    )
    assert ok


@once_per_core
def test_a_queue_of_packets_is_bounded_whatever_is_lost(field: Field, findings: Findings) -> None:
    field.set("a", "up", NetworkConditions(rate="1mbit", queue=Packets(10), loss=0.1))
    with field.stream(size=958) as stream:
        field.send(stream, 1500, per_second=500)
        most_s = sorted(stream.delays_s)[len(stream.arrived) * 9 // 10]
    # Ten wait, one may be on the line; 8 ms each.
    assert findings.within(
        "queue of 10 packets with 10 % loss: p90 of the wait", 0.08, most_s, (0.072, 0.088 + 0.01), "ms"
    )


def drained_meanwhile(field: Field, conditions: NetworkConditions, count: int, rate: float) -> list[Hop]:
    """The counters of a's `up` while packets pass, of drains every 20 ms, and the last one at rest."""
    rows: list[Hop] = []
    field.set("a", "up", conditions)
    with field.stream(size=SMALL) as stream:
        field.send(
            stream,
            count,
            per_second=rate,
            every_s=0.02,
            then=lambda _: rows.append(field.drain()[1]["a", "up"]),
            settle_s=0.5,
        )
    rows.append(field.drain()[1]["a", "up"])
    return rows


def test_counters_tell_no_drop_that_was_none(field: Field, findings: Findings) -> None:
    count = 12_000
    rows = drained_meanwhile(field, NetworkConditions(latency="20ms", rate="50mbit", queue="1s"), count, 3000)
    assert len(rows) >= 10  # drains while packets pass; a slow machine has time for fewer than one in 20 ms
    refused = sum(row.dropped_queue for row in rows)
    sent = sum(row.sent for row in rows)
    ok = findings.within("drops counted where none was", 0, refused, (0, 0), "packets")
    ok &= findings.within("sent, of 12,000 in many drains", count, sent, (count, count), "packets")
    assert ok
    assert sum(row.dropped_loss for row in rows) == 0


def test_what_is_served_while_packets_wait_is_counted(field: Field, findings: Findings) -> None:
    rate = RATE / 10
    conditions = NetworkConditions(latency="20ms", rate=Rate(rate), queue="3s", loss=0.1)
    rows = drained_meanwhile(field, conditions, 1500, 300)
    served = sum(row.served_bytes or 0 for row in rows)
    busy_s = sum(row.busy or 0.0 for row in rows)
    spent_s = served * 8 / rate  # a machine that is short of time serves late, and packets wait longer
    ok = findings.within(
        "served before loss, of 1,500 offered", 1500 * 250, served, (375_000, 375_000), "bytes"
    )
    assert (
        findings.within("packets waited for", spent_s, busy_s, (0.95 * spent_s, 1.15 * spent_s), "s") and ok
    )


def test_counters_account_for_every_packet_while_they_pass(field: Field, findings: Findings) -> None:
    count = 12_000
    conditions = NetworkConditions(latency="20ms", rate="4mbit", queue="50ms", loss=0.1)
    rows = drained_meanwhile(field, conditions, count, 3000)
    accounted = sum(row.sent + row.dropped_loss + row.dropped_queue for row in rows)
    assert findings.within("sent + dropped, of 12,000 offered", count, accounted, (count, count), "packets")
    assert sum(row.dropped_queue for row in rows) > 0
    assert sum(row.dropped_loss for row in rows) > 0
    assert rows[-1].backlog == 0
