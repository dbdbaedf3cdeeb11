"""A hop's changes: what is sent for them, and what is not; and its counters."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from wotemu.records import Hop
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import MarkovLoss, NetworkConditions
from wotemu.units import Seconds
from wotemu_gateways.netem.hop import HopPlace, KernelCounters, NetemHop, ProbeSubtraction
from wotemu_gateways.netem.rate_stage import StagePlace
from wotemu_gateways.netlink.request_socket import CREATE, EXCL, REPLACE, Request
from wotemu_gateways.netlink.tc import Stats

STAGE = StagePlace(2, 10, 11)
PLACE = HopPlace("a", "up", STAGE, 20, 104, 4, None)
QUEUE, LINE, AIR = (10, 0x10020000), (11, 0x10020000), (20, 0x10000)
"""Where the counters of a hop's gate, serialising and propagating NetEm are."""

CLASS, FIFO, COUNTED = "class 1:2", "qdisc bfifo 5002:", "qdisc pfifo 9002:"
GATE, SERIAL, DELAY = "qdisc tbf 1002:", "qdisc netem 1002:", "qdisc netem 1:"


def fresh(seed: str = "1/field") -> NetemHop:
    return NetemHop(PLACE, 5000, seed)


def imposed(hop: NetemHop, **conditions: Any) -> list[Request]:
    requests = hop.impose(NetworkConditions.of(**conditions))
    hop.confirm()
    return requests


def kinds(hop: NetemHop, **conditions: Any) -> list[str]:
    return [request.what for request in imposed(hop, **conditions)]


def made(seed: str = "1/field") -> NetemHop:
    hop = fresh(seed)
    imposed(hop)
    return hop


def test_a_hop_is_made_of_a_queue_in_a_class_and_two_qdiscs() -> None:
    requests = imposed(fresh())
    assert [request.what for request in requests] == [CLASS, GATE, FIFO, CLASS, SERIAL, DELAY]
    fifo = requests[2]
    assert fifo.flags == CREATE | REPLACE, "a gate comes with a fifo of its own"
    assert {request.flags for request in requests if request is not fifo} == {CREATE | EXCL}


def test_a_change_is_one_request_for_what_is_different() -> None:
    hop = made()
    assert kinds(hop, latency="20ms") == [DELAY]
    assert kinds(hop, latency="20ms") == []
    assert kinds(hop, latency="20ms", rate="1mbit", queue="64K") == [FIFO, CLASS, SERIAL]
    assert kinds(hop, latency="20ms", rate="1mbit", queue="1s") == [FIFO]
    assert kinds(hop, rate="1mbit", queue="1s") == [DELAY]


def test_every_change_is_in_place() -> None:
    hop = made()
    requests = imposed(hop, latency="20ms", rate="1mbit", burst="20000B")
    assert {request.flags for request in requests} == {REPLACE, CREATE | REPLACE}


def test_the_own_time_on_the_line_is_shortened_before_and_lengthened_after_the_rate() -> None:
    # A packet that met the old, lower rate behind the new, higher one would block all others for its time.
    hop = made()
    imposed(hop, rate="8kbit", queue="64K")
    assert kinds(hop, rate="10mbit", queue="640K") == [FIFO, SERIAL, CLASS]
    assert kinds(hop, rate="8kbit", queue="64K") == [FIFO, CLASS, SERIAL]
    assert kinds(hop) == [FIFO, SERIAL, CLASS]


def test_at_rate_zero_the_gate_closes_and_the_rate_stays() -> None:
    hop = made()
    imposed(hop, rate="1mbit", queue="1p")
    assert kinds(hop, rate=0, queue="1p") == [GATE]
    assert kinds(hop, rate="1mbit", queue="1p") == [GATE]
    assert hop.stage.opens
    assert kinds(hop, rate=0, queue="1p") == [GATE]
    assert kinds(hop, rate="2mbit", queue="1p") == [SERIAL, CLASS, GATE]
    assert kinds(hop, rate="2mbit", queue="1p") == []
    assert not hop.stage.opens


