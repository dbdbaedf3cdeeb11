"""A hop's changes: what is sent for them, and what is not."""

from __future__ import annotations

import attrs

from wotemu.topology.conditions import MarkovLoss, NetworkConditions
from wotemu.units import Seconds
from wotemu_gateways.netem_hop import HopPlace, NetemHop
from wotemu_gateways.netem_options import entrance
from wotemu_gateways.netlink import CREATE, REPLACE, Request
from wotemu_gateways.traffic_control import Stats

PLACE = HopPlace("a", "up", 2, 10, 20, 14)
CLASSIFIER = Request(44, b"", (), CREATE, "classifier")


def fresh(seed: str = "1/field") -> NetemHop:
    return NetemHop(PLACE, seed, lambda: CLASSIFIER)


def made(seed: str = "1/field") -> NetemHop:
    hop = fresh(seed)
    hop.impose(NetworkConditions())
    hop.confirm()
    return hop


def kinds(hop: NetemHop, **conditions: object) -> list[str]:
    requests = hop.impose(NetworkConditions.of(**conditions))
    hop.confirm()
    return [request.what for request in requests]


def test_a_hop_is_made_of_a_class_and_two_qdiscs() -> None:
    assert kinds(fresh()) == ["class 1:2", "qdisc netem 1002:", "qdisc netem 1:"]


def test_a_change_is_one_request_for_what_is_different() -> None:
    hop = made()
    assert kinds(hop, latency="20ms") == ["qdisc netem 1:"]
    assert kinds(hop, latency="20ms") == []
    assert kinds(hop, latency="20ms", rate="1mbit", queue="20p") == ["qdisc netem 1002:"]
    assert kinds(hop, latency="20ms", rate="1mbit", queue="1s") == ["classifier", "qdisc netem 1002:"]
    assert kinds(hop) == ["classifier", "qdisc netem 1002:", "qdisc netem 1:"]


def test_every_change_is_in_place() -> None:
    hop = made()
    conditions = NetworkConditions(latency="20ms", rate="1mbit", burst="20000B")
    requests = hop.impose(conditions)
    assert len(requests) == 3
    assert {request.flags for request in requests if request is not CLASSIFIER} == {REPLACE}
    assert hop.entrance == entrance(conditions, unseen_bytes=14)


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


def test_counters_are_reported_since_the_last_time() -> None:
    hop = made()
    stats = {(10, PLACE.leaf): Stats(12, 1200, 0, 2), (20, 0x10000): Stats(10, 1000, 2, 1)}
    row = hop.row(1.0, "field", stats, refused=3, cut=5)
    assert (row.sent, row.sent_bytes, row.dropped_loss, row.dropped_queue) == (10, 1000, 2, 3)
    assert (row.dropped_cut, row.backlog, row.shaper) == (5, 3, "netem")
    row = hop.row(2.0, "field", stats, refused=6, cut=5)
    assert (row.sent, row.dropped_loss, row.dropped_queue, row.dropped_cut) == (0, 0, 3, 0)


def test_a_counter_that_dips_is_no_drop() -> None:
    hop = made()
    stats = {(10, PLACE.leaf): Stats(12, 1200, 0, 0), (20, 0x10000): Stats(12, 1200, 0, 0)}
    told = [
        hop.row(t, "field", stats, refused=n, cut=0).dropped_queue for t, n in enumerate((0, -3, 0, -1, 0))
    ]
    assert told == [0] * 5


def test_a_change_labels_no_drop_of_the_past_anew() -> None:
    hop = made()
    kinds(hop, rate="1mbit", queue="50p")
    full = {(10, PLACE.leaf): Stats(1000, 1, 500, 0)}
    assert hop.row(1.0, "field", full, refused=0, cut=0).dropped_queue == 500
    kinds(hop, loss=0.1, loss_model=MarkovLoss(0.1, 0.5))
    row = hop.row(2.0, "field", full, refused=0, cut=0)
    assert (row.dropped_loss, row.dropped_queue) == (0, 0)
    kinds(hop)
    row = hop.row(3.0, "field", full, refused=0, cut=0)
    assert (row.dropped_loss, row.dropped_queue) == (0, 0)
