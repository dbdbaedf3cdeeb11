"""From records, as they come over the bus, to evidence."""

from __future__ import annotations

import json
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from attrs import evolve

from wotemu.fidelity.evidence import HostEvidence
from wotemu.percentiles import RELATIVE_ERROR, Histogram
from wotemu.records import (
    Change,
    Event,
    GatewayLoad,
    Hop,
    Host,
    Probe,
    ProbeArrived,
    ProbeSent,
    Record,
    Stall,
)
from wotemu.scenario.timeline import Change as Planned
from wotemu.scenario.timeline import Direction, HopKey, Timeline
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.hop_conditions import hop_conditions
from wotemu_gateways.conditions.network_state import NetworkSetup
from wotemu_gateways.packets.probe import SIZE
from wotemu_runtime.fidelity import Evidence, HopEvidence, Losses, Witness, judge
from wotemu_runtime.fidelity.expectation import serialisation_s

T0 = 1_750_000_000.0
END_S = 60.0
MS_20 = NetworkConditions(latency="20ms")
CLEAR = NetworkConditions()
REPLICAS = ("a", "b", "c")


def planned(number: int, at_s: float, action: Any, after: Any, direction: Direction | None = None) -> Planned:
    return Planned(number, at_s, action, "field", None, direction, None, after)


class Run:
    """A run of three replicas on one network, told as it happens."""

    def __init__(self, *changes: Planned, network: NetworkConditions = MS_20, shared: bool = False) -> None:
        hops: dict[HopKey, NetworkConditions] = {
            ("field", None, "up"): network,
            ("field", None, "down"): NetworkConditions(rate=network.rate),
        }
        hops |= {("field", node, way): CLEAR for node in REPLICAS for way in ("up", "down")}
        place = NetworkSetup(name="field", shared=shared, nodes={name: name for name in REPLICAS}, hops=hops)
        self._changes = {change.id: change for change in changes}
        self._ids = iter(range(1_000_000))
        timeline = Timeline(0, END_S, (), changes)
        self.witness = Witness([place], lambda: timeline)
        self.witness.begin(T0)
        self.early: list[Probe] = []

    def tell(self, *records: Record) -> None:
        for record in records:
            self.witness.take([record])

    def probe(
        self, at_s: float, took_s: float | None, sender: str = "a", receiver: str = "b", handed_s: float = 0.0
    ) -> None:
        number = next(self._ids)
        self.tell(ProbeSent(T0 + at_s, "field", sender, receiver, number, handed_s))
        if took_s is not None:
            self.tell(ProbeArrived(T0 + at_s + took_s, "field", receiver, number))

    def changed(self, number: int, late_s: float = 0.001) -> None:
        change = self._changes[number]
        due = T0 + change.at_s
        after = json.dumps(change.after)
        self.tell(Change(number, due, due + late_s, change.action, change.target, "null", after, True, ""))

    def counters(self, seconds: Iterable[int], node: str = "a", direction: str = "up", **facts: Any) -> None:
        values: dict[str, Any] = {
            "sent": 0, "sent_bytes": 0, "dropped_loss": 0, "dropped_queue": 0, "dropped_cut": 0, "backlog": 0,
            "late_max": None, **facts,
        }  # fmt: skip
        for second in seconds:
            self.tell(
                Hop(t=T0 + second, network="field", node=node, direction=direction, shaper="tun", **values)
            )

    def over(self) -> tuple[list[Probe], Evidence]:
        self.witness.end(T0 + END_S)
        return self.witness.finish(), self.witness.evidence()


def at(evidence: Evidence, node: str, direction: str) -> HopEvidence:
    return next(hop for hop in evidence.hops if (hop.node, hop.direction) == (node, direction))


def test_probes_that_take_what_the_conditions_say_agree() -> None:
    run = Run()
    for second in range(30):
        run.probe(second, 0.0205)
    probes, evidence = run.over()
    assert {(probe.expected, probe.lost, probe.state) for probe in probes} == {(0.02, False, "")}
    for hop in (at(evidence, "a", "up"), at(evidence, "b", "down")):
        assert hop.probes == 30
        assert hop.delays is not None
        assert hop.delays.error_s == pytest.approx(0.0005, rel=0.021)
        assert hop.losses is not None
        assert (hop.losses.probes, hop.losses.lost) == (30, 0)
    assert judge(evidence).verdict == "VALID"


