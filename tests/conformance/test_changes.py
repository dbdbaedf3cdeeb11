"""What a change of conditions does to packets that wait, and to those that come after it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest

from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Packets

from .field import Field, Stream
from .findings import Findings

LATE_S = 0.05
"""What a busy machine, and the way of a call to the gateway, may add to an instant. What is held for
conditions that hold no more comes later by a second or so."""

KB = 958
"""The payload of a packet of 1000 bytes."""

Change = Callable[[Field, NetworkConditions], None]


def of_a_hop(field: Field, conditions: NetworkConditions) -> None:
    field.set("a", "up", conditions)


def of_the_bucket(field: Field, conditions: NetworkConditions) -> None:
    field.call("set_shared_bucket", conditions)


def fill(stream: Stream, count: int) -> None:
    """Send packets at once, and leave the gateway time to read them."""
    stream.send(count)
    time.sleep(0.3)
    stream.receive()


def check_raise(
    field: Field, findings: Findings, change: Change, queue: str | Packets | None, what: str
) -> None:
    """Fill a queue at 100 kbit/s, raise the rate to 10 Mbit/s, and send on at a fifth of that."""
    change(field, NetworkConditions(rate="100kbit", queue=queue))
    with field.stream(size=KB) as stream:
        fill(stream, 20)  # 1.6 s worth of sending
        waiting = 20 - len(stream.arrived)
        changed_s = time.time()
        change(field, NetworkConditions(rate="10mbit", queue=queue))
        after = stream.sent
        field.send(stream, 100, per_second=250)
        numbers = stream.numbers
        drained_s = max(arrival.at_s for arrival in stream.arrived if arrival.number < after) - changed_s
        next_s = statistics.median(arrival.delay_s for arrival in stream.arrived if arrival.number >= after)
    assert waiting >= 10, "the queue was meant to be full"
    lost = stream.sent - len(set(numbers))
    ok = findings.within(f"rate raised, {what}: lost", 0, lost, (0, 0), "packets")
    drain_s = waiting * 8000 / 1e7
    ok &= findings.within(
        f"rate raised, {what}: backlog is out after", drain_s, drained_s, (0, drain_s + LATE_S), "ms"
    )
    # The first ones may find the rest of the backlog before them.
    ok &= findings.within(
        f"rate raised, {what}: median delay of what comes next", 0.0008, next_s, (0, 0.0008 + LATE_S), "ms"
    )
    assert ok
    assert numbers == sorted(numbers), "a rate leaves packets in their order"
    _, hops = field.drain()
    assert hops["a", "up"].dropped_queue == 0


@pytest.mark.parametrize("queue", [None, "2s", Packets(25)], ids=["default", "time", "packets"])
def test_a_raised_rate_serves_what_waits_and_lets_the_next_pass(
    field: Field, findings: Findings, queue: str | Packets | None
) -> None:
    check_raise(field, findings, of_a_hop, queue, f"queue {queue or 'by default'}")


def test_a_raised_rate_of_a_shared_bucket_does_so_too(shared_field: Field, findings: Findings) -> None:
    check_raise(shared_field, findings, of_the_bucket, "2s", "shared bucket")


def test_a_rate_that_is_lifted_lets_what_waits_go_at_once(field: Field, findings: Findings) -> None:
    field.set("a", "up", NetworkConditions(rate="100kbit"))
    with field.stream(size=KB) as stream:
        fill(stream, 20)
        changed_s = time.time()
        field.set("a", "up")
        stream.send(20)
        stream.settle(40, 0.5)
        assert stream.numbers == list(range(40))
        last_s = stream.arrived[-1].at_s - changed_s
    assert findings.within("rate lifted: everything is out after", 0.0, last_s, (0, 2 * LATE_S), "ms")


def test_a_lowered_rate_keeps_what_waits_and_refuses_more_until_there_is_room(
    field: Field, findings: Findings
) -> None:
    field.set("a", "up", NetworkConditions(rate="1mbit", queue="100K"))
    with field.stream(size=KB) as stream:
        begun_s = time.time()
        stream.send(60)
        time.sleep(0.1)
        served_s = time.time() - begun_s
        field.set("a", "up", NetworkConditions(rate="200kbit", queue="16K"))
        stream.send(10)
        stream.settle(60, 0.5)
        numbers = stream.numbers
        last_s = stream.arrived[-1].at_s - begun_s
        expected_s = served_s + (60 * 8000 - served_s * 1e6) / 2e5
        ok = findings.within(
            "rate lowered, full queue: lost of what waits", 0, 60 - len(set(numbers)), (0, 0), "packets"
        )
        ok &= findings.within(
            "rate lowered: last of what waits after",
            expected_s,
            last_s,
            # In the kernel, what is on the line and 10 ms' worth behind it keep the rate from before.
            (expected_s - 0.08, expected_s * 1.03),
            "ms",
        )
        stream.send(5)
        stream.settle(65, 0.5)
        assert stream.numbers == [*range(60), *range(70, 75)]
    assert ok
    _, hops = field.drain()
    assert hops["a", "up"].dropped_queue == 10


def test_at_rate_zero_packets_wait_and_leave_when_it_rises(field: Field, findings: Findings) -> None:
    field.set("a", "up", NetworkConditions(rate="1mbit", queue="100K"))
    with field.stream(size=KB) as stream:
        stream.send(30)
        time.sleep(0.05)
        field.set("a", "up", NetworkConditions(rate=0, queue="100K"))
        time.sleep(0.05)
        stream.receive()
        before = len(stream.arrived)
        stream.send(20)
        time.sleep(0.5)
        stream.receive()
        ok = findings.within("rate 0: packets that pass", 0, len(stream.arrived) - before, (0, 0), "packets")
        changed_s = time.time()
        field.set("a", "up", NetworkConditions(rate="1mbit", queue="100K"))
        stream.settle(50, 0.5)
        assert stream.numbers == list(range(50))
        last_s, expected_s = stream.arrived[-1].at_s - changed_s, (50 - before) * 0.008
    ok &= findings.within(
        "rate 0 and back: backlog is out after",
        expected_s,
        last_s,
        (expected_s - 0.009, expected_s + LATE_S),
        "ms",
    )
    assert ok


def test_a_queue_is_bounded_at_rate_zero_too(field: Field) -> None:
    field.set("a", "up", NetworkConditions(rate=0, queue=Packets(10)))
    with field.stream(size=KB) as stream:
        fill(stream, 30)
        assert not stream.arrived
        field.set("a", "up", NetworkConditions(rate="10mbit", queue=Packets(10)))
        stream.settle(10, 0.3)
        assert 10 <= len(stream.arrived) <= 11
        assert stream.numbers == list(range(len(stream.arrived)))
    _, hops = field.drain()
    assert hops["a", "up"].dropped_queue == 30 - len(stream.arrived)


def test_a_shortened_delay_holds_at_once(field: Field, findings: Findings) -> None:
    field.set("a", "up", NetworkConditions(latency="800ms"))
    with field.stream() as stream:
        stream.send(10)
        time.sleep(0.1)
        field.set("a", "up", NetworkConditions(latency="10ms"))
        field.send(stream, 20, per_second=200, settle_s=1.0)
        delays_s = {arrival.number: arrival.delay_s for arrival in stream.arrived}
    assert sorted(delays_s) == list(range(30)), "nothing is lost"
    old_s = min(delays_s[number] for number in range(10))
    new_s = max(delays_s[number] for number in range(10, 30))
    ok = findings.within(
        "delay 800 ms shortened to 10: longest after it", 0.01, new_s, (0.0099, 0.01 + LATE_S), "ms"
    )
    ok &= findings.within(
        "delay 800 ms shortened to 10: shortest under way", 0.8, old_s, (0.7999, 0.8 + LATE_S), "ms"
    )
    assert ok
