"""Web of Things interactions: how long they took, which failed, what subscriptions delivered."""

from __future__ import annotations

import polars as pl

from wotemu.records import CANCELLED, FAILED, OK, UNFINISHED
from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table
from wotemu_report.charts import palette, series
from wotemu_report.queries.frames import every_bin, fold, per_bin, rounded
from wotemu_report.queries.requests import by_phase, error_kinds, error_name, requests, usual_end
from wotemu_report.recorded.dataset import RunData
from wotemu_report.sections import durations, subscriptions

_MAX_ROWS = 400
_MAX_ERRORS = 50
_OUTCOMES = {
    "failed": palette.BAD,
    "cancelled": palette.OTHERS,
    "unfinished": palette.OTHERS,
    "succeeded": palette.GOOD,
}


def section(run: RunData) -> Section:
    """How the run's Web of Things interactions went."""
    asked = requests(run)
    blocks: list[Block] = []
    if asked.height:
        seen, whose = usual_end(asked)
        if whose == "producer":
            blocks.append(Empty("Only the things' side was measured", _SERVED))
        blocks += [_outcomes(run, seen), *durations.blocks(run, seen), _phase_table(asked)]
        if asked.select(pl.struct("role", "owner").n_unique()).item() > asked["role"].n_unique():
            blocks.append(_node_table(asked))
        blocks += _errors(run, asked)
    else:
        blocks.append(
            Empty("Requests", "No property was read or written and no action invoked by an app on WoTPy.")
        )
    blocks += subscriptions.blocks(run)
    return Section("interactions", "Interactions", _LEAD, blocks)


_LEAD = (
    "Measured inside the apps, at both ends. Durations are of requests that succeeded, from the call "
    "to its answer; "
    "a request belongs to the phase in which it began, and is drawn there. Failed ones are counted beside. "
    "What an app cancelled itself has neither succeeded nor failed and counts apart."
)
_SERVED = (
    "The clients are programs that are not measured: all durations here are of handlers, without the "
    "network, and what never arrived is not counted."
)


def outcomes(run: RunData, frame: pl.DataFrame) -> pl.DataFrame:
    """Requests per second by outcome in each bin: `s`, `series`, `rate`, `count`."""
    names = {OK: "succeeded", FAILED: "failed", CANCELLED: "cancelled", UNFINISHED: "unfinished"}
    named = frame.with_columns(series=pl.col("status").replace_strict(names))
    binned = every_bin(per_bin(named, run.axis, ["series"], count=pl.len()), run.axis, ["series"], fill=0)
    return binned.with_columns(rate=pl.col("count") / run.axis.bin_s)


def _outcomes(run: RunData, frame: pl.DataFrame) -> Figure:
    rates = rounded(outcomes(run, frame))
    present = set(rates["series"])
    names = {name: color for name, color in _OUTCOMES.items() if name in present}
    tips = series.tips(s="from (s)|~r", series="outcome", count="requests|,d", rate="requests/s|,.3~r")
    layers = series.stacked(rates, run.axis, series.value_y("rate", "requests/s"), names, tips)
    return Figure(
        "Requests per second",
        "Requests by outcome at the second in which they began. A dip while a phase lasts means that "
        "callers were waiting.",
        series.over_time(run.axis, layers, height=150),
    )


_WHAT = (Column("Thing"), Column("Affordance"), Column("Operation", "code"))
_SEEN_BY = Column("Seen by", hint="the end that measured: the consumer's time includes the network")
_FIGURES = (
    Column("Binding"),
    Column("Phase"),
    Column("Requests", "int"),
    Column("Errors", "int"),
    Column("Error share", "percent"),
    Column("Cancelled", "int"),
    Column("p50", "ms"),
    Column("p95", "ms"),
    Column("p99", "ms"),
)
_FIGURE_NAMES = ("binding", "phase", "count", "errors", "share", "cancelled", "p50", "p95", "p99")


def _phase_table(asked: pl.DataFrame) -> Table:
    rows = by_phase(asked)
    return Table(
        "Requests by phase",
        "Durations of successful requests that began in the phase; errors as a count and a share of all.",
        (*_WHAT, _SEEN_BY, *_FIGURES),
        rows.select("thing", "name", "op", "role", *_FIGURE_NAMES).head(_MAX_ROWS).rows(),
        total=rows.height,
        filterable=rows.height > 12,
    )


def _node_table(asked: pl.DataFrame) -> Table:
    rows = by_phase(asked, "owner")
    return Table(
        "Requests by phase and node",
        "The same for each node that measured, so that readers on different networks stand apart; "
        "replicas of a node "
        "are together.",
        (Column("Node"), *_WHAT, _SEEN_BY, *_FIGURES),
        rows.sort("role", "owner", maintain_order=True)
        .select("owner", "thing", "name", "op", "role", *_FIGURE_NAMES)
        .head(_MAX_ROWS)
        .rows(),
        total=rows.height,
        filterable=rows.height > 12,
    )


def errors_over_time(run: RunData, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Failed requests in each bin by the exception's type.

    Columns `s`, `series`, `count`; and the types, in order.
    """
    failed = frame.filter("failed").with_columns(series=error_name())
    folded, names = fold(failed, "series", pl.len())
    return every_bin(
        per_bin(folded, run.axis, ["series"], count=pl.len()), run.axis, ["series"], fill=0
    ), names


def _errors(run: RunData, asked: pl.DataFrame) -> list[Block]:
    kinds = error_kinds(asked)
    if not kinds.height:
        return [Empty("Errors", "No request failed.")]
    counts, names = errors_over_time(run, usual_end(asked)[0])
    if not counts.height:
        return [_error_table(kinds)]
    colors = {names[0]: palette.BAD} if len(names) == 1 else palette.colors(names)
    tips = series.tips(s="from (s)|~r", series="error", count="failed|,d")
    layers = series.stacked(
        counts, run.axis, series.value_y("count", "failed requests", whole=True), colors, tips
    )
    figure = Figure(
        "Errors over time",
        f"Failed requests per {run.axis.bin_s} s by the kind of error that the caller saw, when the "
        "request began.",
        series.over_time(run.axis, layers, height=130),
    )
    return [figure, _error_table(kinds)]


def _error_table(kinds: pl.DataFrame) -> Table:
    listed = kinds.with_columns(nodes=pl.col("nodes").list.join(", "))
    return Table(
        "Errors",
        "Each distinct error, as the app saw it, with when it first and last began.",
        (
            Column("Error", "code"),
            Column("Operation", "code"),
            Column("Binding"),
            Column("Seen by"),
            Column("Count", "int"),
            Column("First", "instant"),
            Column("Last", "instant"),
            Column("On"),
        ),
        listed.select("error", "op", "binding", "role", "count", "first", "last", "nodes")
        .head(_MAX_ERRORS)
        .rows(),
        total=listed.height,
    )