def test_probes_that_take_longer_are_a_reason() -> None:
    run = Run()
    for second in range(30):
        run.probe(second, 0.06)
    _, evidence = run.over()
    assert {reason.what for reason in judge(evidence).reasons} == {"probe_delay"}


def test_what_the_sender_took_to_hand_it_over_is_not_the_networks() -> None:
    run = Run()
    for second in range(30):
        run.probe(second, 0.06, handed_s=0.039)
    _, evidence = run.over()
    delays = at(evidence, "a", "up").delays
    assert delays is not None
    assert delays.error_s == pytest.approx(0.001, rel=0.021)


def test_a_probe_that_is_sooner_than_the_conditions_allow_went_another_way() -> None:
    run = Run()
    run.probe(1, 0.001)
    _, evidence = run.over()
    assert (at(evidence, "a", "up").early, at(evidence, "b", "down").early) == (1, 0)
    assert judge(evidence).verdict == "INVALID"


def test_probes_are_expected_as_the_conditions_are_when_they_are_sent() -> None:
    slow = planned(1, 10.0, "conditions", NetworkConditions(latency="100ms").to_dict(), "up")
    run = Run(slow)
    run.probe(5, 0.02)
    run.changed(1)
    run.probe(15, 0.1)
    probes, _ = run.over()
    assert [probe.expected for probe in probes] == [0.02, 0.1]


def test_a_probe_that_met_a_great_change_is_not_judged_and_counted() -> None:
    """Any delay from 20 to 100 ms would do for it, so it says nothing, not that all is well."""
    run = Run(planned(1, 10.0, "conditions", NetworkConditions(latency="100ms").to_dict(), "up"))
    run.changed(1)
    run.probe(9.99, 0.1)
    run.probe(10.01, 0.02)
    run.probe(10.02, None)
    run.probe(11.0, 0.1)
    probes, evidence = run.over()
    assert [probe.state for probe in probes] == ["changed", "changed", "", "changed"]
    for hop in (at(evidence, "a", "up"), at(evidence, "b", "down")):
        assert hop.unjudged == {"changed": 3}
        assert hop.delays is not None
        assert (hop.delays.probes, hop.early) == (1, 0)
    certificate = judge(evidence)
    assert (certificate.probes, certificate.unjudged) == (4, 3)
    assert certificate.to_dict()["probes_not_judged"] == 3


def test_probes_under_a_slow_wave_are_judged() -> None:
    steps = [
        planned(
            number, number / 10, "conditions", NetworkConditions(latency=f"{20 + number}ms").to_dict(), "up"
        )
        for number in range(100, 300)
    ]
    run = Run(*steps)
    for step in steps:
        run.changed(step.id)
    for second in range(11, 30):
        run.probe(second + 0.05, (20 + 10 * second) / 1000)
    probes, _ = run.over()
    assert {probe.state for probe in probes} == {""}


def test_a_change_of_the_loss_alone_leaves_delays_comparable() -> None:
    run = Run(planned(1, 10.0, "conditions", NetworkConditions(latency="20ms", loss="50%").to_dict(), "up"))
    run.changed(1)
    run.probe(9.99, 0.02)
    probes, evidence = run.over()
    assert [probe.state for probe in probes] == [""]
    assert at(evidence, "a", "up").losses is None


def test_a_probe_meets_the_delay_that_holds_when_it_has_been_sent() -> None:
    """At 1 kbit/s it is sent for 0.8 s; the delay became longer meanwhile."""
    slow = NetworkConditions(latency="20ms", rate="1kbit")
    after = NetworkConditions(latency="500ms", rate="1kbit").to_dict()
    run = Run(planned(1, 10.0, "conditions", after, "up"), network=slow)
    run.changed(1)
    sent_s = serialisation_s(slow, SIZE)
    run.probe(9.8, sent_s + 0.5 + sent_s)
    run.counters(range(1, 61), busy=0.0, served_bytes=0)
    run.counters(range(1, 61), node="b", direction="down", busy=0.0, served_bytes=0)
    probes, _ = run.over()
    assert [probe.state for probe in probes] == ["changed"]


