"""Durations of requests: over time for each operation, and by phase."""

from __future__ import annotations

import altair as alt
import polars as pl

from wotemu_report.axis import Axis
from wotemu_report.blocks import Block, Empty, Figure
from wotemu_report.charts import palette
from wotemu_report.charts.layers import Layer, layer, series_color, tips
from wotemu_report.charts.series import dots, lines
from wotemu_report.charts.time_axis import time_x
from wotemu_report.charts.value_axis import duration_y
from wotemu_report.queries.nearest_rank import BOX_SHARES
from wotemu_report.queries.node_groups import group, has_many_nodes
from wotemu_report.queries.ranking import fold, with_series
from wotemu_report.queries.request_series import (
    axis_for_medians,
    boxes_by_phase,
    duration_buckets,
    quantiles_over_time,
    samples_over_time,
)
from wotemu_report.queries.requests import SUBJECT
from wotemu_report.recorded.run_data import RunData

_DRAWN = ("s", "ms", "owner", "node", "binding", "role", "error", "ok", "failed")
_MAX_CHARTS = 8
_MAX_POINTS = 700
_MAX_CROSSES = 175
_MAX_EXTREMES = 240
_DENSE = 2000
"""More points than that are drawn as a heat map."""
_POINTS = {
    False: "Dots: single requests; where there are many, the shortest and the longest of each moment.",
    True: "Shaded: the share of each bin's requests that took so long; dots: the shortest and longest ones.",
}
_MAX_ERROR_TEXT = 160
_LEAST_MS = 0.01
"""A logarithmic axis has no zero."""
_CROSS = "M-.7,-.7L.7,.7M.7,-.7L-.7,.7"
_LABELS_PX = 900
"""The room for all labels of phases, in pixels."""
_QUANTILES = {
    "count": "requests|,d", "errors": "failed|,d", "p50": "p50 (ms)|,.4~r", "p95": "p95 (ms)|,.4~r",
}  # fmt: skip


def duration_blocks(run: RunData, seen: pl.LazyFrame) -> list[Block]:
    """A chart for each of the operations with most requests, and all of them by phase.

    Args:
        run: The run, for its time axis.
        seen: The requests that one role measured.
    """
    subjects = _subjects(seen)
    if subjects.height > _MAX_CHARTS:  # the same affordance of many things
        seen = seen.with_columns(thing=pl.lit("all things"))
        subjects = _subjects(seen)
    if has_many_nodes(run):
        seen = seen.with_columns(owner=group(run, "owner"))
    shown = subjects.head(_MAX_CHARTS).sort(SUBJECT)
    several = subjects["thing"].n_unique() > 1
    blocks: list[Block] = [
        _over_time(run, _only(seen, row), row, several=several) for row in shown.select(SUBJECT).iter_rows()
    ]
    if subjects.height > _MAX_CHARTS:
        rest = subjects.height - _MAX_CHARTS
        blocks.append(Empty("", f"{rest} more operations with fewer requests are in the table below."))
    return [*blocks, _by_phase(run, seen)]


def handler_blocks(run: RunData, asked: pl.DataFrame) -> list[Block]:
    """How long the handlers of exposed affordances took, over time; nothing where no producer was measured.

    Args:
        run: The run, for its time axis.
        asked: The requests, as both ends measured them.
    """
    served = asked.lazy().filter(pl.col("role") == "producer", pl.col("ok"))
    columns = ("s", "name", "op", "owner", "ok", "failed")
    slim = served.select(*columns, pl.col("ms").clip(_LEAST_MS)).collect()
    if not slim.height:
        return []
    if has_many_nodes(run):
        slim = slim.with_columns(owner=group(run, "owner"))
    folded, series = fold(with_series(slim, "{} {} · {}", "name", "op", "owner"), "series", pl.len())
    colors, axis = palette.colors(series), axis_for_medians(run.axis, folded)
    rows = quantiles_over_time(axis, folded)
    values = pl.concat([rows["p50"], rows["p95"]])
    tooltip = tips(series="handler", s="from (s)|~r", **_QUANTILES)
    figure = Figure(
        "Durations of handlers",
        f"What of the durations is the Thing's own: p50 (solid) and p95 (dashed) per {axis.bin_s} s of the "
        "requests that producers answered, logarithmic, by affordance, operation and node (replicas "
        "together).",
        [
            lines(rows, axis, duration_y("p95", values), colors, tooltip, dash=(4, 3), pick=False),
            lines(rows, axis, duration_y("p50", values), colors, tooltip),
        ],
        axis,
        height=150,
    )
    return [figure]


