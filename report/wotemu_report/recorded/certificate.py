"""The fidelity certificate in a run's manifest, read leniently: what it lacks is empty."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import attrs

Json = dict[str, Any]

TONES = {"VALID": "good", "SUSPECT": "warn", "INVALID": "bad"}
"""How each verdict is coloured."""


@attrs.frozen
class Reason:
    """One thing that speaks against the run, for people; `affected` counts the places of which it holds."""

    verdict: str
    what: str
    where: str
    text: str
    affected: int = 1


@attrs.frozen
class HopFigures:
    """One hop's evidence: durations in ms, shares; null where there is none.

    `expected`, `measured` and `error` are of the `compared` probes. By so much as `chance` may jitter, and
    the agents' clocks, move such an error.
    """

    where: str
    verdict: str
    probes: int
    not_judged: int
    compared: int
    expected: float | None
    measured: float | None
    error: float | None
    chance: float | None
    loss_expected: float | None
    loss: float | None
    late_p95: float | None
    late_max: float | None
    rate_excess: float | None
    goodput_short: float | None
    packets: int

    @property
    def unexplained(self) -> float | None:
        """The part of the error that is beyond chance."""
        if self.error is None:
            return None
        beyond = abs(self.error) - (self.chance or 0.0)
        return math.copysign(beyond, self.error) if beyond > 0 else 0.0


@attrs.frozen
class HostFigures:
    """One machine's mean load in shares, and its clock against the event bus's in ms; null where unknown."""

    name: str
    cpu: float | None
    steal: float | None
    clock_offset: float | None
    clock_error: float | None


@attrs.frozen
class Certificate:
    """The verdict and what it rests on; `cpu` and `steal` are the busiest machine's shares.

    `not_judged` counts the probes of which nothing certain could be expected, `log_lines_lost` lines that the
    apps printed and that are in no log: they are no reason.
    """

    verdict: str
    reasons: tuple[Reason, ...]
    hops: tuple[HopFigures, ...]
    hosts: tuple[HostFigures, ...]
    probes: int
    not_judged: int
    log_lines_lost: int
    changes: int
    change_late_p95: float | None
    cpu: float | None
    steal: float | None

    @property
    def tone(self) -> str:
        """How it is coloured."""
        return TONES.get(self.verdict, "plain")

    @property
    def lines(self) -> tuple[str, ...]:
        """What it comes to, for the page's head: the worst reason of each kind, or that there is none."""
        if not self.reasons:
            return ("Probes, changes and departures did what the scenario says, on time.",)
        alike: dict[tuple[str, str], list[str]] = {}
        for reason in self.reasons:
            alike.setdefault((reason.verdict, reason.what), []).append(reason.text)
        return tuple(texts[0] + _more(len(texts) - 1) for texts in alike.values())

    @classmethod
    def from_json(cls, raw: Json) -> Certificate:
        """Read a certificate."""
        hosts = [host for host in raw.get("hosts") or () if isinstance(host, dict)]
        changes = raw.get("changes") or {}
        return cls(
            verdict=str(raw.get("verdict", "")),
            reasons=tuple(_reason(entry) for entry in raw.get("reasons") or ()),
            hops=tuple(_hop(entry) for entry in raw.get("hops") or ()),
            hosts=tuple(_host(entry) for entry in hosts),
            probes=int(raw.get("probes") or 0),
            not_judged=int(raw.get("probes_not_judged") or 0),
            log_lines_lost=sum(int(loss.get("count") or 0) for loss in raw.get("log_lines_lost") or ()),
            changes=int(changes.get("planned") or 0),
            change_late_p95=_ms(changes.get("late_p95_s")),
            cpu=_greatest(host.get("cpu") for host in hosts),
            steal=_greatest(host.get("steal") for host in hosts),
        )


def _more(count: int) -> str:
    return (
        f"; likewise in {count} more places" if count > 1 else "; likewise in one more place" if count else ""
    )


def _reason(entry: Json) -> Reason:
    verdict, what, where, text = (str(entry.get(name, "")) for name in ("verdict", "what", "where", "text"))
    return Reason(verdict, what, where, text, affected=len(entry.get("affected") or (where,)))


def _hop(entry: Json) -> HopFigures:
    delays, losses = entry.get("delays") or {}, entry.get("losses") or {}
    risked = losses.get("probes")
    return HopFigures(
        where=_where(entry),
        verdict=str(entry.get("verdict", "")),
        probes=int(entry.get("probes") or 0),
        not_judged=sum((entry.get("unjudged") or {}).values()),
        compared=int(delays.get("probes") or 0),
        expected=_ms(delays.get("expected_s")),
        measured=_ms(delays.get("measured_s")),
        error=_ms(delays.get("error_s")),
        chance=_ms((delays.get("scatter_s") or 0.0) + (delays.get("clocks_s") or 0.0)) if delays else None,
        loss_expected=_number(losses.get("expected")),
        loss=losses.get("lost", 0) / risked if risked else None,
        late_p95=_ms(entry.get("late_p95_s")),
        late_max=_ms(entry.get("late_max_s")),
        rate_excess=_number(entry.get("rate_excess")),
        goodput_short=_number((entry.get("goodput") or {}).get("short")),
        packets=int(entry.get("packets") or 0),
    )


def _where(entry: Json) -> str:
    network, node, direction = (entry.get(name, "") for name in ("network", "node", "direction"))
    return f"{network}'s shared rate" if direction == "shared" else f"{node}@{network} {direction}"


def _host(entry: Json) -> HostFigures:
    return HostFigures(
        name=str(entry.get("host", "")),
        cpu=_number(entry.get("cpu")),
        steal=_number(entry.get("steal")),
        clock_offset=_ms(entry.get("clock_offset_s")),
        clock_error=_ms(entry.get("clock_error_s")),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _ms(value: object) -> float | None:
    seconds = _number(value)
    return None if seconds is None else seconds * 1000


def _greatest(values: Iterable[object]) -> float | None:
    return max((number for value in values if (number := _number(value)) is not None), default=None)
