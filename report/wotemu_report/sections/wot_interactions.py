"""Interactions: requests to Things with their durations and errors, and the items of subscriptions."""

from __future__ import annotations

import polars as pl

from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table
from wotemu_report.charts import palette
from wotemu_report.charts.layers import tips
from wotemu_report.charts.series import stacked
from wotemu_report.charts.value_axis import value_y
from wotemu_report.formats import first_few
from wotemu_report.queries.nearest_rank import SHARES
from wotemu_report.queries.node_groups import row_groups
from wotemu_report.queries.percentiles import percentiles
from wotemu_report.queries.request_series import errors_over_time, outcomes_over_time
from wotemu_report.queries.requests import (
    consumers_or_producers,
    distinct_errors,
    requests,
)
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.answering_peers import peer_blocks
from wotemu_report.sections.folding import at_most, folded
from wotemu_report.sections.notifications import notification_blocks
from wotemu_report.sections.request_durations import duration_blocks, handler_blocks

_MAX_ROWS = 500
"""Of a table of percentiles: two or three thousand have megabytes of HTML."""
_MAX_ERRORS = 50
_MAX_NAMED = 5
_OUTCOME_COLORS = {
    "failed": palette.BAD,
    "cancelled": palette.OTHERS,
    "unfinished": palette.OTHERS,
    "succeeded": palette.GOOD,
}
_LEAD = (
    "Measured inside the apps, at both ends. Durations are of requests that succeeded, from the call to its "
    "answer; a request belongs to the phase in which it began, and is drawn there. Failed requests are "
    "counted separately, and so are those that an app cancelled itself: these neither succeeded nor failed."
)
_PRODUCERS_ONLY = (
    "The clients are programs that are not measured: all durations here are of handlers, without the "
    "network, and requests that never arrived are not counted."
)
_WHAT = (Column("Thing"), Column("Affordance"), Column("Operation", "code"))
_SEEN_BY = Column("Seen by", hint="the end that measured: the consumer's time includes the network")
_FIGURES = (
    Column("Binding"),
    Column("Phase"),
    Column("Requests", "int"),
    Column("Failed", "int"),
    *(Column(label, "answer") for label in ("p50", "p90", "p95", "p99", "p99.9")),
)
_FIGURE_NAMES = ("binding", "phase", "count", "failed", *SHARES)
_PERCENTILES = (
    "Of all requests that began in the phase, of all nodes together; a failed one counts as never answered. "
    "A consumer's durations include the network, a producer's are its handler's alone."
)


def section(run: RunData) -> Section:
    """The run's Web of Things interactions."""
    return Section("interactions", "Interactions", _LEAD, _all(run))


def _all(run: RunData) -> list[Block]:
    return [*_requests(run), *peer_blocks(run), *notification_blocks(run)]


def _requests(run: RunData) -> list[Block]:
    asked = requests(run)
    if not asked.height:
        return [
            Empty("Requests", "No property was read or written and no action invoked by an app on WoTPy.")
        ]
    seen, role = consumers_or_producers(asked)
    blocks: list[Block] = []
    if role == "producer":
        blocks.append(Empty("Only producers were measured", _PRODUCERS_ONLY))
    blocks += [_outcomes(run, seen), *duration_blocks(run, seen)]
    if role == "consumer":
        blocks += handler_blocks(run, asked)
    blocks.append(_phase_table(run))
    # With one node at each end, the table by node would repeat the one by phase.
    ends = asked.lazy().select("role", "owner").unique().collect(engine="streaming")
    if ends.height > ends["role"].n_unique():
        blocks.append(_node_table(run))
    return [*blocks, *_errors(run, asked, seen)]


def _outcomes(run: RunData, frame: pl.LazyFrame) -> Figure:
    rows = outcomes_over_time(run, frame)
    present = set(rows["series"])
    colors = {name: color for name, color in _OUTCOME_COLORS.items() if name in present}
    tooltip = tips(s="from (s)|~r", series="outcome", count="requests|,d", rate="requests/s|,.3~r")
    return Figure(
        "Requests per second",
        "Requests by outcome at the second in which they began. A dip while a phase lasts means that callers "
        "were waiting.",
        [stacked(rows, run.axis, value_y("rate", "requests/s"), colors, tooltip)],
        run.axis,
        height=150,
    )


def _phase_table(run: RunData) -> Table:
    rows = percentiles(run, ("phase", "thing", "name", "op", "binding"))
    table = Table(
        "Percentiles by phase",
        _PERCENTILES,
        (_SEEN_BY, *_WHAT, *_FIGURES),
        rows.select("role", "thing", "name", "op", *_FIGURE_NAMES).rows(),
    )
    return at_most(folded(table, ["Affordance", "Operation", "Seen by", "Binding", "Phase"], {}), _MAX_ROWS)


def _node_table(run: RunData) -> Table:
    rows = percentiles(run, ("group", "phase", "thing", "name", "op", "binding"))
    table = Table(
        "Percentiles by phase and node",
        "The same for each node that measured, so that nodes on different networks can be compared; replicas "
        "of a node are together.",
        (_SEEN_BY, Column("Node", "node"), *_WHAT, *_FIGURES),
        rows.select("role", "group", "thing", "name", "op", *_FIGURE_NAMES).rows(),
    )
    groups = row_groups(run, rows, "group")
    by = ["Seen by", "Node", "Affordance", "Operation", "Binding", "Phase"]
    return at_most(folded(table, by, {"Node": groups}), _MAX_ROWS)


def _errors(run: RunData, asked: pl.DataFrame, seen: pl.LazyFrame) -> list[Block]:
    errors = distinct_errors(asked)
    if not errors.height:
        return [Empty("Errors", "No request failed.")]
    counts, names = errors_over_time(run, seen)
    if not counts.height:
        return [_error_table(errors)]
    # One kind of error is drawn as failures are everywhere; several need colours of their own.
    colors = {names[0]: palette.BAD} if len(names) == 1 else palette.colors(names)
    tooltip = tips(s="from (s)|~r", series="error", count="failed|,d")
    y = value_y("count", "failed requests", whole=True)
    figure = Figure(
        "Errors over time",
        f"Failed requests per {run.axis.bin_s} s by the type of the error that the caller got, at the time "
        "when the request began.",
        [stacked(counts, run.axis, y, colors, tooltip)],
        run.axis,
        height=130,
    )
    return [figure, _error_table(errors)]


def _error_table(errors: pl.DataFrame) -> Table:
    named = [first_few(names, _MAX_NAMED) for names in errors["nodes"].to_list()]
    rows = errors.with_columns(nodes=pl.Series(named, dtype=pl.String))
    columns = ["error", "code", "op", "binding", "role", "count", "first", "last", "nodes"]
    return Table(
        "Errors",
        "Each distinct error, as the app got it; first and last are when its requests began.",
        (
            Column("Error", "code"),
            Column("Status", hint="HTTP status or CoAP code of the answer"),
            Column("Operation", "code"),
            Column("Binding"),
            Column("Seen by"),
            Column("Count", "int"),
            Column("First", "instant"),
            Column("Last", "instant"),
            Column("Nodes"),
        ),
        rows.select(columns).head(_MAX_ERRORS).rows(),
        total=rows.height,
    )
