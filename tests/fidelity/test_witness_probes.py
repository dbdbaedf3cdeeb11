"""Probes: which are judged, against which delay, and which are lost."""

from __future__ import annotations

import pytest

from tests.fidelity.recorded_run import END_S, REPLICAS, T0, Run, at, planned
from wotemu.records import Event, ProbeArrived, ProbeSent
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.packets.probe import SIZE
from wotemu_runtime.fidelity import Losses, judge
from wotemu_runtime.fidelity.expectation import serialisation_s


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


def test_a_receiver_may_tell_of_probes_long_before_their_sender_does_where_the_bus_was_away() -> None:
    run = Run(planned(1, 5.0, "conditions", NetworkConditions(latency="20ms").to_dict(), "up"))
    seconds = range(6, 20)
    for second in seconds:
        run.tell(ProbeArrived(T0 + second + 0.02, "field", "b", second))
    run.witness.settle(T0 + 58)
    run.changed(1)
    run.witness.settle(T0 + 58)
    for second in seconds:
        run.tell(ProbeSent(T0 + second, "field", "a", "b", second, 0.0))
    probes, _ = run.over()
    assert [probe.lost for probe in probes] == [False] * len(seconds)


def test_the_first_of_a_probes_copies_counts() -> None:
    run = Run()
    run.probe(1, 0.02)
    run.tell(ProbeArrived(T0 + 2, "field", "b", 0))
    probes, _ = run.over()
    assert len(probes) == 1
