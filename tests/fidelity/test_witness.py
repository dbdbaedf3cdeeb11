"""From records, as they come over the bus, to evidence: what is counted, and when it is told."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from attrs import evolve

from tests.fidelity.recorded_run import END_S, MS_20, REPLICAS, T0, Run, at, planned
from wotemu.fidelity.evidence import HostEvidence
from wotemu.records import Change, Event, GatewayLoad, Host, Probe, ProbeArrived, Stall
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.hop_conditions import hop_conditions
from wotemu_runtime.fidelity import Evidence, judge


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