def test_a_hop_may_begin_at_rate_zero() -> None:
    hop = fresh()
    imposed(hop, rate=0)
    assert not hop.stage.opens
    assert kinds(hop, rate="1mbit")[-1] == GATE
    assert hop.stage.opens


def test_a_queue_in_packets_takes_the_place_of_one_in_bytes() -> None:
    hop = made()
    imposed(hop, rate="1mbit", queue="64K")
    requests = imposed(hop, rate="1mbit", queue="20p")
    assert requests[0].what == COUNTED
    assert requests[0].flags == CREATE | REPLACE


def test_a_place_beyond_the_kernels_handles_is_refused() -> None:
    assert StagePlace(0x3FFF, 1, 2)
    with pytest.raises(ValueError, match="at most 16383 nodes"):
        StagePlace(0x4000, 1, 2)


def test_the_same_changes_have_the_same_seeds_and_others_do_not() -> None:
    change = NetworkConditions(latency=Seconds(0.02), loss=0.1)
    one, again, other = made(), made(), made("2/field")
    assert one.impose(change) == again.impose(change)
    assert other.impose(change) != made().impose(change)
    first = made().impose(change)
    hop = made()
    hop.impose(attrs.evolve(change, loss=0.2))
    hop.confirm()
    assert hop.impose(change) != first, "a later change draws other numbers"


# KernelCounters

NONE = Stats()


def counters(
    *,
    queue: Stats = NONE,
    line: Stats = NONE,
    air: Stats = NONE,
    to_serial: Stats = NONE,
    to_air: Stats = NONE,
    came_to_air: int = 0,
) -> KernelCounters:
    before = {104: to_serial, 4: Stats(came_to_air)}
    return KernelCounters(before, {QUEUE: queue, LINE: line, AIR: air}, {104: to_serial, 4: to_air}, {})


def test_counters_are_reported_since_the_last_time() -> None:
    hop = made()
    counted = counters(queue=Stats(17, 1700, 3, 2), line=Stats(15, 1500, 0, 1), air=Stats(10, 1000, 2, 1))
    row = hop.row(1.0, "field", counted, cut=5)
    assert (row.sent, row.sent_bytes, row.dropped_loss, row.dropped_queue) == (10, 1000, 2, 3)
    assert (row.dropped_cut, row.dropped_memory, row.backlog, row.shaper) == (5, 0, 4, "netem")
    row = hop.row(2.0, "field", counters(queue=Stats(20, 2000, 6, 0), air=Stats(13, 1300, 2, 0)), cut=5)
    assert (row.sent, row.dropped_loss, row.dropped_queue, row.dropped_cut) == (3, 0, 3, 0)


def test_what_a_delay_had_no_room_for_was_not_lost_at_random() -> None:
    hop = made()
    row = hop.row(1.0, "field", counters(air=Stats(50, 5000, 30, 0), to_air=Stats(80, 0, 0, 0, 20)), cut=0)
    assert (row.dropped_loss, row.dropped_memory) == (10, 20)


def test_a_difference_of_counters_that_dips_is_no_drop() -> None:
    hop = made()
    rows = [
        hop.row(float(t), "field", counters(air=Stats(0, 0, drops), to_air=Stats(overlimits=full)), cut=0)
        for t, (drops, full) in enumerate([(5, 5), (5, 8), (8, 8), (9, 8), (9, 9), (10, 9)])
    ]
    assert [row.dropped_loss for row in rows] == [0, 0, 0, 1, 0, 0]
    assert sum(row.dropped_memory for row in rows) == 9


def test_packets_that_were_marked_are_no_drops() -> None:
    hop = made()
    imposed(hop, loss=0.2, ecn=True)
    # NetEm counts 25 drops: 20 marks and 5 losses of packets that can't be marked.
    counted = counters(air=Stats(95, 9500, 25, 0), to_air=Stats(100), came_to_air=100)
    assert hop.row(1.0, "field", counted, cut=0).dropped_loss == 5