def test_probes_in_an_outage_are_not_judged() -> None:
    run = Run(
        planned(1, 10.0, "conditions", NetworkConditions(latency="20ms", rate=0).to_dict(), "up"),
        planned(2, 20.0, "conditions", NetworkConditions(latency="20ms").to_dict(), "up"),
    )
    run.changed(1)
    run.changed(2)
    run.probe(15, 5.1)
    run.probe(16, None)
    run.probe(25, 0.02)
    probes, evidence = run.over()
    assert [(probe.state, probe.expected) for probe in probes] == [
        ("outage", None), ("", 0.02), ("outage", None),
    ]  # fmt: skip
    assert at(evidence, "a", "up").losses == Losses(probes=1, lost=0, expected=0.0)
    assert judge(evidence).verdict == "VALID"


def test_a_probe_that_comes_while_nothing_is_sent_is_too_early() -> None:
    run = Run(network=NetworkConditions(rate=0))
    run.probe(15, 5.1)
    _, evidence = run.over()
    assert at(evidence, "a", "up").early == 1


def test_a_probe_that_waited_while_the_rate_changed_is_not_judged() -> None:
    """Nothing is refused and few bytes leave, but the second's record says that packets waited."""
    slow = NetworkConditions(latency="20ms", rate="8kbit")
    fast = NetworkConditions(latency="20ms", rate="10mbit").to_dict()
    run = Run(planned(1, 10.0, "conditions", fast, "up"), network=slow)
    run.changed(1)
    run.counters(range(1, 10), sent=0)
    run.counters([10, 11], sent=1, sent_bytes=1000, busy=0.9, served_bytes=1000)
    run.counters(range(12, 61), sent=0)
    run.counters(range(1, 61), node="b", direction="down")
    run.probe(10.3, 0.2)
    probes, _ = run.over()
    assert [probe.state for probe in probes] == ["loaded"]


def ready(role: str, error_s: float) -> Event:
    return Event(T0 - 1, "role.ready", role, "", {"offset_s": 0.0, "offset_error_s": error_s})


def test_on_one_clock_a_probe_must_not_be_early_at_all() -> None:
    run = Run()
    run.tell(ready("agent:a", 0.0), ready("agent:b", 0.0))
    run.probe(1, 0.0195)
    _, evidence = run.over()
    assert at(evidence, "a", "up").early == 1


def test_a_probe_may_be_early_by_the_errors_of_both_its_agents_clocks() -> None:
    """The host's role measures nothing of it, so its error does not count."""
    run = Run()
    run.tell(ready("agent:a", 0.004), ready("agent:b", 0.003), ready("gateway:field", 0.5))
    run.probe(1, 0.0121)
    run.probe(2, 0.0105)
    _, evidence = run.over()
    assert at(evidence, "a", "up").early == 1
    delays = at(evidence, "a", "up").delays
    assert delays is not None
    assert delays.clocks_s == pytest.approx(0.009)


def test_lost_probes_are_counted_against_the_expected_loss() -> None:
    run = Run(network=NetworkConditions(latency="20ms", loss="30%"))
    for second in range(50):
        run.probe(second, None if second % 3 == 0 else 0.02)
    _, evidence = run.over()
    losses = at(evidence, "b", "down").losses
    assert losses is not None
    assert (losses.probes, losses.lost) == (50, 17)
    assert losses.expected == pytest.approx(0.3)
    assert judge(evidence).verdict == "VALID"


def test_lost_probes_without_loss_are_a_reason() -> None:
    run = Run()
    for second in range(50):
        run.probe(second, None if second < 4 else 0.02)
    _, evidence = run.over()
    assert "probe_loss" in {reason.what for reason in judge(evidence).reasons}


def test_probes_are_lost_in_a_partition_and_nothing_is_said_against_it() -> None:
    run = Run(planned(1, 10.0, "partition", [["a"]]), planned(2, 20.0, "partition", []))
    run.changed(1)
    run.changed(2)
    for second in range(11, 20):
        run.probe(second, None)
        run.probe(second, 0.02, "b", "c")
    run.probe(9.99, None)
    probes, evidence = run.over()
    assert {(probe.peer, probe.state) for probe in probes} == {("b", "cut"), ("c", ""), ("b", "changing")}
    assert at(evidence, "a", "up").losses is None
    assert judge(evidence).verdict == "VALID"


