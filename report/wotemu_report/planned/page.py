"""A timeline that has not run yet, as one offline HTML page: each hop's delay, loss and rate over time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

import altair as alt
import attrs
import polars as pl

from wotemu.scenario.state import replicas_of
from wotemu.scenario.timeline import DIRECTIONS, Change, Timeline
from wotemu.topology.models import Network, Topology
from wotemu_report.axis import Axis, axis_of
from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table
from wotemu_report.charts import palette, series
from wotemu_report.formats import seconds
from wotemu_report.page.head import Head, Notice
from wotemu_report.page.render import page
from wotemu_report.planned.lines import MAX_POINTS, QUANTITIES, Line, Quantity, kinds_of, thinned
from wotemu_report.recorded.manifest import Timeline as RecordedTimeline
from wotemu_report.wording import told

_MAX_SERIES = len(palette.SERIES)
_MAX_BARS = 2000
_MAX_MARKS = 200
_MAX_ROWS = 1000
_LEAD = (
    "What a packet meets on its way up from a node to the network and on its way down to one: the network's "
    "conditions and the link's together. Hops that are the same all the time share a line."
)


def plan_page(
    name: str, topology: Topology, timeline: Timeline, warnings: Sequence[str], version: str
) -> str:
    """The page of the deployment called `name`."""
    axis = plan_axis(timeline)
    parts = [network_section(network, topology, timeline, axis) for network in topology.networks]
    parts += [_outages(topology, timeline, axis), _changes(timeline)]
    parts += [_guards(timeline)] if timeline.guards else []
    return page(
        Head(
            name=name,
            tone="good",
            verdict=f"Plan of {seconds(timeline.duration_s)}",
            facts=(
                ("Seed", str(timeline.seed)),
                ("Timeline", timeline.hash),
                ("Changes", f"{len(timeline.changes):,}"),
            ),
            command="",
            notices=(Notice("warn", "Warnings", tuple(warnings)),) if warnings else (),
        ),
        parts,
        long=axis.end_s >= series.LONG_S,
        version=version,
    )


def plan_axis(timeline: Timeline) -> Axis:
    """The axis, with a mark at each instant of changes unless there are too many to tell apart."""
    instants = {change.at_s: change for change in timeline.changes}
    marked = tuple(instants.values()) if len(instants) <= _MAX_MARKS else ()
    short = attrs.evolve(timeline, changes=marked, guards=())
    return axis_of(RecordedTimeline.from_json(short.to_dict()), origin=0.0, end_s=timeline.duration_s)


# Conditions of hops over time


def network_section(network: Network, topology: Topology, timeline: Timeline, axis: Axis) -> Section:
    """One network: what its hops impose over time."""
    blocks = [_figure(quantity, network, topology, timeline, axis) for quantity in QUANTITIES]
    return Section(f"network-{network.name}", network.name, _LEAD, blocks)


def _figure(
    quantity: Quantity, network: Network, topology: Topology, timeline: Timeline, axis: Axis
) -> Block:
    alike: dict[Line, list[str]] = {}
    kinds = kinds_of(quantity, network, topology, timeline)
    for line, names in kinds[:_MAX_SERIES]:
        alike.setdefault(line(), []).extend(names)
    if not any(value is not None and (value or quantity.log) for line in alike for _, value in line):
        return Empty(quantity.title, quantity.nothing)
    frame = _frame({_series(names): thinned(line, axis.end_s) for line, names in alike.items()}, axis)
    caption = quantity.caption
    if more := sum(len(names) for _, names in kinds[_MAX_SERIES:]):
        caption += f" {more} more hops, which differ from these, are not drawn."
    if any(len(line) > MAX_POINTS for line in alike):
        caption += f" Of more than {MAX_POINTS} steps, the lowest and highest of each stretch are drawn."
    return Figure(quantity.title, caption, series.over_time(axis, _layers(quantity, frame, axis), height=150))


def _series(names: list[str]) -> str:
    """``reader, phone up``, or the first few of many."""
    by_way = {way: [name.rpartition(" ")[0] for name in names if name.endswith(way)] for way in DIRECTIONS}
    up, down = by_way["up"], by_way["down"]
    if up == down:
        return f"{_some(up)} up and down"
    return ", ".join(f"{_some(group)} {way}" for way, group in by_way.items() if group)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _frame(lines: dict[str, Line], axis: Axis) -> pl.DataFrame:
    rows = [
        (name, at_s, value)
        for name, line in lines.items()
        for at_s, value in [*line, (axis.end_s, line[-1][1])]
    ]
    schema = {"series": pl.String(), "s": pl.Float64(), "value": pl.Float64()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _layers(quantity: Quantity, frame: pl.DataFrame, axis: Axis) -> list[series.Layer]:
    names = palette.colors(frame["series"].unique(maintain_order=True))
    title = quantity.title.lower()
    if quantity.log:
        low, high = _decades(frame["value"].drop_nulls().to_list())
        frame = frame.with_columns(drawn=pl.col("value").clip(lower_bound=low))
        y = _log_y(title, quantity.label, low, high)
    else:
        y = series.value_y("value", title, label=quantity.label)
    base = alt.Chart(series.data(frame)).encode(x=series.time_x(axis), y=y, color=series.series_color(names))
    tooltip = series.tips(series="hop", s="from (s)|.6~r", value=f"{title}|,.4~r")
    return [
        base.mark_line(interpolate="step-after", clip=True),
        base.mark_circle(size=90, opacity=0.001, clip=True).encode(tooltip=tooltip),
    ]


def _decades(values: list[float]) -> tuple[float, float]:
    """Powers of ten that all values but 0 lie within; below them there is room for an outage's."""
    above = [value for value in values if value > 0] or [1.0]
    low, high = math.floor(math.log10(min(above))), math.ceil(math.log10(max(above)))
    return float(f"1e{low - (0 in values)}"), float(f"1e{max(high, low + 1)}")


