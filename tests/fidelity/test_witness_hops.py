"""What hops sent: against their rate, and how late."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fidelity.recorded_run import REPLICAS, T0, Run, at, planned
from wotemu.percentiles import RELATIVE_ERROR, Histogram
from wotemu.records import Change
from wotemu.scenario.timeline import Change as Planned
from wotemu.topology.conditions import NetworkConditions
from wotemu_runtime.fidelity import judge


def test_changes_are_late_fail_or_are_missed() -> None:
    run = Run(*(planned(number, number, "partition", []) for number in range(1, 5)))
    run.changed(1, 0.002)
    run.changed(2, 0.2)
    run.tell(Change(3, T0 + 3, T0 + 3, "partition", "field", "[]", "[]", False, "OSError: no"))
    _, evidence = run.over()
    changes = evidence.changes
    assert (changes.planned, changes.failed, changes.missing) == (4, 1, 1)
    assert changes.late_p50_s == pytest.approx(0.002, abs=1e-6)
    assert changes.late_p95_s == pytest.approx(0.2)


def test_changes_of_limits_are_late_by_a_threshold_of_their_own() -> None:
    after = {"cpu": 0.1, "mem_bytes": None}
    limits = [Planned(number, 20.0 + number, "limit", None, "a", None, None, after) for number in (2, 3)]
    run = Run(planned(1, 10.0, "partition", []), *limits)
    for number, late_s in ((1, 0.001), (2, 0.04), (3, 0.06)):
        run.changed(number, late_s)
    changes = run.over()[1].changes
    assert changes.planned == 3
    assert changes.late_max_s == pytest.approx(0.001, abs=1e-6)
    assert changes.limits_late_p95_s == pytest.approx(0.06, abs=1e-6)


def test_a_hop_that_sends_more_than_its_rate_is_noticed() -> None:
    run = Run(network=NetworkConditions(latency="20ms", rate="1mbit"))
    run.counters(range(1, 31), sent=120, sent_bytes=120_000)
    run.counters(range(1, 31), node="b", direction="down", sent=180, sent_bytes=180_000)
    _, evidence = run.over()
    assert at(evidence, "a", "up").rate_excess == 0.0
    assert at(evidence, "b", "down").rate_excess == pytest.approx(0.406, abs=0.05)


def test_a_backlog_that_leaves_at_the_old_rate_after_it_fell_is_too_much() -> None:
    run = Run(
        planned(1, 10.0, "conditions", NetworkConditions(rate="100kbit").to_dict(), "up"),
        network=NetworkConditions(rate="1mbit"),
    )
    run.changed(1)
    run.counters([9, 10, 11], sent=120, sent_bytes=120_000, busy=1.0, served_bytes=120_000)
    _, evidence = run.over()
    excess = at(evidence, "a", "up").rate_excess
    assert excess is not None
    assert excess > 5


def test_where_nobody_counts_what_was_served_a_change_of_the_rate_is_passed_over() -> None:
    run = Run(
        planned(1, 10.0, "conditions", NetworkConditions(rate="100kbit").to_dict(), "up"),
        network=NetworkConditions(rate="1mbit"),
    )
    run.changed(1)
    run.counters([9, 10], sent=120, sent_bytes=120_000)
    run.counters([11], sent=100, sent_bytes=100_000)
    _, evidence = run.over()
    assert at(evidence, "a", "up").rate_excess == 0.0


def late(*lateness_s: float) -> dict[str, Any]:
    histogram = Histogram()
    histogram.add(lateness_s)
    return {"late_max": max(lateness_s), "late_bins": histogram.bins, "late_counts": histogram.counts}


def test_the_late_p95_is_of_packets_not_of_seconds() -> None:
    """One busy late second outweighs nineteen with a single punctual packet each."""
    run = Run()
    run.counters(range(1, 20), **late(0.001))
    run.counters([20], **late(*[0.4] * 50, 0.5))
    run.counters(range(21, 61))
    _, evidence = run.over()
    hop = at(evidence, "a", "up")
    assert hop.late_p95_s == pytest.approx(0.4, rel=RELATIVE_ERROR)
    assert hop.late_max_s == 0.5


def test_a_few_late_packets_among_many_leave_the_p95_low() -> None:
    run = Run()
    run.counters([1], **late(*[0.001] * 96))
    run.counters(range(2, 6), **late(0.4))
    _, evidence = run.over()
    assert at(evidence, "a", "up").late_p95_s == pytest.approx(0.001, rel=RELATIVE_ERROR)


def test_while_packets_wait_a_hop_must_serve_its_rate() -> None:
    run = Run(network=NetworkConditions(latency="20ms", rate="1mbit"))
    run.counters(range(1, 61), sent=120, sent_bytes=120_000, busy=1.0, served_bytes=125_000)
    run.counters(
        range(1, 61), node="b", direction="down", sent=50, sent_bytes=50_000, busy=1.0, served_bytes=60_000
    )
    run.counters(range(1, 61), node="c", sent=50, sent_bytes=50_000, busy=0.4, served_bytes=50_000)
    _, evidence = run.over()
    full, short = at(evidence, "a", "up").goodput, at(evidence, "b", "down").goodput
    assert full is not None
    assert short is not None
    assert full.short == 0.0
    assert short.short == pytest.approx(0.52, abs=0.01)
    assert at(evidence, "c", "up").goodput is None
    assert [(reason.what, reason.affected) for reason in judge(evidence).reasons] == [
        ("goodput_short", ("b@field down",)),
        ("no_probes", ("gateway:field",)),
    ]


def test_a_backlog_that_leaves_at_the_old_rate_after_it_was_raised_is_a_reason() -> None:
    fast = NetworkConditions(rate="10mbit").to_dict()
    run = Run(planned(1, 10.0, "conditions", fast, "up"), network=NetworkConditions(rate="8kbit"))
    run.changed(1)
    run.counters(range(1, 31), sent=1, sent_bytes=1000, busy=1.0, served_bytes=1000)
    _, evidence = run.over()
    (reason,) = (reason for reason in judge(evidence).reasons if reason.what == "goodput_short")
    assert reason.verdict == "INVALID"
    assert reason.measured > 0.99


def test_a_backlog_that_leaves_at_the_new_rate_is_none() -> None:
    fast = NetworkConditions(rate="10mbit").to_dict()
    run = Run(planned(1, 10.0, "conditions", fast, "up"), network=NetworkConditions(rate="8kbit"))
    run.changed(1, late_s=0.003)
    run.counters(range(1, 11), sent=1, sent_bytes=1000, busy=1.0, served_bytes=1000)
    run.counters([11], sent=24, sent_bytes=24_000, busy=0.02, served_bytes=24_000)
    _, evidence = run.over()
    hop = at(evidence, "a", "up")
    assert hop.goodput is not None
    assert (hop.goodput.short, hop.rate_excess) == (0.0, 0.0)


def test_a_shared_networks_rate_is_judged_for_all_its_nodes_together() -> None:
    run = Run(network=NetworkConditions(rate="1mbit"), shared=True)
    for node in REPLICAS:
        run.counters(range(1, 61), node=node, sent=20, sent_bytes=20_000, busy=0.0, served_bytes=20_000)
    run.counters(range(1, 61), node="", direction="shared", busy=1.0, served_bytes=60_000)
    _, evidence = run.over()
    (reason,) = (reason for reason in judge(evidence).reasons if reason.what == "goodput_short")
    assert reason.affected == ("field's shared rate",)
    assert reason.measured == pytest.approx(0.52, abs=0.01)


def test_a_shared_network_that_serves_more_than_its_rate_is_noticed() -> None:
    run = Run(network=NetworkConditions(rate="1mbit"), shared=True)
    run.counters(range(1, 61), node="", direction="shared", busy=1.0, served_bytes=200_000)
    _, evidence = run.over()
    excess = at(evidence, "", "shared").rate_excess
    assert excess is not None
    assert excess == pytest.approx(0.56, abs=0.02)
