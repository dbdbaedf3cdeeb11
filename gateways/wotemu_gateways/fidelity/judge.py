"""From evidence and thresholds to a verdict, with every reason for it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from wotemu_gateways.fidelity.certificate import VERDICTS, Certificate, Reason, Verdict, worst
from wotemu_gateways.fidelity.chance import improbability
from wotemu_gateways.fidelity.evidence import Evidence, HopEvidence, LossEvidence
from wotemu_gateways.fidelity.thresholds import Thresholds

Unit = Literal["s", "share", "chance", "count"]

MIN_PROBES = 5
"""Fewer say nothing of a hop's delay."""

UNEXPLAINED_LOSS = 0.001
"""A loss beyond the expected one that alone makes no run invalid: machines lose a packet now and then."""

EVERYWHERE = "all changes"


def judge(evidence: Evidence, thresholds: Thresholds | None = None) -> Certificate:
    """The certificate: INVALID, SUSPECT or VALID, whichever is the worst that a measure says."""
    limits = thresholds or Thresholds()
    found = [reason for rule in _RULES for reason in rule(evidence, limits)]
    reasons = sorted(found, key=_gravity)
    return Certificate(
        verdict=worst(reason.verdict for reason in reasons),
        reasons=tuple(reasons),
        changes=evidence.changes,
        hosts=evidence.hosts,
        hops=evidence.hops,
        thresholds=limits,
    )


def _gravity(reason: Reason) -> tuple[int, int, float]:
    """A sort key: the worst verdict first, then measures in the order of the rules, the worst place first."""
    measured = reason.measured if reason.unit == "chance" else -reason.measured
    return -VERDICTS.index(reason.verdict), _ORDER.index(reason.what), measured


def _beyond(
    limits: Thresholds, name: str, measured: float, where: str, unit: Unit, text: str
) -> Iterator[Reason]:
    """The reason where `measured` is above a threshold; `text` has {} for its value and for the limit."""
    for verdict in ("INVALID", "SUSPECT"):
        limit = getattr(limits, f"{name}_{verdict.lower()}")
        if limit is not None and measured > limit:
            told = f"{where}: {text} {_told(measured, unit)}, more than {_told(limit, unit)}"
            yield _reason(verdict, name, where, measured, float(limit), unit, told)
            return


def _reason(
    verdict: str, what: str, where: str, measured: float, threshold: float, unit: Unit, text: str
) -> Reason:
    return Reason(
        verdict="INVALID" if verdict == "INVALID" else "SUSPECT",
        what=what,
        where=where,
        measured=measured,
        threshold=threshold,
        unit=unit,
        text=text,
    )


def _none_allowed(
    count: int, what: str, where: str, text: str, verdict: Verdict = "INVALID"
) -> Iterator[Reason]:
    if count > 0:
        yield _reason(verdict, what, where, count, 0, "count", f"{where}: {count:,} {text}")


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
    yield from _none_allowed(changes.failed, "change_failed", EVERYWHERE, "failed")
    yield from _none_allowed(changes.missing, "change_missing", EVERYWHERE, "were never answered")
    if changes.late_p95_s is not None:
        yield from _beyond(limits, "change_late", changes.late_p95_s, EVERYWHERE, "s", "late p95")


def _leaks(evidence: Evidence, _: Thresholds) -> Iterator[Reason]:
    for hop in evidence.hops:
        yield from _none_allowed(hop.leaked, "leak", hop.where, "probes came although they were cut off")
        yield from _none_allowed(
            hop.early, "early", hop.where, "probes came sooner than the conditions allow"
        )


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
            allowed_s = max(limit_s, (share or 0) * delays.expected_s) + delays.scatter_s
            if error_s > allowed_s:
                how = "longer" if delays.error_s > 0 else "less"
                text = (
                    f"{hop.where}: probes took {_told(error_s, 's')} {how} than the expected"
                    f" {_told(delays.expected_s, 's')}, more than {_told(allowed_s, 's')} off"
                )
                yield _reason(verdict.upper(), "probe_delay", hop.where, error_s, allowed_s, "s", text)
                break