def test_a_probe_that_comes_through_a_partition_is_a_leak() -> None:
    run = Run(planned(1, 10.0, "partition", [["a"]]))
    run.changed(1)
    run.probe(15, 0.02)
    _, evidence = run.over()
    assert at(evidence, "a", "up").leaked == 1
    assert judge(evidence).verdict == "INVALID"


def test_probes_under_way_at_the_end_are_not_lost() -> None:
    run = Run()
    run.probe(END_S - 0.1, None)
    probes, evidence = run.over()
    assert [probe.state for probe in probes] == ["ending"]
    assert at(evidence, "a", "up").losses is None


def test_probes_that_may_have_queued_behind_the_apps_packets_say_nothing_of_the_delay() -> None:
    run = Run(network=NetworkConditions(latency="20ms", rate="1mbit"))
    run.counters(range(1, 61), sent=50, sent_bytes=50_000)
    run.counters(range(1, 61), node="b", direction="down", sent=50, sent_bytes=50_000)
    for second in range(30):
        run.probe(second + 0.5, 0.08)
    probes, evidence = run.over()
    assert {probe.state for probe in probes} == {"loaded"}
    assert judge(evidence).verdict == "VALID"


def test_probes_on_a_rate_that_is_hardly_used_are_judged() -> None:
    run = Run(network=NetworkConditions(latency="20ms", rate="1mbit"))
    for node, direction in (("a", "up"), ("b", "down")):
        run.counters(range(1, 61), node=node, direction=direction, sent=5, sent_bytes=5_000)
    for second in range(30):
        run.probe(second + 0.5, 0.08)
    _, evidence = run.over()
    assert {reason.what for reason in judge(evidence).reasons} == {"probe_delay"}


def test_a_shared_networks_rate_is_used_by_all() -> None:
    run = Run(network=NetworkConditions(latency="20ms", rate="1mbit"), shared=True)
    for node in REPLICAS:
        run.counters(range(1, 61), node=node, sent=15, sent_bytes=15_000)
    run.probe(10.5, 0.08)
    probes, _ = run.over()
    assert [probe.state for probe in probes] == ["loaded"]


def test_fates_are_told_once_the_changes_of_their_time_are_known() -> None:
    run = Run(planned(1, 10.0, "conditions", NetworkConditions(latency="100ms").to_dict(), "up"))
    run.probe(5, 0.02)
    assert run.witness.settle(T0 + 6) == []
    assert len(run.witness.settle(T0 + 9)) == 1
    run.probe(11, 0.1)
    assert run.witness.settle(T0 + 30) == []
    run.changed(1)
    (probe,) = run.witness.settle(T0 + 30)
    assert probe.expected == 0.1


def test_a_receiver_may_tell_of_a_probe_before_its_sender_does() -> None:
    run = Run()
    run.tell(ProbeArrived(T0 + 1.02, "field", "b", 7), ProbeSent(T0 + 1, "field", "a", "b", 7, 0.0))
    probes, _ = run.over()
    assert [probe.measured for probe in probes] == [pytest.approx(0.02, abs=1e-6)]


def test_the_first_of_a_probes_copies_counts() -> None:
    run = Run()
    run.probe(1, 0.02)
    run.tell(ProbeArrived(T0 + 2, "field", "b", 0))
    probes, _ = run.over()
    assert len(probes) == 1


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


def test_lost_log_lines_are_counted_by_themselves() -> None:
    run = Run()
    for what in ("logs", "logs records that the bus had and lost", "flows"):
        run.tell(Event(T0 + 1, "records.lost", "agent:a", "", {"what": what, "count": 3}))
    _, evidence = run.over()
    assert [(each.what, each.count) for each in evidence.records_lost] == [("flows", 3)]
    assert sum(each.count for each in evidence.log_lines_lost) == 6


def test_changes_are_counted_by_the_role_that_applies_them() -> None:
    run = Run(*(planned(number, number, "partition", []) for number in (1, 2, 3)))
    run.changed(1, 0.002)
    run.tell(Change(2, T0 + 2, T0 + 2, "partition", "field", "[]", "[]", False, "OSError: no"))
    _, evidence = run.over()
    (role,) = evidence.changes.roles
    assert (role.role, role.failed, role.missing) == ("gateway:field", 1, 1)
    assert role.late_p95_s == pytest.approx(0.002, abs=1e-6)


