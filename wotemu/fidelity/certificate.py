"""The verdict on a run's fidelity, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import attrs

from wotemu.fidelity.evidence import ChangeEvidence, GatewayEvidence, HopEvidence, HostEvidence, LossEvidence
from wotemu.fidelity.thresholds import Thresholds
from wotemu.wording import counted

Verdict = Literal["VALID", "SUSPECT", "INVALID"]

VERDICTS: tuple[Verdict, ...] = ("VALID", "SUSPECT", "INVALID")
"""From the best to the worst."""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of them; VALID where there is none."""
    return max(verdicts, key=VERDICTS.index, default="VALID")


@attrs.frozen(kw_only=True)
class Reason:
    """One thing that speaks against a run: `measured` is beyond `threshold`, both in `unit`.

    `where` names the role or the machine at fault, `affected` all hops, roles or machines of which it holds,
    the worst first; `measured` and `text` are of that one.
    """

    verdict: Verdict
    what: str
    where: str
    affected: tuple[str, ...]
    measured: float
    threshold: float
    unit: str
    text: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return attrs.asdict(self)


@attrs.frozen(kw_only=True)
class Certificate:
    """Whether an emulation did what its scenario says, with what was measured.

    Attributes:
        verdict: VALID, SUSPECT or INVALID: the worst of the reasons' verdicts.
        reasons: What speaks against the run, the worst first.
        changes: How many changes there were, and how late they took hold (seconds).
        hosts: The load and clock of each machine.
        hops: What probes and counters say of each hop.
        thresholds: The limits that it was judged by.
        log_lines_lost: Lines of logs that never came. They are no reason: no measurement is missing.
        gateways: The busiest seconds of each gateway whose process moves packets.
    """

    verdict: Verdict
    reasons: tuple[Reason, ...]
    changes: ChangeEvidence
    hosts: tuple[HostEvidence, ...]
    hops: tuple[HopEvidence, ...]
    thresholds: Thresholds
    log_lines_lost: tuple[LossEvidence, ...] = ()
    gateways: tuple[GatewayEvidence, ...] = ()

    def hop_verdict(self, hop: HopEvidence) -> Verdict:
        """The worst verdict of the reasons that concern one hop."""
        return worst(reason.verdict for reason in self.reasons if hop.where in reason.affected)

    @property
    def probes(self) -> int:
        """Number of probes that were sent."""
        return sum(hop.probes for hop in self.hops if hop.direction == "up")

    @property
    def unjudged(self) -> int:
        """Number of probes that were not judged, as nothing certain can be expected of them."""
        return sum(sum(hop.unjudged.values()) for hop in self.hops if hop.direction == "up")

    def __str__(self) -> str:
        if not self.reasons:
            return (
                f"{self.verdict}: {counted(self.probes, 'probe')} and {counted(len(self.hops), 'hop')} agree"
            )
        more = len(self.reasons) - 1
        return f"{self.verdict}: {self.reasons[0].text}" + (f", and {more} more" if more else "")

    def to_dict(self) -> dict[str, Any]:
        """As the manifest holds it; reasons are in order, the worst first."""
        return {
            "verdict": self.verdict,
            "reasons": [reason.to_dict() for reason in self.reasons],
            "probes": self.probes,
            "probes_not_judged": self.unjudged,
            "log_lines_lost": [attrs.asdict(loss) for loss in self.log_lines_lost],
            "changes": attrs.asdict(self.changes),
            "hosts": [attrs.asdict(host) for host in self.hosts],
            "gateways": [attrs.asdict(gateway) for gateway in self.gateways],
            "hops": [{**attrs.asdict(hop), "verdict": self.hop_verdict(hop)} for hop in self.hops],
            "thresholds": self.thresholds.to_dict(),
        }