def _losses(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    """Hops are many, so each has to be that much more improbable: the chance is shared among them."""
    judged = [hop for hop in evidence.hops if hop.losses is not None and hop.losses.probes]
    for hop in judged:
        for verdict in ("invalid", "suspect"):
            limit = getattr(limits, f"probe_loss_{verdict}")
            if limit is None:
                continue
            chance, allowed = _chance_of_losses(hop, verdict == "invalid"), limit / len(judged)
            if chance < allowed:
                yield _reason(
                    verdict.upper(), "probe_loss", hop.where, chance, allowed, "chance", _lost(hop, chance)
                )
                break


def _chance_of_losses(hop: HopEvidence, is_lenient: bool) -> float:
    losses = hop.losses
    if losses is None:
        return 1.0
    expected = losses.expected
    if is_lenient and losses.lost > expected * losses.probes:
        expected = min(max(expected, UNEXPLAINED_LOSS), losses.lost / losses.probes)
    return improbability(losses.lost, losses.probes, expected, losses.memory)


def _lost(hop: HopEvidence, chance: float) -> str:
    losses = hop.losses
    if losses is None:
        return ""
    share, expected = _told(losses.lost / losses.probes, "share"), _told(losses.expected, "share")
    return (
        f"{hop.where}: {losses.lost} of {losses.probes} probes were lost ({share}) where {expected} are"
        f" expected; the chance of that is {_told(chance, 'chance')}"
    )


def _departures(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    for hop in evidence.hops:
        if hop.late_p95_s is not None:
            yield from _beyond(
                limits, "departure_late", hop.late_p95_s, hop.where, "s", "packets left late, p95"
            )


def _rates(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    for hop in evidence.hops:
        if hop.rate_excess is not None:
            yield from _beyond(
                limits, "rate_excess", hop.rate_excess, hop.where, "share", "sent beyond its rate by"
            )


def _stalls(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    for stall in evidence.stalls:
        yield from _beyond(limits, "stall", stall.longest_s, stall.source, "s", "did not run for")


def _hosts(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    for host in evidence.hosts:
        yield from _beyond(limits, "cpu", host.cpu, host.host, "share", "CPU in use on average")
        yield from _beyond(limits, "steal", host.steal, host.host, "share", "CPU taken by its hypervisor")
        if host.clock_error_s is not None:
            yield from _beyond(limits, "clock", host.clock_error_s, host.host, "s", "clock uncertain by")


def _dropped(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    count = _sum(evidence.frames_dropped)
    frames = count + sum(hop.packets + hop.dropped for hop in evidence.hops if hop.direction == "up")
    if count:
        where = ", ".join(each.source for each in evidence.frames_dropped)
        text = f"of {frames:,} frames were dropped before a gateway took them"
        yield from _beyond(limits, "frames_dropped", count / frames, where, "share", text)


def _records(evidence: Evidence, limits: Thresholds) -> Iterator[Reason]:
    count = _sum(evidence.records_lost)
    if count:
        where = ", ".join(each.source for each in evidence.records_lost)
        share = count / (count + evidence.records)
        yield from _beyond(limits, "records_lost", share, where, "share", f"{count:,} records lost,")


def _unproved(evidence: Evidence, _: Thresholds) -> Iterator[Reason]:
    for network in evidence.probes_missing:
        yield from _none_allowed(1, "no_probes", network, "network without a single probe", "SUSPECT")


def _sum(losses: Iterable[LossEvidence]) -> int:
    return sum(each.count for each in losses)


Rule = Callable[[Evidence, Thresholds], Iterator[Reason]]

_RULES: tuple[Rule, ...] = (
    _leaks, _changes, _losses, _delays, _departures, _stalls, _rates, _dropped, _hosts, _records, _unproved,
)  # fmt: skip

_ORDER = (
    "leak", "early", "change_failed", "change_missing", "change_late", "probe_loss", "probe_delay",
    "departure_late", "stall", "rate_excess", "frames_dropped", "cpu", "steal", "clock", "records_lost",
    "no_probes",
)  # fmt: skip
"""What reasons are about, the gravest first."""

__all__ = ["MIN_PROBES", "UNEXPLAINED_LOSS", "judge"]
