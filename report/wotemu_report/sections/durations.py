"""How long requests took: over time for each operation, and by phase."""

from __future__ import annotations

import altair as alt
import polars as pl

from wotemu_report.axis import Axis
from wotemu_report.blocks import Block, Empty, Figure
from wotemu_report.charts import palette
from wotemu_report.charts import series as charts
from wotemu_report.charts.series import Layer
from wotemu_report.queries.frames import broken_at_gaps, fold, per_bin, rounded, sample
from wotemu_report.queries.requests import SUBJECT, figures_of
from wotemu_report.recorded.dataset import RunData

MAX_CHARTS = 8
MAX_POINTS = 700
_LEAST_MS = 0.01


def blocks(run: RunData, seen: pl.DataFrame) -> list[Block]:
    """A chart for each operation that was asked for most, then all of them by phase."""
    subjects = (
        seen.group_by(SUBJECT).agg(count=pl.len()).sort(["count", *SUBJECT], descending=[True, *[False] * 3])
    )
    shown = subjects.head(MAX_CHARTS).sort(SUBJECT)
    several = seen["thing"].n_unique() > 1
    found: list[Block] = [
        _over_time(run, _only(seen, row), row, f" · {row[0]}" if several else "")
        for row in shown.select(SUBJECT).iter_rows()
    ]
    if subjects.height > MAX_CHARTS:
        rest = subjects.height - MAX_CHARTS
        found.append(Empty("", f"{rest} more operations with fewer requests are in the table below."))
    return [*found, _by_phase(run, seen)]


def _only(frame: pl.DataFrame, subject: tuple[str, str, str]) -> pl.DataFrame:
    return frame.filter(*(pl.col(column) == value for column, value in zip(SUBJECT, subject, strict=True)))


def quantiles_over_time(axis: Axis, frame: pl.DataFrame) -> pl.DataFrame:
    """`figures_of` in each bin for each series; rows of null where a line must break."""
    binned = per_bin(frame, axis, ["series"], **figures_of())
    return broken_at_gaps(binned.filter(pl.col("p50").is_not_null()), ["series"])


def bins_for(axis: Axis, frame: pl.DataFrame) -> Axis:
    """The axis with bins wide enough to hold about four requests of the usual series."""
    counts = frame.filter(axis.shown())["series"].value_counts()["count"]
    usual = counts.median()
    return axis.coarser(usual / 4 if isinstance(usual, int | float) else 1.0)


def _over_time(run: RunData, frame: pl.DataFrame, subject: tuple[str, str, str], whose: str) -> Figure:
    thing, name, op = subject
    folded, series = fold(frame.with_columns(ms=pl.col("ms").clip(_LEAST_MS)), "series", pl.len())
    names, axis = palette.colors(series), bins_for(run.axis, folded)
    shown = folded.filter(axis.shown())["ms"]
    layers = [*_samples(axis, folded, names, shown), *_medians(axis, folded, names, shown)]
    return Figure(
        f"{name} · {op}{whose}",
        f"Duration of {op} on “{name}” of {thing}, logarithmic. Lines: median per {axis.bin_s} s of "
        "those that "
        "succeeded, by who asked and the binding. Dots: single requests (a sample where there are many); "
        "crosses: failed ones.",
        charts.over_time(axis, layers),
    )


def _samples(axis: Axis, frame: pl.DataFrame, names: dict[str, str], values: pl.Series) -> list[Layer]:
    timed = frame.filter(axis.shown(), pl.col("ms").is_not_null())
    columns = ["s", "ms", "series", "node", "error"]
    done = sample(timed.filter("ok"), MAX_POINTS).select(columns)
    failed = sample(timed.filter("failed"), MAX_POINTS // 4).select(columns)
    failed = failed.with_columns(pl.col("error").str.slice(0, 160))
    x, y = charts.time_x(axis), charts.duration_y("ms", values)
    tips = charts.tips(s="began (s)|.3~r", ms="ms|,.4~r", node="node")
    dots = alt.Chart(charts.data(rounded(done))).mark_circle(size=14, opacity=0.3, clip=True)
    layers: list[Layer] = [dots.encode(x=x, y=y, color=charts.series_color(names), tooltip=tips)]
    if failed.height:
        crosses = alt.Chart(charts.data(rounded(failed))).mark_point(
            shape=_CROSS, size=36, color=palette.BAD, strokeWidth=1.6, opacity=0.9, clip=True
        )
        layers.append(crosses.encode(x=x, y=y, tooltip=[*tips, *charts.tips(error="error")]))
    return layers


_CROSS = "M-.7,-.7L.7,.7M.7,-.7L-.7,.7"


def _medians(axis: Axis, frame: pl.DataFrame, names: dict[str, str], values: pl.Series) -> list[Layer]:
    binned = quantiles_over_time(axis, frame)
    tips = charts.tips(
        series="series", s="from (s)|~r", count="requests|,d", errors="failed|,d", p50="p50 (ms)|,.4~r",
        p95="p95 (ms)|,.4~r",
    )  # fmt: skip
    return charts.lines(rounded(binned), axis, charts.duration_y("p50", values), names, tips)


def phases_of(seen: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """`figures_of` by phase for each operation and asking node.

    Columns `phase_no`, `phase`, `series`, ...; and the series.
    """
    named = seen.with_columns(series=pl.format("{} {} · {}", "name", "op", "series"))
    folded, names = fold(named.filter(pl.col("phase_no") >= 0), "series", pl.len())
    grouped = folded.group_by("phase_no", "phase", "series").agg(**figures_of())
    return grouped.filter(pl.col("p50").is_not_null()).sort("phase_no", "series"), names


def _by_phase(run: RunData, seen: pl.DataFrame) -> Block:
    frame, names = phases_of(seen)
    if not frame.height:
        return Empty("Durations by phase", "No request succeeded within a phase.")
    labels = [f"{number + 1}. {span.name}" for number, span in enumerate(run.axis.phases)]
    placed = rounded(frame.with_columns(s=pl.lit(0.0), label=pl.Series(labels).gather(frame["phase_no"])))
    colors = palette.colors(names)
    phase_axis = alt.Axis(
        title=None, labelAngle=0, labelOverlap=False, labelLimit=max(20, 900 // len(labels))
    )
    base = alt.Chart(charts.data(placed.drop("s"))).encode(
        x=alt.X("label", type="nominal", sort=labels, axis=phase_axis),
        xOffset=alt.XOffset("series", type="nominal", sort=names),
        color=charts.series_color(colors),
        tooltip=charts.tips(
            series="series", phase="phase", count="requests|,d", errors="failed|,d", p50="p50 (ms)|,.4~r",
            p95="p95 (ms)|,.4~r", p99="p99 (ms)|,.4~r",
        ),
    )  # fmt: skip
    values = pl.concat([placed["p50"], placed["p99"]])
    span = base.mark_rule(strokeWidth=2, opacity=0.45).encode(y=charts.duration_y("p50", values), y2="p99:Q")
    ticks = base.mark_tick(thickness=2, width=9, opacity=1).encode(y=charts.duration_y("p95", values))
    dots = base.mark_circle(size=70, opacity=1).encode(y=charts.duration_y("p50", values))
    return Figure(
        "Durations by phase",
        "Of successful requests that began in each phase, logarithmic. Dot: p50; tick: p95; the line "
        "ends at p99.",
        charts.layered([span, ticks, dots]),
    )