def _log_y(title: str, label: str, low: float, high: float) -> alt.Y:
    """A logarithmic axis from one power of ten to another, labelled at its decades."""
    first, last = round(math.log10(low)), round(math.log10(high))
    ticks = [float(f"1e{decade}") for decade in range(first, last + 1)]
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    axis = alt.Axis(title=title, values=ticks, labelExpr=label)
    return alt.Y("drawn", type="quantitative", scale=scale, axis=axis)


# Who is away


def _outages(topology: Topology, timeline: Timeline, axis: Axis) -> Section:
    rows = list(_away(topology, timeline))
    lead = "Nodes that are cut off a network, set apart by a partition, or whose app does not run."
    if not rows:
        return Section("outages", "Outages", lead, [Empty("", "Every node is there all the time.")])
    total, rows = len(rows), _few_kinds(rows)[:_MAX_BARS]
    schema = {"node": pl.String(), "series": pl.String(), "s": pl.Float64(), "end": pl.Float64()}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    names = palette.colors(sorted(frame["series"].unique()))
    nodes = frame["node"].unique(maintain_order=True).to_list()
    bars = (
        alt.Chart(series.data(frame))
        .mark_bar(clip=True, height=9, cornerRadius=2)
        .encode(
            x=series.time_x(axis),
            x2="end:Q",
            y=alt.Y("node", type="nominal", sort=nodes, title=None),
            yOffset=alt.YOffset("series", type="nominal"),
            color=series.series_color(names),
            tooltip=series.tips(node="node", series="what", s="from (s)|.6~r", end="to (s)|.6~r"),
        )
    )
    height = 40 + len(nodes) * 14 * len(names)
    caption = f"A bar for each stretch: {', '.join(names)}."
    caption += f" The first {len(rows):,} of {total:,} are drawn." if total > len(rows) else ""
    figure = Figure("Away", caption, series.over_time(axis, [bars], height=height))
    return Section("outages", "Outages", lead, [figure])


Stretch = tuple[str, str, float, float]
"""Replica, what is the matter with it, from when, until when."""


def _few_kinds(rows: list[Stretch]) -> list[Stretch]:
    """Each kind has a colour: where there are more, being off any network is one kind."""
    if len({kind for _, kind, _, _ in rows}) <= len(palette.SERIES):
        return rows
    return [
        (replica, "off a network" if kind.startswith("off ") else kind, start_s, end_s)
        for replica, kind, start_s, end_s in rows
    ]


def _away(topology: Topology, timeline: Timeline) -> Iterator[Stretch]:
    """Replica, what is the matter with it, from when, until when."""
    since: dict[tuple[str, str], float] = {}
    for change in timeline.changes:
        for replica, what, begins in _beginnings(topology, change):
            if begins:
                since.setdefault((replica, what), change.at_s)
            elif (replica, what) in since:
                yield replica, what, since.pop((replica, what)), change.at_s
    for (replica, what), start_s in since.items():
        yield replica, what, start_s, timeline.duration_s


def _beginnings(topology: Topology, change: Change) -> Iterator[tuple[str, str, bool]]:
    """What begins (or else ends) for whom with a change."""
    if change.action == "cut":
        yield str(change.node), f"off {change.network}", bool(change.after)
    elif change.action == "app":
        for state in ("crashed", "stopped"):
            yield str(change.node), f"app {state}", change.after == state
    elif change.action == "partition":
        apart = {name for group in change.after for name in group}
        replicas = (replica for owner in topology.members for replica in replicas_of(owner))
        for name in replicas:
            yield name, "partitioned", name in apart


# All changes


def _changes(timeline: Timeline) -> Section:
    rows = [
        (
            change.id,
            change.at_s,
            timeline.phase_at(change.at_s),
            change.action,
            change.target,
            told(json.dumps(change.before)),
            told(json.dumps(change.after)),
        )
        for change in timeline.changes[:_MAX_ROWS]
    ]
    columns = (
        Column("#", "int"),
        Column("At", "instant"),
        Column("Phase"),
        Column("What", "code"),
        Column("Target"),
        Column("Before"),
        Column("After"),
    )
    table = Table("Every change", "In order.", columns, rows, total=len(timeline.changes), filterable=True)
    return Section("changes", "Changes", "What gateways and agents are going to change.", [table])


def _guards(timeline: Timeline) -> Section:
    rows = [
        (
            guard.id,
            guard.text,
            timeline.duration_s if guard.deadline_s is None else guard.deadline_s,
            guard.otherwise,
            change.at_s if change else None,
            change.target if change else "",
            told(json.dumps(change.after)) if change else "",
        )
        for guard in timeline.guards
        for change in guard.changes[:_MAX_ROWS] or (None,)
    ]
    columns = (
        Column("#", "int"),
        Column("Once"),
        Column("Until", "instant"),
        Column("Otherwise", "code"),
        Column("After it", "instant"),
        Column("Target"),
        Column("After"),
    )
    lead = "What happens only once something else has; it is not in the figures above."
    table = Table("Every guard", "With its changes as though it fired at T0.", columns, rows)
    return Section("guards", "Guards", lead, [table])
