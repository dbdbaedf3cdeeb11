"""How much gets through, and what waits for it."""

from __future__ import annotations

import itertools
import json
import shutil
import statistics
import subprocess
import time

import attrs
import pytest

from tests.conftest import Require
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Packets, Rate

from .conftest import in_user_space
from .field import HEADERS_BYTES, Field, Stream
from .findings import Findings

FULL = 1472
"""The payload of a full packet: 1514 bytes with its headers."""


def goodput(stream: Stream, skip: int = 20) -> float:
    """Bits of frames a second, from one arrival to another."""
    first, last = stream.arrived[skip], stream.arrived[-1]
    return (len(stream.arrived) - 1 - skip) * stream.frame_bytes * 8 / (last.at_s - first.at_s)


def three_percent(value: float) -> tuple[float, float]:
    return value * 0.97, value * 1.03


@pytest.mark.parametrize(("direction", "rate"), [("up", 2e6), ("down", 500e3)])
def test_udp_gets_the_rate(field: Field, findings: Findings, direction: str, rate: float) -> None:
    field.set("a" if direction == "up" else "b", direction, NetworkConditions(rate=Rate(rate)))  # type: ignore[arg-type]
    with field.stream(size=958) as stream:
        field.send(stream, int(1.5 * rate / 8000 * 2), per_second=1.5 * rate / 8000)
        measured = goodput(stream)
    assert findings.within(f"goodput of UDP, {direction}", rate, measured, three_percent(rate), "bit/s")


def test_udp_of_small_packets_gets_the_rate(field: Field, findings: Findings) -> None:
    field.set("a", "up", NetworkConditions(rate="800kbit"))
    with field.stream(size=58) as stream:
        field.send(stream, 3000, per_second=1500)
        measured = goodput(stream)
    assert findings.within("goodput of small UDP packets", 8e5, measured, three_percent(8e5), "bit/s")


def test_tcp_gets_the_rate(field: Field, findings: Findings, require: Require) -> None:
    require(shutil.which("iperf3") is not None, "iperf3 is not installed")
    rate = 8e6
    field.set("a", "up", NetworkConditions(latency="10ms", rate=Rate(rate)))
    field.set("b", "up", NetworkConditions(latency="10ms", rate=Rate(rate)))
    server = subprocess.Popen(field.nodes["b"].command("iperf3", "-s", "-1"), stdout=subprocess.DEVNULL)
    begun = time.monotonic()
    while not field.run("b", "ss -Hltn sport = :5201"):
        assert time.monotonic() < begun + 10, "iperf3 does not listen"
    report = json.loads(field.run("a", f"iperf3 -J -t 4 -O 1 -c {field.addresses['b']}"))
    server.wait(10)
    measured = report["end"]["sum_received"]["bits_per_second"]
    expected = rate * 1448 / 1514
    assert findings.within("goodput of TCP (iperf3)", expected, measured, three_percent(expected), "bit/s")


def test_overhead_and_cells_take_their_share(field: Field, findings: Findings) -> None:
    # ATM: 142 + 8 bytes are four cells of 48, with 5 each.
    field.set("a", "up", NetworkConditions(rate="1mbit", overhead=8, cell_size=48, cell_overhead=5))
    with field.stream(size=100) as stream:
        field.send(stream, 2400, per_second=1200)
        measured = goodput(stream)
    expected = 1e6 * 142 / (4 * 53)
    assert findings.within("goodput in cells of ATM", expected, measured, three_percent(expected), "bit/s")


def test_a_burst_passes_at_once_after_a_pause(field: Field, findings: Findings) -> None:
    field.set("a", "up", NetworkConditions(rate="200kbit", burst=f"{10 * 1514}B", queue="2s"))
    with field.stream(size=FULL) as stream:
        time.sleep(0.7)  # the pause: so long the burst takes to be saved up
        stream.send(20)
        stream.settle(20, 0.5)
        at_once = sum(delay_s < 0.030 for delay_s in stream.delays_s)
        last_s = stream.delays_s[-1]
    # Each packet beyond the burst takes 60.6 ms.
    assert findings.within("burst of 10 packets: passed at once", 10, at_once, (10, 10), "packets")
    assert findings.within("burst of 10 packets: the 20th", 0.6056, last_s, (0.59, 0.61), "ms")


@pytest.mark.parametrize(
    ("queue", "size", "expected"),
    [
        (Packets(30), FULL, 30),
        (Packets(30), 58, 30),
        ("1s", FULL, 16),  # 200 kbit/s: 25,000 bytes
        ("1s", 58, 250),
        ("16K", FULL, 10),
    ],
)
def test_a_full_queue_drops_what_comes_last(
    field: Field, findings: Findings, queue: str | Packets, size: int, expected: int
) -> None:
    field.set("a", "up", NetworkConditions(rate="200kbit", latency="5ms", queue=queue))
    sent = 2 * expected
    with field.stream(size=size) as stream:
        begun = time.monotonic()
        stream.send(sent)
        left = int((time.monotonic() - begun) * 2e5 / 8 / (size + HEADERS_BYTES))
        stream.settle(sent, 0.4)
        numbers = stream.numbers
    what = f"queue of {queue}, packets of {size + HEADERS_BYTES} bytes"
    # One may have been sent already by the time the next comes; while sending, the rate made room for `left`.
    room = (expected * 0.99 - 1, expected * 1.01 + 1 + left)
    assert findings.within(what, expected, len(numbers), room, "packets")
    assert numbers[: expected - 1] == list(range(expected - 1)), "the queue keeps what came first"
    _, hops = field.drain()
    assert hops["a", "up"].dropped_queue == sent - len(numbers)