def _subjects(seen: pl.LazyFrame) -> pl.DataFrame:
    """The operations, those with most requests first."""
    sizes = seen.group_by(SUBJECT).agg(count=pl.len()).collect(engine="streaming")
    return sizes.sort(["count", *SUBJECT], descending=[True, *[False] * 3])


def _only(frame: pl.LazyFrame, subject: tuple[str, str, str]) -> pl.DataFrame:
    """The requests of one operation, with the columns that its chart needs."""
    wanted = (pl.col(column) == value for column, value in zip(SUBJECT, subject, strict=True))
    return frame.filter(*wanted).select(_DRAWN).collect()


def _over_time(run: RunData, frame: pl.DataFrame, subject: tuple[str, str, str], *, several: bool) -> Figure:
    thing, name, op = subject
    named = with_series(frame, "{} · {}", "owner", "binding").with_columns(pl.col("ms").clip(_LEAST_MS))
    folded, series = fold(named, "series", pl.len())
    colors, axis = palette.colors(series), axis_for_medians(run.axis, folded)
    bounds = folded.lazy().filter(axis.shown()).select(pl.min("ms"), most=pl.max("ms")).collect()
    shown = pl.Series(bounds.row(0), dtype=pl.Float64)
    role = str(folded["role"].first())
    is_dense = folded["ok"].sum() > _DENSE
    points = _samples(axis, folded, colors, shown, is_dense=is_dense)
    if is_dense:
        points.insert(0, _heat(axis, folded.lazy().filter("ok"), shown))
    return Figure(
        f"{name} · {op}" + (f" · {thing}" if several else ""),
        f"Duration of {op} on “{name}” of {thing}, logarithmic, as the {role} measured it. Lines: p50 "
        f"(solid) and p95 (dashed) per {axis.bin_s} s of successful requests, by node and binding. "
        f"{_POINTS[is_dense]} Crosses: failed ones.",
        [*points, *_quantile_lines(axis, folded, colors, shown)],
        axis,
    )


def _heat(axis: Axis, frame: pl.LazyFrame, values: pl.Series) -> Layer:
    """How many requests took how long, where single ones would cover each other."""
    rows = duration_buckets(axis, frame).with_columns(
        end=pl.min_horizontal(pl.col("s") + axis.bin_s, pl.lit(axis.end_s))
    )
    cells = alt.Chart().mark_rect(color=palette.OTHERS, clip=True)
    shade = alt.Opacity(
        "share", type="quantitative", scale=alt.Scale(type="sqrt", domain=[0, 1], range=[0, 1]), legend=None
    )
    encoded = cells.encode(
        x=time_x(axis),
        x2="end:Q",
        y=duration_y("low", values),
        y2="high:Q",
        opacity=shade,
        tooltip=tips(s="from (s)|~r", low="from (ms)|,.3~r", high="to (ms)|,.3~r", count="requests|,d"),
    )
    return layer(rows, encoded)


