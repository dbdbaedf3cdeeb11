"""A comparison in words: for the terminal, and for the head of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from wotemu.wording import counted
from wotemu_report import formats
from wotemu_report.comparison.comparison import Comparison
from wotemu_report.comparison.differences import SAME, Difference

_FIGURES = {"errors": "error share"}


def subject_text(difference: Difference) -> str:
    """What a difference is of: ``fade, reader: temperature readproperty (http)``."""
    phase, group, name, op, binding = difference.subject
    return f"{phase}, {group}" + (f": {name} {op} ({binding})" if op else "")


def value_text(name: str, value: float | None) -> str:
    """A figure's value with its unit."""
    if value is None:
        return formats.NONE
    if name in ("errors", "availability"):
        return formats.percent(value)
    return f"{formats.number(value)}/s" if name == "throughput" else formats.milliseconds(value)


def change_text(name: str, change: float | None) -> str:
    """A change with its sign: in percent, or of shares in points."""
    if change is None:
        return formats.NONE
    unit = "points" if name in ("errors", "availability") else "%"
    return f"{change * 100:+,.3g} {unit}".replace("-", "−")  # a minus, which is as wide as a plus


def interval_text(difference: Difference) -> str:
    """The change and its interval: ``+12 % (+8 % to +16 %)``."""
    ends = [change_text(difference.name, each) for each in (difference.low, difference.high)]
    return f"{change_text(difference.name, difference.change)} ({ends[0]} to {ends[1]})"


def sentence(difference: Difference) -> str:
    """A difference in a sentence."""
    values = " to ".join(value_text(difference.name, each) for each in (difference.before, difference.after))
    figure = _FIGURES.get(difference.name, difference.name)
    return f"{subject_text(difference)}: {figure} {difference.verdict}, {values}, {interval_text(difference)}"


def summary(comparison: Comparison, name: str) -> Iterator[str]:
    """What a comparison says of one design: how many figures differ, and what could not be seen."""
    found = comparison.differences[name]
    counts = {
        verdict: sum(each.verdict == verdict for each in found) for verdict in ("worse", "better", "same")
    }
    yield (
        f"{name} beside {comparison.baseline}: of {counted(len(found), 'figure')}, {counts['worse']} worse,"
        f" {counts['better']} better, {counts['same']} the same within {SAME:.0%}"
    )
    blind, total = comparison.blind(name)
    if blind:
        yield (
            f"for {blind} of {total} figures the runs are too few or too short to see a difference of"
            f" {SAME:.0%}{_how_much_more(found)}"
        )


def _how_much_more(found: Sequence[Difference]) -> str:
    needed = [(each.sees / SAME) ** 2 for each in found if each.sees is not None and each.sees > SAME]
    if not needed:
        return ""
    factor = sorted(needed)[len(needed) // 2]
    return f"; half of these would take {max(2, round(factor)):,} times the requests or more"


def method(comparison: Comparison) -> str:
    """How differences were judged, in a sentence."""
    resampled = (
        "whole runs are resampled"
        if comparison.by_runs
        else "blocks of time within the runs are resampled, so a difference may be of these very runs: "
        "give three runs of each design, as wotemu repeat makes them, to tell designs apart"
    )
    return (
        f"{resampled[0].upper()}{resampled[1:]}. Intervals hold the change with 95 %; with 95 % no figure of "
        "a whole comparison is called worse or better that is not. Percentiles are of answered requests."
    )
