"""Objectives: ``expect(p95("readproperty", node="phone") < "500ms").during("fade")``."""

from __future__ import annotations

from typing import Any, Self

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.objectives.figures import COUNTS, LATENCIES, Comparison, Figure, Operator, figure_key
from wotemu.scenario.vocabulary.actions import parse_length
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.units import QuantityLike

RECOVERABLE = frozenset({*LATENCIES, "errors"})
"""The figures that `recovers` judges."""
COUNTED_AT_ONCE = frozenset({"restarts", "crashes"})
"""Counts that can only grow, and are known while the run goes on."""


@attrs.frozen
class Objective:
    """What a run is expected to show. It holds for the whole run, unless `during` or `after` names a phase.

    Attributes:
        where: The user's file and line, for messages.
        figure: What is measured.
        op, limit: What it is compared with, in the figure's unit; None where `recovers` needs no limit.
        abort: Whether the run ends once this can't be met any more.
        phase: The phase during which it has to hold; "" for none.
        since: The phase from whose beginning on it has to hold; "" for none.
        within_us: Within what time it has to recover; None where it has to hold throughout.
    """

    where: str = attrs.field(eq=False)
    figure: Figure = attrs.field(eq=figure_key, hash=False)
    op: Operator | None = None
    limit: float | None = None
    abort: bool = False
    phase: str = ""
    since: str = ""
    within_us: int | None = None

    @property
    def named_phase(self) -> str:
        """The phase that it is about: during, or since the beginning of it; "" for none."""
        return self.phase or self.since

    def below(self, limit: QuantityLike) -> Self:
        """The figure has to be less than this: ``expect(errors("writeproperty")).below("1%")``.

        Raises:
            ScenarioError: The limit can't be read, or there is one already.
        """
        return self._limited("<", limit, "below")

    def above(self, limit: QuantityLike) -> Self:
        """The figure has to be more than this.

        Raises:
            ScenarioError: The limit can't be read, or there is one already.
        """
        return self._limited(">", limit, "above")

    def _limited(self, op: Operator, limit: QuantityLike, word: str) -> Self:
        if self.op is not None:
            raise ScenarioError("it has a limit already", where=f"{self.where}.{word}")
        comparison = self.figure.limited(op, limit)
        return attrs.evolve(self, op=comparison.op, limit=comparison.limit)

    def during(self, phase: Any) -> Self:
        """It has to hold during one phase.

        Args:
            phase: The name of a phase, or the Phase.

        Raises:
            ScenarioError: It has a phase already, or has to recover.
        """
        where = f"{self.where}.during"
        if self.within_us is not None:
            hint = "write .recovers(...).after(phase)"
            raise ScenarioError("what recovers counts from a phase's beginning", where=where, hint=hint)
        return attrs.evolve(self, phase=self._phase_name(phase, where))

    def after(self, phase: Any) -> Self:
        """It has to hold from the beginning of a phase to the end of the run, or to recover from there on.

        Args:
            phase: The name of a phase, or the Phase.

        Raises:
            ScenarioError: It has a phase already.
        """
        return attrs.evolve(self, since=self._phase_name(phase, f"{self.where}.after"))

    def _phase_name(self, phase: Any, where: str) -> str:
        name = getattr(phase, "name", phase)
        if not isinstance(name, str) or not name.strip():
            raise ScenarioError(f"{phase!r} is no phase", where=where, hint="give the name of a phase")
        if self.named_phase:
            hint = "write an expect(...) for each phase"
            raise ScenarioError(f"it is about {self.named_phase!r} already", where=where, hint=hint)
        return name

    def recovers(self, *, within: QuantityLike) -> Self:
        """The figure has to be well again soon after each disturbance, or `after` a phase's beginning.

        With a limit it is well in the first of two windows in a row that meet it. Without one it is well when
        errors, and durations, are back in the band that they had before the trouble.

        Args:
            within: The time, such as ``"10s"``.

        Raises:
            ScenarioError: The time can't be read, or the figure is neither of durations nor of errors.
        """
        where = f"{self.where}.recovers"
        if self.figure.kind not in RECOVERABLE or self.figure.unit == "number":
            known = ", ".join(sorted(RECOVERABLE))
            raise ScenarioError(
                f"{self.figure.kind} is not judged by windows", where=where, hint=f"give one of {known}"
            )
        if self.phase:
            raise ScenarioError(
                f"it has to hold during {self.phase!r}", where=where, hint="write .after(phase)"
            )
        return attrs.evolve(self, within_us=parse_length(within, f"{where}, within"))

    @property
    def text(self) -> str:
        """Such as ``p95 of readproperty of phone during fade``."""
        recovery = " recovers" if self.within_us is not None else ""
        during = f" during {self.phase}" if self.phase else ""
        return f"{self.figure.text}{recovery}{during}{f' after {self.since}' if self.since else ''}"

    def check(self) -> None:
        """Refuse an objective that says too little.

        Raises:
            ScenarioError: It has no limit, or `abort` where it is decided only at the end.
        """
        if self.op is None and self.within_us is None:
            hint = 'write expect(figure < limit), .below(limit), .above(limit) or .recovers(within="10s")'
            raise ScenarioError("it has no limit", where=self.where, hint=hint)
        if self.abort and not (self.phase or self.within_us is not None or self._is_exceeded_at_once):
            hint = "name a phase with .during(...): the run ends after it, if the objective is not met"
            raise ScenarioError(
                "abort=True: it is decided only at the run's end", where=self.where, hint=hint
            )

    @property
    def _is_exceeded_at_once(self) -> bool:
        return self.figure.kind in (*COUNTED_AT_ONCE, *COUNTS) and self.op in ("<", "<=", "==")


def expect(what: Comparison | Figure, *, abort: bool = False) -> Objective:
    """An objective for `Scenario(expect=[...])`: ``expect(p95("readproperty") < "500ms").during("fade")``.

    Args:
        what: A figure compared with a limit, or a figure alone, for `.below`, `.above` or `.recovers`.
        abort: Whether the run ends once this can't be met any more: after its phase, or where numbers of
            restarts, crashes, requests or failures are more than the limit.

    Raises:
        ScenarioError: It is neither, or `abort` is no bool.
    """
    where = source_location("expect")
    if not isinstance(abort, bool):
        raise ScenarioError(f"abort={abort!r} is neither True nor False", where=where)
    if isinstance(what, Comparison):
        return Objective(where, what.figure, what.op, what.limit, abort)
    if not isinstance(what, Figure):
        hint = 'write expect(p95("readproperty") < "500ms")'
        raise ScenarioError(f"{what!r:.80} is no figure", where=where, hint=hint)
    return Objective(where, what, abort=abort)
