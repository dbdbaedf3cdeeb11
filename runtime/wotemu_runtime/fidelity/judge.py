"""From evidence and thresholds to a verdict, with every reason for it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import attrs

from wotemu.fidelity import VERDICTS, Certificate, Reason, Thresholds, Verdict, worst
from wotemu.fidelity.evidence import (
    ChangeEvidence,
    Delays,
    Evidence,
    HopEvidence,
    Losses,
    LossEvidence,
)
from wotemu_runtime.fidelity.alike import MIN_PROBES
from wotemu_runtime.fidelity.chance import improbability

Unit = Literal["s", "share", "chance", "count"]

UNEXPLAINED_LOSS = 0.001
"""A loss beyond the expected one that alone makes no run invalid: machines lose a packet now and then."""


def judge(evidence: Evidence, thresholds: Thresholds | None = None) -> Certificate:
    """The certificate: INVALID, SUSPECT or VALID, whichever is the worst that a measure says."""
    limits = thresholds or Thresholds()
    found = [reason for rule in _RULES for reason in rule(evidence, limits)]
    reasons = sorted(_merged(found), key=_gravity)
    return Certificate(
        verdict=worst(reason.verdict for reason in reasons),
        reasons=tuple(reasons),
        changes=evidence.changes,
        hosts=evidence.hosts,
        hops=evidence.hops,
        thresholds=limits,
        log_lines_lost=evidence.log_lines_lost,
        gateways=evidence.gateways,
    )


def _merged(reasons: Iterable[Reason]) -> Iterator[Reason]:
    """One reason of the same measure and verdict for each gateway's hops, and one for all other places."""
    alike: dict[tuple[str, str, str], list[Reason]] = {}
    for reason in reasons:
        of_hops = reason.where if reason.affected != (reason.where,) else ""
        alike.setdefault((reason.verdict, reason.what, of_hops), []).append(reason)
    for group in alike.values():
        first, *others = sorted(group, key=_gravity)
        affected = tuple(dict.fromkeys(place for reason in (first, *others) for place in reason.affected))
        more = len(affected) - len(first.affected)
        whose = "of its hops" if affected[0] != first.where else f"({_named(affected[1:])})"
        text = f"{first.text}; likewise {more:,} more {whose}" if more else first.text
        yield attrs.evolve(first, affected=affected, text=text)