def _samples(
    axis: Axis, frame: pl.DataFrame, colors: dict[str, str], values: pl.Series, *, is_dense: bool
) -> list[Layer]:
    limit = _MAX_EXTREMES if is_dense else _MAX_POINTS
    done = samples_over_time(axis, frame.lazy().filter("ok"), limit)
    failed = samples_over_time(axis, frame.lazy().filter("failed"), _MAX_CROSSES)
    y, tooltip = duration_y("ms", values), tips(s="began (s)|.3~r", ms="ms|,.4~r", node="node", count="of|,d")
    layers = [dots(done, axis, y, colors, tooltip, size=14, opacity=0.3)]
    if failed.height:
        failed = failed.with_columns(pl.col("error").cast(pl.String).str.slice(0, _MAX_ERROR_TEXT))
        crosses = alt.Chart().mark_point(
            shape=_CROSS, size=36, color=palette.BAD, strokeWidth=1.6, opacity=0.9, clip=True
        )
        encoded = crosses.encode(x=time_x(axis), y=y, tooltip=[*tooltip, *tips(error="error")])
        layers.append(layer(failed, encoded))
    return layers


def _quantile_lines(
    axis: Axis, frame: pl.DataFrame, colors: dict[str, str], values: pl.Series
) -> tuple[Layer, Layer]:
    """p95 dashed below p50."""
    tooltip = tips(series="series", s="from (s)|~r", **_QUANTILES)
    rows = quantiles_over_time(axis, frame)
    tails = lines(rows, axis, duration_y("p95", values), colors, tooltip, dash=(4, 3), pick=False)
    return tails, lines(rows, axis, duration_y("p50", values), colors, tooltip)


def _by_phase(run: RunData, seen: pl.LazyFrame) -> Block:
    """A box plot: how durations are distributed in each phase."""
    rows, names = boxes_by_phase(seen)
    if not rows["p50"].count():
        return Empty("Durations by phase", "No request succeeded within a phase.")
    labels = [f"{number + 1}. {span.name}" for number, span in enumerate(run.axis.phases)]
    labelled = rows.with_columns(label=pl.Series(labels).gather(rows["phase_no"]))
    return Figure(
        "Durations by phase",
        "Box plot of successful requests that began in each phase, logarithmic, by affordance, operation, "
        "node and binding. Box: the middle half, p25 to p75, with a bar at the median; line: p5 to p95; "
        "dot: p99. ×: how many failed, which have no duration.",
        [_boxes(labelled, labels, names)],
        axis=None,
        height=220,
    )


def _boxes(rows: pl.DataFrame, labels: list[str], names: list[str]) -> Layer:
    phase_axis = alt.Axis(
        title=None, labelAngle=0, labelOverlap=False, labelLimit=max(20, _LABELS_PX // len(labels))
    )
    base = alt.Chart().encode(
        x=alt.X("label", type="nominal", sort=labels, axis=phase_axis),
        xOffset=alt.XOffset("series", type="nominal", sort=names),
        color=series_color(palette.colors(names)),
        tooltip=tips(series="series", phase="phase", count=_QUANTILES["count"], errors=_QUANTILES["errors"],
                     **{name: f"{name} (ms)|,.4~r" for name in BOX_SHARES}),
    )  # fmt: skip
    values = pl.concat([rows["p5"], rows["p99"]])
    whiskers = base.mark_rule(strokeWidth=1.5, opacity=0.8).encode(y=duration_y("p5", values), y2="p95:Q")
    boxes = base.mark_bar(opacity=0.45).encode(y=duration_y("p25", values), y2="p75:Q")
    medians = base.mark_tick(thickness=2, width={"band": 1}, opacity=1).encode(y=duration_y("p50", values))
    tails = base.mark_circle(size=26, opacity=1).encode(y=duration_y("p99", values))
    failed = base.transform_filter("datum.errors > 0").mark_text(baseline="top", fontWeight=600)
    crosses = failed.transform_calculate(failures="'×' + format(datum.errors, ',d')").encode(
        y=alt.value(0), color=alt.value(palette.BAD), text="failures:N"
    )
    return layer(rows, whiskers, boxes, medians, tails, crosses)
