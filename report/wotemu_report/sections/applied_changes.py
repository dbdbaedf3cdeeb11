"""Changes: when each change of the timeline was applied, and how late that was."""

from __future__ import annotations

import polars as pl

from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table, Tile, Tiles
from wotemu_report.charts import palette
from wotemu_report.charts.layers import tips
from wotemu_report.charts.series import dots
from wotemu_report.charts.theme import DURATION
from wotemu_report.charts.value_axis import value_y
from wotemu_report.formats import count, milliseconds
from wotemu_report.queries.change_lateness import change_results, lateness, missed_changes, worst_changes
from wotemu_report.queries.event_rows import changes_by_hand, node_faults
from wotemu_report.queries.ranking import sample
from wotemu_report.recorded.run_data import RunData
from wotemu_report.state_text import json_state_text

_MAX_POINTS = 2000
_MAX_ROWS = 400
_LEAD = (
    "Gateways and agents apply each change by their own clocks; its lateness is the time from when it was "
    "due to when it was applied."
)


def section(run: RunData) -> Section:
    """How punctually the timeline was applied."""
    results = change_results(run)
    if not results.height:
        return Section("changes", "Changes", _LEAD, [Empty("", "The scenario changes nothing.")])
    blocks: list[Block] = [_tiles(results)]
    if results["late"].count():
        blocks.append(_lateness(run, results))
    by_hand = changes_by_hand(run)
    if by_hand.height:
        blocks.append(_by_hand(by_hand))
    faults = node_faults(run)
    if faults.height:
        blocks.append(_faults(faults))
    return Section("changes", "Changes", _LEAD, [*blocks, _table(results)])


def _faults(rows: pl.DataFrame) -> Table:
    return Table(
        "Faults of nodes",
        "What was measured of each pause, each stress and each full disk until its end.",
        (Column("Ended", "instant"), Column("Node"), Column("Lasted (s)", "number"), Column("What was seen")),
        rows.head(_MAX_ROWS).rows(),
        total=rows.height,
    )


def _by_hand(rows: pl.DataFrame) -> Table:
    return Table(
        "Changes made by hand",
        "What somebody changed while the run went on, and the line that a scenario would have for it.",
        (Column("Due", "instant"), Column("Who"), Column("Change"), Column("In a scenario", "code")),
        rows.head(_MAX_ROWS).rows(),
        total=rows.height,
    )


def _tiles(results: pl.DataFrame) -> Tiles:
    late, missed = lateness(results), missed_changes(results)
    applied = count(results.height - missed)
    return Tiles(
        [
            Tile("Applied", applied, f"of {results.height}", "bad" if missed else "good"),
            Tile("Late p50", milliseconds(late["p50"])),
            Tile("Late p95", milliseconds(late["p95"])),
            Tile("Late max", milliseconds(late["max"])),
        ]
    )


def _lateness(run: RunData, results: pl.DataFrame) -> Figure:
    points = sample(results.filter(pl.col("late").is_not_null(), run.axis.shown()), _MAX_POINTS)
    rows = _described(points.select("s", "late", "id", "target", "after", series="action"))
    colors = palette.colors(sorted(rows["series"].unique()))
    tooltip = tips(id="change", s="due (s)|.3~r", late="late (ms)|,.4~r", target="target", after="to")
    y = value_y("late", "late", label=DURATION)
    return Figure(
        "Lateness of changes",
        "A dot for each change at the second when it was due; its height is how much later it was applied.",
        [dots(rows, run.axis, y, colors, tooltip, size=48, opacity=0.85)],
        run.axis,
        height=110,
    )


def _described(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with conditions and states in words instead of JSON."""
    json_texts = pl.selectors.by_name("before", "after", require_all=False)
    return rows.with_columns(json_texts.map_elements(json_state_text, return_dtype=pl.String))


def _table(results: pl.DataFrame) -> Table:
    columns = ["id", "s", "late", "action", "target", "before", "after", "phase", "state", "error"]
    return Table(
        "Every change" if results.height <= _MAX_ROWS else "Changes that failed or were late",
        "Before and after as the gateway or agent that applied the change reported them.",
        (
            Column("#", "int"),
            Column("Due", "instant"),
            Column("Late", "ms"),
            Column("Action", "code"),
            Column("Target"),
            Column("Before"),
            Column("After"),
            Column("Phase"),
            Column("State", "status"),
            Column("Error"),
        ),
        _described(worst_changes(results, _MAX_ROWS)).select(columns).rows(),
        total=results.height,
    )