def test_what_duplicates_hid_while_packets_were_marked_hides_no_later_loss() -> None:
    hop = made()
    imposed(hop, loss=0.2, ecn=True, duplicate=0.5)
    doubled = counters(air=Stats(145, 14500, 25, 0), to_air=Stats(100), came_to_air=100)
    assert hop.row(1.0, "field", doubled, cut=0).dropped_loss == 0, "as far as can be known"
    imposed(hop, loss=0.2)
    later = counters(air=Stats(225, 22500, 45, 0), to_air=Stats(200), came_to_air=200)
    hop.row(2.0, "field", later, cut=0)  # both held since the last time
    last = counters(air=Stats(305, 30500, 65, 0), to_air=Stats(300), came_to_air=300)
    assert hop.row(3.0, "field", last, cut=0).dropped_loss == 20


def test_a_change_labels_no_drop_of_the_past_anew() -> None:
    hop = made()
    imposed(hop, rate="1mbit", queue="50p")
    full = counters(queue=Stats(1000, 1, 500, 0))
    assert hop.row(1.0, "field", full, cut=0).dropped_queue == 500
    imposed(hop, loss=0.1, loss_model=MarkovLoss(0.1, 0.5))
    row = hop.row(2.0, "field", full, cut=0)
    assert (row.dropped_loss, row.dropped_queue) == (0, 0)


def test_a_hop_tells_what_its_rate_served_and_for_how_long_packets_waited() -> None:
    hop = made()
    imposed(hop, rate="1mbit", overhead=10)
    hop.stage.observe(0.0, {QUEUE: Stats(backlog_packets=9)})
    hop.stage.observe(1.0, {QUEUE: Stats(packets=5, size_bytes=500, backlog_packets=9)})
    assert hop.stage.take_service() == (1.0, 550)
    imposed(hop, rate="1mbit", cell_size=48, cell_overhead=5)
    assert hop.stage.take_service() == (None, None), "nobody counts cells"


def test_a_queue_of_another_kind_begins_anew() -> None:
    hop = made()
    imposed(hop, rate="1mbit", queue="64K")
    hop.stage.observe(0.0, {QUEUE: Stats(backlog_packets=9)})
    imposed(hop, rate="1mbit", queue="20p")
    hop.stage.observe(1.0, {QUEUE: Stats()})
    assert hop.stage.take_service() == (0.0, 0)


def counted(direction: Direction, sent: int, lost: int) -> Hop:
    return Hop(0.0, "field", "a", direction, "netem", sent, sent * 100, lost, 0, 0, 0, None)


def test_lost_probes_are_no_lost_packets_of_the_way_up() -> None:
    """Half of all is lost: 10 of 20 probes, too, which the kernel counts with an app's 4 packets."""
    probes = ProbeSubtraction("up")
    first = probes.subtract(counted("up", 6, 6), 10, 1000)
    second = probes.subtract(counted("up", 6, 6), 10, 1000)
    assert (first.sent + second.sent, first.dropped_loss + second.dropped_loss) == (2, 2)
    assert first.sent_bytes + second.sent_bytes == 200


def test_on_the_way_down_those_that_left_are_seen() -> None:
    row = ProbeSubtraction("down").subtract(counted("down", 12, 12), 10, 1000)
    assert (row.sent, row.sent_bytes, row.dropped_loss) == (2, 200, 2)


def test_shares_of_a_probe_add_up_and_what_comes_later_is_subtracted_later() -> None:
    probes = ProbeSubtraction("up")
    rows = [probes.subtract(counted("up", 90, 10), 1, 100) for _ in range(100)]
    assert sum(row.dropped_loss for row in rows) == pytest.approx(1000 - 10, abs=1)
    assert sum(row.sent for row in rows) == pytest.approx(9000 - 90, abs=1)
    assert probes.subtract(counted("up", 0, 0), 3, 300).sent == 0
    assert probes.subtract(counted("up", 5, 0), 0, 0).sent == 2