def test_conditions_are_composed_once_a_span_and_not_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """What two hops and an hour of records have in common is worked out once."""
    composed = []

    def counting(*args: Any, **kwargs: Any) -> NetworkConditions:
        composed.append(args)
        return hop_conditions(*args, **kwargs)

    monkeypatch.setattr("wotemu_runtime.fidelity.history.hop_conditions", counting)
    changes = [
        planned(number, 2.0 * number, "conditions", NetworkConditions(rate=f"{number}mbit").to_dict(), "up")
        for number in range(1, 11)
    ]
    run = Run(*changes, network=NetworkConditions(rate="1mbit"))
    for each in changes:
        run.changed(each.id)
    for node in REPLICAS:
        for way in ("up", "down"):
            run.counters(
                range(1, 3600), node=node, direction=way, sent=9, sent_bytes=9000, busy=1, served_bytes=9
            )
    for second in range(50):
        run.probe(second, 0.02)
    run.over()
    # Down is composed again, too: the bound of its queue follows the delay on the way up.
    assert len(composed) <= 2 * (len(changes) + 1)


def test_stalls_losses_and_load_are_summed_up() -> None:
    run = Run()
    run.tell(
        Stall(T0 + 1, "gateway:field", 0.03),
        Stall(T0 + 2, "gateway:field", 0.3),
        Stall(T0 - 1, "gateway:field", 9.0),
        Host(T0 + 1, "edge", 40.0, 2.0, 1, 2, 0.011, 0.0002),
        Host(T0 + 2, "edge", 60.0, 4.0, 1, 2, 0.013, 0.0001),
        Event(T0 + 1, "records.lost", "agent:a", "", {"what": "flows", "count": 3}),
        Event(T0 + 1, "interface.dropped", "agent:b", "", {"interface": "eth0", "count": 2}),
    )
    _, evidence = run.over()
    assert [(stall.count, stall.longest_s) for stall in evidence.stalls] == [(2, 0.3)]
    assert evidence.hosts == (HostEvidence("edge", 0.5, 0.03, clock_offset_s=0.012, clock_error_s=0.0002),)
    assert [(each.source, each.what, each.count) for each in evidence.records_lost] == [
        ("agent:a", "flows", 3)
    ]
    assert [(each.source, each.count) for each in evidence.frames_dropped] == [("agent:b", 2)]


def busy(second: int, cpu: float, packets: int, shaper: str = "tun") -> GatewayLoad:
    return GatewayLoad(T0 + second, "field", shaper, interval=1.0, cpu=cpu, packets=packets)


def test_a_gateways_busiest_five_seconds_are_evidence() -> None:
    run = Run()
    loads = [0.1] * 10 + [1.0, 1.0, 1.0, 0.9, 0.95] + [0.1] * 5
    run.tell(*(busy(second, cpu, int(cpu * 1000)) for second, cpu in enumerate(loads, 1)))
    _, evidence = run.over()
    (found,) = evidence.gateways
    assert (found.role, found.since_s, found.lasted_s) == ("gateway:field", 10, 5)
    assert found.cpu == pytest.approx(0.97)
    assert found.packets_per_s == pytest.approx(970)
    assert judge(evidence).reasons[0].what == "gateway_cpu"


def test_a_burst_of_four_seconds_is_averaged_over_five() -> None:
    run = Run()
    run.tell(*(busy(second, 1.0 if 5 <= second < 9 else 0.2, 10) for second in range(1, 15)))
    _, evidence = run.over()
    assert [each.cpu for each in evidence.gateways] == [pytest.approx(0.84)]
    assert "gateway_cpu" not in {reason.what for reason in judge(evidence).reasons}


def test_the_process_of_a_netem_gateway_and_what_was_before_t0_say_nothing() -> None:
    run = Run()
    run.tell(*(busy(second, 1.0, 10, "netem") for second in range(1, 10)))
    run.tell(*(busy(second, 1.0, 10) for second in range(-9, 1)))
    _, evidence = run.over()
    assert evidence.gateways == ()


def test_what_a_gateway_has_no_memory_for_is_a_reason() -> None:
    run = Run()
    run.counters([1], sent=90, dropped_memory=10)
    _, evidence = run.over()
    reason = judge(evidence).reasons[0]
    assert (reason.what, reason.where, reason.verdict) == ("frames_dropped", "gateway:field", "INVALID")


