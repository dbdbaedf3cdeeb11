"""The cells of tables as texts, and the colours of states."""

from __future__ import annotations

import math

from wotemu.records.event_kinds import severity_of
from wotemu_report import formats
from wotemu_report.blocks import Format
from wotemu_report.objectives.outcome import TONES


def cell(value: object, form: Format, *, long: bool = False) -> str:
    """A table cell's text; `long`: instants as minutes and seconds."""
    if form == "answer" and value == math.inf:
        return formats.NO_ANSWER
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return formats.NONE
    if isinstance(value, int | float) and form == "instant":
        return formats.instant(value, long)
    if isinstance(value, int | float) and form in _NUMBERS:
        return _NUMBERS[form](value)
    return str(value)


_NUMBERS = {
    "int": formats.count,
    "number": formats.number,
    "ms": formats.milliseconds,
    "answer": formats.answer,
    "bytes": formats.size,
    "percent": formats.percent,
}
_TONES_OF_SEVERITY = {"error": "bad", "warning": "warn"}
_TONES_OF_STATES = {"applied": "good", "not applied": "bad", "failed": "bad", "run.done": "good"} | {
    "recovered": "warn", "unaffected": "good", "not recovered": "bad",
    "better": "good", "worse": "bad", "holds": "good", "does not hold": "bad",
}  # fmt: skip
"""The results of changes, of comparisons and of searches, and the one event that is good news."""


def tone(text: object) -> str:
    """The colour of a state, a verdict or an event's kind: bad, warn, good or plain."""
    words = str(text)
    known = formats.VERDICT_TONES.get(words) or _TONES_OF_STATES.get(words) or TONES.get(words)
    return known or _TONES_OF_SEVERITY.get(severity_of(words), "plain")
