"""Each measure alone can spoil a run, and worse evidence never gives a better verdict."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.errors import InputError
from wotemu.fidelity.evidence import GatewayEvidence
from wotemu.units import Fraction, Seconds
from wotemu_runtime.fidelity import (
    VERDICTS,
    ChangeEvidence,
    Delays,
    Evidence,
    Goodput,
    HopEvidence,
    HostEvidence,
    Losses,
    LossEvidence,
    RoleChanges,
    StallEvidence,
    Thresholds,
    judge,
)


def hop(**facts: Any) -> HopEvidence:
    return HopEvidence(network="field", node="reader", direction="up", **facts)


def of_hop(**facts: Any) -> Evidence:
    return Evidence(hops=(hop(**facts),))


def delays(error_s: float, expected_s: float = 0.01, scatter_s: float = 0.0, probes: int = 60) -> Delays:
    measured_s = expected_s + error_s
    return Delays(
        probes=probes, expected_s=expected_s, measured_s=measured_s, error_s=error_s, scatter_s=scatter_s
    )


def lost(count: int, probes: int = 60, expected: float = 0.0, memory: float = 0.0) -> Losses:
    return Losses(probes=probes, lost=count, expected=expected, memory=memory)


def gateway(cpu: float) -> GatewayEvidence:
    return GatewayEvidence(role="gateway:field", since_s=12, lasted_s=5, cpu=cpu, packets_per_s=150_000)


FLAWLESS = Evidence(
    changes=ChangeEvidence(planned=20, late_p50_s=0.0004, late_p95_s=0.001, late_max_s=0.003),
    hops=(hop(probes=60, delays=delays(0.0004), losses=lost(0), late_p95_s=0.0005, rate_excess=0.0),),
    stalls=(StallEvidence("gateway:field", 1, 0.03),),
    hosts=(HostEvidence("localhost", cpu=0.4, steal=0.0),),
    records=5000,
)


def test_a_flawless_run_is_valid() -> None:
    certificate = judge(FLAWLESS)
    assert certificate.verdict == "VALID"
    assert certificate.reasons == ()
    assert str(certificate) == "VALID: 60 probes and 1 hop agree"


def test_a_run_in_which_nothing_happened_is_valid() -> None:
    assert judge(Evidence()).verdict == "VALID"


ALONE = [
    ("change_late", "SUSPECT", Evidence(changes=ChangeEvidence(late_p95_s=0.0051))),
    ("change_late", "INVALID", Evidence(changes=ChangeEvidence(late_p95_s=0.051))),
    ("limit_late", "SUSPECT", Evidence(changes=ChangeEvidence(limits_late_p95_s=0.26))),
    ("limit_late", "INVALID", Evidence(changes=ChangeEvidence(limits_late_p95_s=2.6))),
    (
        "change_failed",
        "INVALID",
        Evidence(changes=ChangeEvidence(roles=(RoleChanges(role="gateway:field", failed=1),))),
    ),
    (
        "change_missing",
        "INVALID",
        Evidence(changes=ChangeEvidence(roles=(RoleChanges(role="gateway:field", missing=1),))),
    ),
    ("leak", "INVALID", of_hop(leaked=1)),
    ("early", "INVALID", of_hop(early=1)),
    ("departure_late", "SUSPECT", of_hop(late_p95_s=0.0021)),
    ("departure_late", "INVALID", of_hop(late_p95_s=0.021)),
    ("probe_delay", "SUSPECT", of_hop(delays=delays(0.004))),
    ("probe_delay", "INVALID", of_hop(delays=delays(0.021))),
    ("probe_delay", "SUSPECT", of_hop(delays=delays(-0.004))),
    ("probe_loss", "SUSPECT", of_hop(losses=lost(1))),
    ("probe_loss", "INVALID", of_hop(losses=lost(6))),
    ("probe_loss", "INVALID", of_hop(losses=lost(0, expected=0.5))),
    ("rate_excess", "SUSPECT", of_hop(rate_excess=0.06)),
    ("rate_excess", "INVALID", of_hop(rate_excess=0.3)),
    ("goodput_short", "SUSPECT", of_hop(goodput=Goodput(waited_s=30, short=0.06))),
    ("goodput_short", "INVALID", of_hop(goodput=Goodput(waited_s=30, short=0.3))),
    ("gateway_cpu", "SUSPECT", Evidence(gateways=(gateway(0.97),))),
    ("stall", "SUSPECT", Evidence(stalls=(StallEvidence("gateway:field", 1, 0.06),))),
    ("stall", "INVALID", Evidence(stalls=(StallEvidence("gateway:field", 1, 0.3),))),
    ("cpu", "SUSPECT", Evidence(hosts=(HostEvidence("localhost", 0.95, 0.0),))),
    ("steal", "SUSPECT", Evidence(hosts=(HostEvidence("localhost", 0.5, 0.06),))),
    ("steal", "INVALID", Evidence(hosts=(HostEvidence("localhost", 0.5, 0.3),))),
    ("clock", "SUSPECT", Evidence(hosts=(HostEvidence("edge", 0.5, 0.0, 31.0, 0.006),))),
    ("clock", "INVALID", Evidence(hosts=(HostEvidence("edge", 0.5, 0.0, 31.0, 0.06),))),
    (
        "frames_dropped",
        "SUSPECT",
        Evidence(hops=(hop(packets=9999),), frames_dropped=(LossEvidence("agent:a", "frames", 1),)),
    ),
    (
        "frames_dropped",
        "INVALID",
        Evidence(hops=(hop(packets=100),), frames_dropped=(LossEvidence("agent:a", "frames", 1),)),
    ),
    ("records_lost", "SUSPECT", Evidence(records=999, records_lost=(LossEvidence("agent:a", "flows", 1),))),
    ("records_lost", "INVALID", Evidence(records=5, records_lost=(LossEvidence("agent:a", "flows", 1),))),
    ("no_probes", "SUSPECT", Evidence(probes_missing=("field",))),
]


@pytest.mark.parametrize(("what", "verdict", "evidence"), ALONE)
def test_each_reason_alone_decides(what: str, verdict: str, evidence: Evidence) -> None:
    certificate = judge(evidence)
    assert (certificate.verdict, [reason.what for reason in certificate.reasons]) == (verdict, [what])
    (reason,) = certificate.reasons
    assert reason.verdict == verdict
    assert reason.where in reason.text
    assert all(place in reason.text for place in reason.affected)
    if what != "probe_loss":
        assert reason.measured > reason.threshold


def test_a_saturated_gateway_is_named_with_the_time_its_packets_and_what_to_do() -> None:
    (reason,) = judge(Evidence(gateways=(gateway(0.97),))).reasons
    assert reason.where == "gateway:field"
    assert reason.text == (
        "gateway:field: from 12 s to 17 s after T0 its process carried 150,000 packets/s; share of one core"
        " 97 %, more than 90 %: send less over this network, describe it as several, or use --shaper netem"
    )


def test_a_gateway_with_time_to_spare_is_no_reason() -> None:
    assert judge(Evidence(gateways=(gateway(0.9),))).verdict == "VALID"


def test_the_worst_reason_decides_and_comes_first() -> None:
    both = attrs.evolve(
        FLAWLESS, hosts=(HostEvidence("localhost", 0.95, 0.0),), hops=(hop(leaked=2), hop(late_p95_s=0.003))
    )
    certificate = judge(both)
    assert certificate.verdict == "INVALID"
    assert [reason.what for reason in certificate.reasons] == ["leak", "departure_late", "cpu"]
    assert str(certificate).startswith(
        "INVALID: gateway:field, reader@field up: 2 probes came although they were cut off"
    )


def test_a_delay_may_be_off_by_a_share_of_a_long_one() -> None:
    assert judge(of_hop(delays=delays(0.025, expected_s=0.3))).verdict == "VALID"
    assert judge(of_hop(delays=delays(0.035, expected_s=0.3))).verdict == "SUSPECT"


def test_jitter_excuses_what_it_can_explain() -> None:
    assert judge(of_hop(delays=delays(0.012, scatter_s=0.01))).verdict == "VALID"
    assert judge(of_hop(delays=delays(0.014, scatter_s=0.01))).verdict == "SUSPECT"


def test_a_handful_of_probes_says_nothing_of_a_delay() -> None:
    assert judge(of_hop(delays=delays(0.5, probes=4))).verdict == "VALID"


def test_losses_that_chance_explains_are_no_reason() -> None:
    assert judge(of_hop(losses=lost(9, expected=0.1))).verdict == "VALID"
    assert judge(of_hop(losses=lost(19, expected=0.1))).verdict != "VALID"


def test_bursts_of_losses_tell_less_than_single_ones() -> None:
    assert judge(of_hop(losses=lost(16, expected=0.1))).verdict == "SUSPECT"
    assert judge(of_hop(losses=lost(16, expected=0.1, memory=0.8))).verdict == "VALID"


def test_the_more_hops_there_are_the_more_may_happen_by_chance_on_one() -> None:
    unlucky = hop(losses=lost(16, expected=0.1))
    lucky = hop(losses=lost(6, expected=0.1))
    assert judge(Evidence(hops=(unlucky,))).verdict == "SUSPECT"
    assert judge(Evidence(hops=(unlucky, *[lucky] * 30))).verdict == "VALID"


def hops_of(network: str, count: int, **facts: Any) -> tuple[HopEvidence, ...]:
    return tuple(HopEvidence(network=network, node=f"n{i}", direction="up", **facts) for i in range(count))


def test_one_reason_names_the_gateway_its_worst_hop_and_how_many_more() -> None:
    worst = HopEvidence(network="field", node="slow", direction="down", late_p95_s=0.5)
    hops = (*hops_of("field", 131, late_p95_s=0.03), worst, *hops_of("wired", 1, late_p95_s=0.04))
    certificate = judge(Evidence(hops=hops))
    assert [(reason.where, len(reason.affected)) for reason in certificate.reasons] == [
        ("gateway:field", 132),
        ("gateway:wired", 1),
    ]
    (field, wired) = certificate.reasons
    assert (field.measured, field.affected[0]) == (0.5, "slow@field down")
    assert field.text == (
        "gateway:field, slow@field down: packets left late, p95 500 ms, more than 20 ms;"
        " likewise 131 more of its hops"
    )
    assert wired.text == "gateway:wired, n0@wired up: packets left late, p95 40 ms, more than 20 ms"
    assert {certificate.hop_verdict(hop) for hop in hops} == {"INVALID"}


def test_many_stalled_roles_are_one_reason_with_the_worst_first() -> None:
    stalls = tuple(StallEvidence(f"agent:n{i}", 1, 0.3 + i / 1000) for i in range(50))
    (reason,) = judge(Evidence(stalls=stalls)).reasons
    assert (reason.where, len(reason.affected)) == ("agent:n49", 50)
    assert "likewise 49 more (agent:n48, agent:n47, agent:n46 and 46 more)" in reason.text


def test_late_changes_name_the_role_that_was_latest() -> None:
    roles = (RoleChanges(role="gateway:a", late_p95_s=0.001), RoleChanges(role="gateway:b", late_p95_s=0.2))
    (reason,) = judge(Evidence(changes=ChangeEvidence(planned=9, late_p95_s=0.1, roles=roles))).reasons
    assert reason.where == "gateway:b"


def test_lost_log_lines_are_shown_and_no_reason() -> None:
    evidence = attrs.evolve(FLAWLESS, log_lines_lost=(LossEvidence("agent:chatty", "logs", 34_896),))
    certificate = judge(evidence)
    assert certificate.verdict == "VALID"
    assert certificate.to_dict()["log_lines_lost"] == [
        {"source": "agent:chatty", "what": "logs", "count": 34_896}
    ]


def test_who_lost_most_records_is_named_first() -> None:
    lost = tuple(LossEvidence(f"agent:n{i}", "flows", i + 1) for i in range(9))
    (reason,) = judge(Evidence(records=10, records_lost=lost)).reasons
    assert reason.where == "agent:n8"
    assert reason.text.startswith("agent:n8, agent:n7, agent:n6 and 6 more: 45 records lost, 81.8 %")


def test_the_clocks_errors_are_allowed_for() -> None:
    apart = Delays(probes=60, expected_s=0.01, measured_s=0.015, error_s=0.005, clocks_s=0.003)
    assert judge(of_hop(delays=apart)).verdict == "VALID"
    assert judge(of_hop(delays=attrs.evolve(apart, clocks_s=0.001))).verdict == "SUSPECT"


def test_thresholds_can_be_moved_and_taken_away() -> None:
    late = Evidence(changes=ChangeEvidence(late_p95_s=0.04))
    assert judge(late, Thresholds.of({"change_late_invalid": "20ms"})).verdict == "INVALID"
    assert judge(late, Thresholds.of({"change_late_suspect": "50ms"})).verdict == "VALID"
    assert judge(late, Thresholds.of({"change_late_suspect": "none"})).verdict == "VALID"
    assert judge(of_hop(delays=delays(0.5)), Thresholds(probe_delay_invalid=None)).verdict == "SUSPECT"


def test_wrong_thresholds_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="no such threshold") as unknown:
        Thresholds.of({"change_latte": "1ms"})
    assert unknown.value.where == "threshold 'change_latte'"
    assert "change_late_invalid" in str(unknown.value.hint)
    with pytest.raises(InputError, match="not a duration"):
        Thresholds.of({"change_late_invalid": "soon"})
    with pytest.raises(InputError, match="more than the whole"):
        Thresholds.of({"steal_invalid": "120%"})


def test_the_documentation_lists_every_threshold_with_its_unit_and_defaults() -> None:
    page = (Path(__file__).parents[2] / "docs/concepts.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (time|share|chance) \| ([^|]+) \| ([^|]+) \|", page, re.MULTILINE)
    listed = {
        f"{name}_{verdict}": value.strip().replace(" ", "")
        for name, _, *values in rows
        for verdict, value in zip(("suspect", "invalid"), values, strict=True)
    }
    assert Thresholds.of(listed) == Thresholds()
    assert list(listed) == [field.name for field in attrs.fields(Thresholds)]
    for name, unit, *_ in rows:
        assert isinstance(getattr(Thresholds(), f"{name}_suspect"), Seconds if unit == "time" else Fraction)


def test_it_reads_back_as_json() -> None:
    spoilt = attrs.evolve(FLAWLESS, hops=(hop(probes=3, leaked=1, losses=lost(1), delays=delays(0.1)),))
    data = json.loads(json.dumps(judge(spoilt).to_dict()))
    assert (data["verdict"], data["probes"], data["hops"][0]["verdict"]) == ("INVALID", 3, "INVALID")
    assert data["thresholds"]["change_late_suspect"] == 0.005
    assert data["thresholds"]["cpu_invalid"] is None


# Worse evidence, never a better verdict

amounts = st.floats(0, 2)
shares = st.floats(0, 1)
few = st.integers(0, 100)


@st.composite
def all_delays(draw: st.DrawFn) -> Delays:
    return delays(
        draw(st.floats(-0.5, 0.5)), draw(amounts), draw(st.floats(0, 0.1)), draw(st.integers(1, 99))
    )


@st.composite
def all_losses(draw: st.DrawFn) -> Losses:
    probes = draw(st.integers(1, 200))
    return lost(draw(st.integers(0, probes)), probes, draw(shares), draw(st.floats(0, 0.95)))


all_hops = st.builds(
    hop,
    delays=st.none() | all_delays(),
    losses=st.none() | all_losses(),
    early=few,
    leaked=few,
    late_p95_s=st.none() | amounts,
    rate_excess=st.none() | amounts,
    goodput=st.none() | st.builds(Goodput, waited_s=amounts, short=shares),
    packets=few,
)
all_evidence = st.builds(
    Evidence,
    changes=st.builds(
        ChangeEvidence,
        roles=st.tuples(st.builds(RoleChanges, role=st.just("gateway:field"), failed=few, missing=few)),
        late_p95_s=st.none() | amounts,
    ),
    hops=st.lists(all_hops, max_size=3).map(tuple),
    stalls=st.lists(st.builds(StallEvidence, st.just("gateway:field"), few, amounts), max_size=2).map(tuple),
    hosts=st.lists(st.builds(HostEvidence, st.just("localhost"), shares, shares), max_size=2).map(tuple),
    frames_dropped=st.lists(
        st.builds(LossEvidence, st.just("agent:a"), st.just("frames"), few), max_size=1
    ).map(tuple),
    records_lost=st.lists(st.builds(LossEvidence, st.just("agent:a"), st.just("flows"), few), max_size=1).map(
        tuple
    ),
    records=few,
)


def more(value: float | None, by: float) -> float | None:
    return None if value is None else value + by


def worse_delays(found: Delays | None, by: float) -> Delays | None:
    if found is None:
        return None
    return attrs.evolve(found, error_s=found.error_s + (by if found.error_s >= 0 else -by))


def worse_losses(found: Losses | None) -> Losses | None:
    """One loss more where there are too many already, one fewer where there are too few."""
    if found is None:
        return None
    if found.lost >= found.expected * found.probes:
        return attrs.evolve(found, lost=min(found.lost + 1, found.probes))
    return attrs.evolve(found, lost=max(found.lost - 1, 0))


def more_losses(losses: tuple[LossEvidence, ...]) -> tuple[LossEvidence, ...]:
    return tuple(LossEvidence(each.source, each.what, each.count + 1) for each in losses)


def worse(evidence: Evidence, what: str, by: float) -> Evidence:
    if what == "changes":
        changes = evidence.changes
        return attrs.evolve(
            evidence,
            changes=attrs.evolve(
                changes,
                roles=tuple(
                    attrs.evolve(role, failed=role.failed + 1, missing=role.missing + 1)
                    for role in changes.roles
                ),
                late_p95_s=more(changes.late_p95_s, by),
            ),
        )
    if what == "machine":
        stalls = tuple(StallEvidence(s.source, s.count, s.longest_s + by) for s in evidence.stalls)
        hosts = tuple(
            HostEvidence(h.host, min(1.0, h.cpu + by), min(1.0, h.steal + by)) for h in evidence.hosts
        )
        lost_more, dropped = more_losses(evidence.records_lost), more_losses(evidence.frames_dropped)
        return attrs.evolve(
            evidence, stalls=stalls, hosts=hosts, records_lost=lost_more, frames_dropped=dropped
        )
    hops = tuple(
        attrs.evolve(
            each,
            early=each.early + 1,
            leaked=each.leaked + 1,
            late_p95_s=more(each.late_p95_s, by),
            rate_excess=more(each.rate_excess, by),
            goodput=each.goodput and attrs.evolve(each.goodput, short=each.goodput.short + by),
        )
        if what == "hops"
        else attrs.evolve(each, delays=worse_delays(each.delays, by), losses=worse_losses(each.losses))
        for each in evidence.hops
    )
    return attrs.evolve(evidence, hops=hops)


@given(all_evidence, st.sampled_from(["changes", "machine", "hops", "probes"]), st.floats(0, 1))
def test_worse_evidence_never_gives_a_better_verdict(evidence: Evidence, what: str, by: float) -> None:
    before, after = judge(evidence), judge(worse(evidence, what, by))
    assert VERDICTS.index(after.verdict) >= VERDICTS.index(before.verdict)


@given(all_evidence, st.sampled_from([field.name for field in attrs.fields(Thresholds)]))
def test_without_a_threshold_no_verdict_is_worse(evidence: Evidence, name: str) -> None:
    with_it, without = judge(evidence), judge(evidence, Thresholds.of({name: "none"}))
    assert VERDICTS.index(without.verdict) <= VERDICTS.index(with_it.verdict)
