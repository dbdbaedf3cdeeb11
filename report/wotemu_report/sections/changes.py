"""The changes that the timeline asked for: when each took hold, and how late that was."""

from __future__ import annotations

import altair as alt
import polars as pl

from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table, Tile, Tiles
from wotemu_report.charts import palette, series
from wotemu_report.formats import count, milliseconds
from wotemu_report.queries.frames import rounded, sample
from wotemu_report.recorded.dataset import RunData
from wotemu_report.wording import told

_MAX_POINTS = 2000
_MAX_ROWS = 400
_LEAD = (
    "Gateways and agents apply each change by their own clocks; late is when it took hold after it was due."
)
_PLANNED = {
    "id": pl.Int64(),
    "at_s": pl.Float64(),
    "action": pl.String(),
    "target": pl.String(),
    "before": pl.String(),
    "after": pl.String(),
}


def section(run: RunData) -> Section:
    """How punctually the scenario was carried out."""
    frame = changes(run)
    if not frame.height:
        return Section("changes", "Changes", _LEAD, [Empty("", "The scenario changes nothing.")])
    blocks: list[Block] = [_tiles(frame)]
    if frame["late"].count():
        blocks.append(_lateness(run, frame))
    return Section("changes", "Changes", _LEAD, [*blocks, _table(frame)])


def changes(run: RunData) -> pl.DataFrame:
    """A row for each answer to a change, and for each change that nobody answered.

    Columns: `s` (due, seconds since T0), `late` (ms, null where it never took hold), `id`, `phase`, `action`,
    `target`, `before`, `after`, `state` (applied, failed, not applied), `error`.
    """
    answered = run.tables["changes"].with_columns(
        late=pl.when("ok").then((pl.col("applied") - pl.col("due")) * 1000.0),
        state=pl.when("ok").then(pl.lit("applied")).otherwise(pl.lit("failed")),
    )
    rows = [(c.id, c.at_s, c.action, c.target, c.before, c.after) for c in run.timeline.changes]
    planned = pl.DataFrame(rows, schema=_PLANNED, orient="row").join(
        answered.select("id"), on="id", how="anti"
    )
    silent = run.axis.place(planned.with_columns(t=pl.col("at_s") + run.axis.origin)).with_columns(
        late=pl.lit(None, dtype=pl.Float64), state=pl.lit("not applied"), error=pl.lit("")
    )
    columns = ["s", "late", "id", "phase", "action", "target", "before", "after", "state", "error"]
    both = pl.concat([answered.select(columns), silent.select(columns)]).sort("s", "id", "target")
    return both.with_columns(pl.col("before", "after").map_elements(told, return_dtype=pl.String))


def lateness(frame: pl.DataFrame) -> dict[str, float | None]:
    """p50, p95 and max of `late`, in ms; null where nothing was applied."""
    late = frame["late"].drop_nulls()
    if not late.len():
        return {"p50": None, "p95": None, "max": None}
    row = late.to_frame().select(
        p50=nearest_rank("late", 0.5),
        p95=nearest_rank("late", 0.95),
        max=pl.col("late").max(),
    )
    return row.row(0, named=True)


def nearest_rank(column: str, share: float) -> pl.Expr:
    """The value that this share is at most: as the certificate has it, so that both say the same."""
    return pl.col(column).sort().get((pl.len() * share).ceil().cast(pl.UInt32) - 1)


def _tiles(frame: pl.DataFrame) -> Tiles:
    late = lateness(frame)
    missed = frame.filter(pl.col("state") != "applied").height
    return Tiles(
        [
            Tile("Applied", count(frame.height - missed), f"of {frame.height}", "bad" if missed else "good"),
            Tile("Late p50", milliseconds(late["p50"])),
            Tile("Late p95", milliseconds(late["p95"])),
            Tile("Late max", milliseconds(late["max"])),
        ]
    )


def _lateness(run: RunData, frame: pl.DataFrame) -> Figure:
    points = sample(frame.filter(pl.col("late").is_not_null(), run.axis.shown()), _MAX_POINTS)
    shown = rounded(points.select("s", "late", "id", "target", "after", series="action"))
    names = palette.colors(sorted(shown["series"].unique()))
    chart = alt.Chart(series.data(shown)).mark_circle(size=48, opacity=0.85)
    encoded = chart.encode(
        x=series.time_x(run.axis),
        y=series.value_y("late", "late", label=series.DURATION),
        color=series.series_color(names),
        tooltip=series.tips(
            id="change", s="due (s)|.3~r", late="late (ms)|,.4~r", target="target", after="to"
        ),
    )
    return Figure(
        "Lateness of changes",
        "A dot for each change at the second when it was due; its height is how much later it took hold.",
        series.over_time(run.axis, [encoded], height=110),
    )


def listed(frame: pl.DataFrame, limit: int = _MAX_ROWS) -> pl.DataFrame:
    """At most `limit` changes in order of time; those that failed stay, then the latest ones."""
    kept = frame.sort(pl.col("state") == "applied", "late", descending=[False, True]).head(limit)
    return kept.sort("s", "id", "target")


def _table(frame: pl.DataFrame) -> Table:
    columns = ["id", "s", "late", "action", "target", "before", "after", "phase", "state", "error"]
    return Table(
        "Every change" if frame.height <= _MAX_ROWS else "Changes that failed or were late",
        "Before and after as the gateway or agent that made the change reported them.",
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
        listed(frame).select(columns).rows(),
        total=frame.height,
        filterable=frame.height > 12,
    )