def test_the_default_queue_is_never_a_silent_thousand(field: Field) -> None:
    field.set("a", "up", NetworkConditions(latency="300ms"))
    with field.stream(size=20) as stream:
        field.send(stream, 3000, per_second=6000, settle_s=0.8)
        assert stream.numbers == list(range(3000))


RADIO = NetworkConditions(rate="400kbit", duty_cycle="25%", queue="50p")
"""A packet of 1000 bytes is in the air for 20 ms, and 60 ms of silence follow."""


def median_gap(stream: Stream, first: int = 0, last: int | None = None) -> float:
    """Seconds from an arrival to the next, of those from one number to another."""
    arrived = stream.arrived[first:last]
    return statistics.median(after.at_s - before.at_s for before, after in itertools.pairwise(arrived))


def earliest(stream: Stream, count: int) -> float:
    """How late the earliest of packets came that were sent at once, in seconds; below 0: too soon."""
    first = stream.arrived[0]
    return min(
        each.at_s - first.at_s + first.delay_s - 0.020 - 0.080 * number
        for number, each in enumerate(stream.arrived[:count])
    )


@in_user_space
@pytest.mark.parametrize("direction", ["up", "down"])
def test_after_a_packet_its_radio_is_silent(field: Field, findings: Findings, direction: str) -> None:
    field.set("a" if direction == "up" else "b", direction, RADIO)  # type: ignore[arg-type]
    with field.stream(size=958) as stream:
        stream.send(15)
        stream.settle(15, 0.5)
        time.sleep(0.5)  # much longer than a silence: nothing of it is saved up
        stream.send(2)
        stream.settle(17, 0.5)
    assert stream.numbers == list(range(17))
    bounds = (0.079, 0.081)
    assert findings.within("air time and silence", 0.080, median_gap(stream, 0, 15), bounds, "ms")
    assert earliest(stream, 15) > -0.0005
    assert findings.within("after the silence", 0.020, stream.delays_s[15], (0.0195, 0.060), "ms")
    assert stream.delays_s[16] > 0.060 + 0.020


@in_user_space
def test_a_changed_duty_cycle_holds_for_what_waits(field: Field, findings: Findings) -> None:
    field.set("a", "up", RADIO)
    with field.stream(size=958) as stream:
        stream.send(35)
        stream.settle(4, 0.5)
        field.set("a", "up", attrs.evolve(RADIO, duty_cycle="50%"))
        stream.settle(19, 0.5)
        field.set("a", "up", attrs.evolve(RADIO, duty_cycle="100%"))
        stream.settle(35, 0.5)
    assert stream.numbers == list(range(35))
    for first, last, expected_s in ((5, 19, 0.040), (21, 35, 0.020)):
        bounds = (expected_s - 0.001, expected_s + 0.001)
        gap_s = median_gap(stream, first, last)
        assert findings.within("air time and silence, changed", expected_s, gap_s, bounds, "ms")


@in_user_space
def test_on_a_shared_channel_each_node_is_silent_by_itself(shared_field: Field, findings: Findings) -> None:
    field = shared_field
    field.call("set_shared_bucket", NetworkConditions(rate=RADIO.rate, queue="50p"))
    for node in ("a", "b"):
        field.set(node, "up", NetworkConditions(duty_cycle="25%"))
    with field.stream("a", "c", size=958) as one, field.stream("b", "c", size=958) as other:
        for stream in (one, other):
            stream.send(15)
        for stream in (one, other):
            stream.settle(15, 0.5)
    for stream in (one, other):
        bounds = (0.079, 0.081)
        assert findings.within("shared channel: air time, silence", 0.080, median_gap(stream), bounds, "ms")
        assert earliest(stream, 15) > -0.0005
    first_s, last_s = one.arrived[0].at_s, one.arrived[-1].at_s
    meanwhile = sum(first_s < each.at_s < last_s for each in other.arrived)
    assert findings.within("shared channel: sent in the other's silences", 14, meanwhile, (5, 15), "packets")


def test_a_shared_bucket_is_shared(shared_field: Field, findings: Findings) -> None:
    field, rate = shared_field, 1e6
    field.call("set_shared_bucket", NetworkConditions(rate=Rate(rate)))
    with field.stream("a", "c", size=958) as one, field.stream("b", "c", size=958) as other:
        field.send([one, other], 250, per_second=125)
        arrived = sorted([*one.arrived, *other.arrived], key=lambda arrival: arrival.at_s)
        measured = (len(arrived) - 21) * 8000 / (arrived[-1].at_s - arrived[20].at_s)
        assert one.arrived
        assert other.arrived
    assert findings.within(
        "shared bucket, two senders together", rate, measured, three_percent(rate), "bit/s"
    )
    _, hops = field.drain()
    dropped = hops["a", "up"].dropped_queue + hops["b", "up"].dropped_queue
    assert dropped == 500 - len(arrived)
    field.call("set_shared_bucket", None)
    with field.stream("a", "c", size=958) as stream:
        field.send(stream, 250, per_second=500)
        assert len(stream.arrived) == 250
