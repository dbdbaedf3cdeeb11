"""A timeline's phases, changes and guards, as tables."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from wotemu.cli.screen.tables import add_row, columns
from wotemu.scenario.change_text import Difference, differences
from wotemu.scenario.timeline import Change, GuardPlan, ObjectivePlan, Phase, Timeline
from wotemu.units import Seconds

if TYPE_CHECKING:
    from rich.table import Table

SHOWN = 200
"""Rows of the table of changes without ``--all``: the first `SHOWN` - `LAST`, and the last `LAST`."""
LAST = 10

Row = tuple[float, str, list[Difference]]
"""Offset from T0 in seconds, target, and what becomes different."""


def timeline_table(timeline: Timeline, *, whole: bool) -> Table:
    """A row for each thing that changes, by phase; `whole` shows all where there are more than `SHOWN`."""
    rows = _rows(timeline.changes)
    hidden = 0 if whole or len(rows) <= SHOWN else len(rows) - SHOWN
    table = columns("t", "phase", "target", "what", "before", "after")
    number = 0
    for phase, own in _by_phase(timeline, rows):
        if not own:
            add_row(table, f"{phase.start_s:.6g}", phase.name, "nothing changes", style="dim")
        for place, row in enumerate(own):
            if hidden and number == SHOWN - LAST:
                add_row(table, "…", "", f"{hidden:,} more", "--all shows them", style="dim")
            if not (hidden and SHOWN - LAST <= number < len(rows) - LAST):
                _add(table, row, "" if place else phase.name)
            number += 1
    return table


def _by_phase(timeline: Timeline, rows: list[Row]) -> Iterator[tuple[Phase, list[Row]]]:
    """Each phase with its rows, both by time."""
    starts = [phase.start_s for phase in timeline.phases[1:]]
    ends = [bisect_left(rows, start_s, key=lambda row: row[0]) for start_s in starts]
    for phase, first, last in zip(timeline.phases, [0, *ends], [*ends, len(rows)], strict=True):
        yield phase, rows[first:last]


def guard_line(guard: GuardPlan) -> str:
    """A guard's condition, deadline, and what happens if it is not met, in one line."""
    deadline = "" if guard.deadline_s is None else f" within {Seconds(guard.deadline_s)}"
    return f"guard {guard.id}: once {guard.text}{deadline}, otherwise {guard.otherwise}"


def guard_table(guard: GuardPlan) -> Table:
    """The changes that follow a guard once it fires, with their offsets from that moment."""
    table = columns("after it", "", "target", "what", "before", "after")
    for row in _rows(guard.changes)[:SHOWN]:
        _add(table, row, "")
    return table


def objectives_table(objectives: Iterable[ObjectivePlan]) -> Table:
    """A row for each objective: what it is about, and the limit that it has to meet."""
    table = columns("objective", "has to be", "if it can't be met")
    for each in objectives:
        add_row(table, each.text, _limit(each), "the run ends" if each.abort else "")
    return table


def _limit(objective: ObjectivePlan) -> str:
    from wotemu_report.objectives.outcome import figure_text

    limit = (
        None if objective.limit is None else f"{objective.op} {figure_text(objective.limit, objective.unit)}"
    )
    if objective.within_s is None:
        return limit or ""
    return f"{limit or 'as it was before'} within {Seconds(objective.within_s)}"


def _rows(changes: Sequence[Change]) -> list[Row]:
    """The changes by time; the same change of a link's up and down hop is one row."""
    rows: list[Row] = []
    rows_by_link: dict[tuple[float, str], int] = {}
    for change in changes:
        link = change.target.removesuffix(" up").removesuffix(" down") if change.direction else ""
        found, key = differences(change), (change.at_s, link)
        if link and key in rows_by_link and rows[rows_by_link[key]][2] == found:
            rows[rows_by_link[key]] = (change.at_s, link, found)
            continue
        rows_by_link[key] = len(rows)
        rows.append((change.at_s, change.target, found))
    return rows


def _add(table: Table, row: Row, phase: str) -> None:
    """Add a line for each difference; only the first one has the time, phase and target."""
    at_s, target, found = row
    first = (f"{at_s:.6g}", phase, target)
    for what, before, after in found:
        add_row(table, *first, what, before, after)
        first = ("", "", "")