def _named(places: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(places) - _NAMED
    return ", ".join(places[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


_NAMED = 3


def _gravity(reason: Reason) -> tuple[int, int, float]:
    """A sort key: the worst verdict first, then measures in the order of the rules, the worst place first."""
    measured = reason.measured if reason.unit == "chance" else -reason.measured
    return -VERDICTS.index(reason.verdict), _ORDER.index(reason.what), measured


@attrs.frozen
class _At:
    """Where something was found: the role or machine at fault, and the hop, where it is of one."""

    fault: str
    hop: str = ""

    @classmethod
    def of(cls, hop: HopEvidence) -> _At:
        return cls(hop.gateway, hop.where)

    def __str__(self) -> str:
        return f"{self.fault}, {self.hop}" if self.hop else self.fault


def _beyond(
    limits: Thresholds, name: str, measured: float, at: _At, unit: Unit, text: str
) -> Iterator[Reason]:
    """The reason where `measured` is above a threshold; the text goes on with its value and the limit."""
    for verdict in ("INVALID", "SUSPECT"):
        limit = getattr(limits, f"{name}_{verdict.lower()}")
        if limit is not None and measured > limit:
            whole = f"{text} {_told(measured, unit)}, more than {_told(limit, unit)}"
            yield _reason(verdict, name, at, measured, float(limit), unit, whole)
            return


def _reason(
    verdict: str, what: str, at: _At, measured: float, threshold: float, unit: Unit, text: str
) -> Reason:
    return Reason(
        verdict="INVALID" if verdict == "INVALID" else "SUSPECT",
        what=what,
        where=at.fault,
        affected=(at.hop or at.fault,),
        measured=measured,
        threshold=threshold,
        unit=unit,
        text=f"{at}: {text}",
    )


def _none_allowed(
    count: int, what: str, at: _At, text: str, verdict: Verdict = "INVALID"
) -> Iterator[Reason]:
    if count > 0:
        yield _reason(verdict, what, at, count, 0, "count", f"{count:,} {text}")


def _told(value: float, unit: Unit) -> str:
    match unit:
        case "s":
            return f"{value:.3g} s" if abs(value) >= 1 else f"{value * 1e3:.3g} ms"
        case "share":
            return f"{value:.3g}" if not value else f"{value * 100:.3g} %"
        case "chance":
            return "none" if not value else f"1 in {1 / value:,.3g}"
        case "count":
            return f"{value:,.0f}"


# The rules


def _changes(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    changes = evidence.changes
    for role in changes.roles:
        yield from _none_allowed(role.failed, "change_failed", _At(role.role), "changes failed")
        yield from _none_allowed(
            role.missing, "change_missing", _At(role.role), "changes were never answered"
        )
    if changes.late_p95_s is not None:
        text = f"changes took hold late, here the latest; p95 of all {changes.planned:,}:"
        yield from _beyond(limits, "change_late", changes.late_p95_s, _At(_latest(changes)), "s", text)
    if changes.limits_late_p95_s is not None:
        text = "changes of nodes' limits took hold late; p95:"
        yield from _beyond(limits, "limit_late", changes.limits_late_p95_s, _At("all nodes"), "s", text)


def _latest(changes: ChangeEvidence) -> str:
    late = {role.role: role.late_p95_s for role in changes.roles if role.late_p95_s is not None}
    return max(late, key=late.__getitem__, default="all changes")


def _leaks(evidence: Evidence, _: Thresholds) -> Iterator[Reason]:
    for hop in evidence.hops:
        at = _At.of(hop)
        yield from _none_allowed(hop.leaked, "leak", at, "probes came although they were cut off")
        yield from _none_allowed(hop.early, "early", at, "probes came sooner than the conditions allow")


def _delays(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    for hop in evidence.hops:
        delays = hop.delays
        if delays is None or delays.probes < MIN_PROBES:
            continue
        error_s = abs(delays.error_s)
        for verdict in ("invalid", "suspect"):
            limit_s = getattr(limits, f"probe_delay_{verdict}")
            share = getattr(limits, f"probe_delay_share_{verdict}")
            if limit_s is None:
                continue
            allowed_s = max(limit_s, (share or 0) * delays.expected_s) + delays.scatter_s + delays.clocks_s
            if error_s > allowed_s:
                text = _off(delays, allowed_s)
                yield _reason(verdict.upper(), "probe_delay", _At.of(hop), error_s, allowed_s, "s", text)
                break


def _off(delays: Delays, allowed_s: float) -> str:
    measured, expected = _told(delays.measured_s, "s"), _told(delays.expected_s, "s")
    off = _told(abs(delays.error_s), "s")
    return (
        f"{delays.probes:,} probes took {measured} in the median, where {expected} are expected:"
        f" {off} {'more' if delays.error_s > 0 else 'less'}, beyond the allowed {_told(allowed_s, 's')}"
    )


def _losses(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    """Hops are many, so each has to be that much more improbable: the chance is shared among them."""
    judged = [(hop, hop.losses) for hop in evidence.hops if hop.losses is not None and hop.losses.probes]
    for hop, losses in judged:
        for verdict in ("invalid", "suspect"):
            limit = getattr(limits, f"probe_loss_{verdict}")
            if limit is None:
                continue
            chance, allowed = _chance_of(losses, is_lenient=verdict == "invalid"), limit / len(judged)
            if chance < allowed:
                text = _lost(losses, chance)
                yield _reason(verdict.upper(), "probe_loss", _At.of(hop), chance, allowed, "chance", text)
                break


def _chance_of(losses: Losses, *, is_lenient: bool) -> float:
    expected = losses.expected
    if is_lenient and losses.lost > expected * losses.probes:
        expected = min(max(expected, UNEXPLAINED_LOSS), losses.lost / losses.probes)
    return improbability(losses.lost, losses.probes, expected, losses.memory)


def _lost(losses: Losses, chance: float) -> str:
    share, expected = _told(losses.lost / losses.probes, "share"), _told(losses.expected, "share")
    return (
        f"{losses.lost} of {losses.probes} probes were lost ({share}) where {expected} are"
        f" expected; the chance of that is {_told(chance, 'chance')}"
    )


def _departures(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    for hop in evidence.hops:
        if hop.late_p95_s is not None:
            text = "packets left late, p95"
            yield from _beyond(limits, "departure_late", hop.late_p95_s, _At.of(hop), "s", text)


def _rates(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    for hop in evidence.hops:
        if hop.rate_excess is not None:
            text = "sent beyond its rate by"
            yield from _beyond(limits, "rate_excess", hop.rate_excess, _At.of(hop), "share", text)
        if hop.goodput is not None:
            text = "while packets waited, its goodput was short of the rate by"
            yield from _beyond(limits, "goodput_short", hop.goodput.short, _At.of(hop), "share", text)


def _stalls(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    for stall in evidence.stalls:
        yield from _beyond(limits, "stall", stall.longest_s, _At(stall.source), "s", "did not run for")


def _gateways(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    for gateway in evidence.gateways:
        until_s = gateway.since_s + gateway.lasted_s
        text = (
            f"from {gateway.since_s:,.0f} s to {until_s:,.0f} s after T0 its process carried"
            f" {gateway.packets_per_s:,.0f} packets/s; share of one core"
        )
        for reason in _beyond(limits, "gateway_cpu", gateway.cpu, _At(gateway.role), "share", text):
            yield attrs.evolve(reason, text=f"{reason.text}: {_RELIEF}")


_RELIEF = "send less over this network, describe it as several, or use --shaper netem"
"""The advice where a gateway is the limit."""


def _hosts(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    for host in evidence.hosts:
        at = _At(host.host)
        yield from _beyond(limits, "cpu", host.cpu, at, "share", "CPU in use on average")
        yield from _beyond(limits, "steal", host.steal, at, "share", "CPU taken by its hypervisor")
        if host.clock_error_s is not None:
            yield from _beyond(limits, "clock", host.clock_error_s, at, "s", "clock uncertain by")


def _dropped(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    count = _sum(evidence.frames_dropped)
    frames = count + sum(hop.packets + hop.dropped for hop in evidence.hops if hop.direction == "up")
    if count:
        text = f"of {frames:,} frames were dropped by the machine: no gateway took or had memory for them,"
        for reason in _beyond(limits, "frames_dropped", count / frames, _At(""), "share", text):
            yield _by_source(reason, evidence.frames_dropped)


def _records(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    count = _sum(evidence.records_lost)
    if count:
        share = count / (count + evidence.records)
        text = f"{count:,} records lost,"
        for reason in _beyond(limits, "records_lost", share, _At(""), "share", text):
            yield _by_source(reason, evidence.records_lost)


def _by_source(reason: Reason, losses: Sequence[LossEvidence]) -> Reason:
    """The reason with those that lost something, the one that lost most first."""
    lost: Counter[str] = Counter()
    for loss in losses:
        lost[loss.source] += loss.count
    sources = tuple(source for source, _ in lost.most_common())
    return attrs.evolve(reason, where=sources[0], affected=sources, text=f"{_named(sources)}{reason.text}")


def _faults(evidence: Evidence, _: Thresholds) -> Iterator[Reason]:
    for fault in evidence.faults_without_effect:
        yield _reason("INVALID", "fault", _At(fault.source), 1, 0, "count", fault.text)


def _unproved(evidence: Evidence, _: Thresholds) -> Iterator[Reason]:
    for network in evidence.probes_missing:
        text = "network without a single probe"
        yield from _none_allowed(1, "no_probes", _At(f"gateway:{network}"), text, "SUSPECT")


def _sum(losses: Iterable[LossEvidence]) -> int:
    return sum(each.count for each in losses)


Rule = Callable[[Evidence, Thresholds], Iterator[Reason]]

_RULES: tuple[Rule, ...] = (
    _leaks, _faults, _changes, _losses, _delays, _departures, _gateways, _stalls, _rates, _dropped, _hosts,
    _records, _unproved,
)  # fmt: skip

_ORDER = (
    "leak", "fault", "early", "change_failed", "change_missing", "change_late", "probe_loss", "probe_delay",
    "departure_late", "gateway_cpu", "stall", "rate_excess", "goodput_short", "frames_dropped", "limit_late",
    "cpu", "steal", "clock", "records_lost", "no_probes",
)  # fmt: skip
"""Subjects of reasons, the gravest first."""

__all__ = ["MIN_PROBES", "UNEXPLAINED_LOSS", "judge"]