def test_what_happens_before_t0_and_after_the_end_proves_nothing() -> None:
    run = Run()
    run.probe(-1, 0.9)
    run.probe(10, 0.02)
    run.witness.end(T0 + END_S)
    run.probe(END_S + 1, 0.9)
    probes, _ = run.over()
    assert len(probes) == 1


def test_a_network_without_any_probe_is_told() -> None:
    _, evidence = Run().over()
    assert evidence.probes_missing == ("field",)


def eventful(*, settles: bool) -> tuple[list[Probe], Evidence]:
    """Five minutes with changes, lost probes, cuts and busy seconds; settled each second, or at the end."""
    lasts_s, chance = 300, Random(7)
    changes = [
        planned(
            number,
            11.3 * number,
            "conditions",
            {
                **MS_20.to_dict(),
                "rate_bps": 1e6 + 4e4 * number,
                "loss": 0.1,
                "latency_s": 0.02 + number / 1000,
            },
            "up",
        )
        for number in range(1, 25)
    ]
    changes += [planned(100, 120.5, "cut", True), planned(101, 180.5, "cut", False)]
    changes = [evolve(each, node="c") if each.action == "cut" else each for each in changes]
    changes.sort(key=lambda each: each.at_s)
    run = Run(*changes, network=NetworkConditions(latency="20ms", rate="1mbit", loss=0.1))
    due = list(changes)
    for second in range(1, lasts_s):
        while due and due[0].at_s < second:
            run.changed(due.pop(0).id)
        busy = second % 40 < 17
        run.counters([second], sent_bytes=126_000 if busy else 900, served_bytes=120_000 if busy else 900,
                     busy=1.0 if busy else 0.01, late_max=0.001)  # fmt: skip
        for receiver, way in (("a", "down"), ("b", "up"), ("b", "down"), ("c", "up"), ("c", "down")):
            run.counters([second], receiver, way, sent_bytes=900, served_bytes=900, busy=0.01)
        for sender, receiver in (("a", "b"), ("b", "c"), ("c", "a")):
            is_cut = "c" in (sender, receiver) and 120 < second < 182
            lost = is_cut or chance.random() < 0.1
            run.probe(second - 0.4, None if lost else 0.06, sender, receiver)
        if settles:
            run.early += run.witness.settle(T0 + second)
    run.witness.end(T0 + lasts_s)
    return run.early + run.witness.finish(), run.witness.evidence()


def test_what_is_judged_while_the_run_goes_on_is_what_is_judged_at_its_end() -> None:
    (early, of_early), (late, of_late) = eventful(settles=True), eventful(settles=False)
    assert of_early == of_late
    assert sorted(early, key=str) == sorted(late, key=str)
    assert {"", "cut", "loaded"} <= {probe.state for probe in early}
    hop = at(of_early, "a", "up")
    assert hop.goodput is not None
    assert hop.rate_excess is not None
    assert hop.losses is not None
    assert hop.losses.lost > 10


def test_a_witness_keeps_of_a_long_run_only_what_is_open() -> None:
    """Each second has another receiver's probe lost: none is kept once the receiver told of a later one."""
    run = Run()
    for second in range(1, 2000):
        run.counters([second], sent_bytes=900)
        run.probe(second, None if second % 3 else 0.02)
        run.early += run.witness.settle(T0 + second)
    assert len(run.early) > 1940
    assert len(run.witness._probes._sent) + len(run.witness._probes._missing) < 40
    assert len(run.witness._logs["field", "a", "up"]._t) < 110


def test_an_arrival_that_is_told_long_after_the_probe_counts() -> None:
    """Its agent was cut off from the bus for minutes; it sends all that it kept, in order."""
    run = Run()
    for second in range(1, 50):
        run.probe(second, None)
    for second in range(50, 400):
        assert run.witness.settle(T0 + second) == []
    for number in range(49):
        run.tell(ProbeArrived(T0 + 1 + number + 0.0205, "field", "b", number))
    _, evidence = run.over()
    losses = at(evidence, "a", "up").losses
    assert losses is not None
    assert (losses.probes, losses.lost) == (49, 0)
