"""A timeline that has not run yet, as one offline HTML page: each hop's delay, loss and rate over time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

import altair as alt
import attrs
import polars as pl

from wotemu.scenario.state import HopKey, base_conditions, replicas_of
from wotemu.scenario.timeline import DIRECTIONS, Change, Timeline
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.models import Topology
from wotemu_gateways.hop import compose
from wotemu_report import charts, palette
from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table
from wotemu_report.figures.conditions import told
from wotemu_report.formats import seconds
from wotemu_report.manifest import Timeline as RecordedTimeline
from wotemu_report.page.head import Head, Notice
from wotemu_report.page.render import page
from wotemu_report.phases import Axis, axis_of

_MAX_SERIES = 12
_MAX_ROWS = 1000
_RATE = (
    "datum.value >= 1e9 ? format(datum.value / 1e9, '~r') + ' Gbit/s' : datum.value >= 1e6 ?"
    " format(datum.value / 1e6, '~r') + ' Mbit/s' : datum.value >= 1e3 ? format(datum.value / 1e3, '~r')"
    " + ' kbit/s' : format(datum.value, '~r') + ' bit/s'"
)
_LEAD = (
    "What a packet meets on its way up from a node to the network and on its way down to one: the network's "
    "conditions and the link's together. Hops that are the same all the time share a line."
)

Points = tuple[tuple[float, NetworkConditions], ...]
"""Conditions from an offset from T0 on."""


def plan_page(
    name: str, topology: Topology, timeline: Timeline, warnings: Sequence[str], version: str
) -> str:
    """The page of the deployment called `name`."""
    axis = axis_of(RecordedTimeline.from_json(timeline.to_dict()), origin=0.0, end_s=timeline.duration_s)
    hops = _hops(topology, timeline)
    parts = [_network(network.name, hops, axis) for network in topology.networks]
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
        long=axis.end_s >= charts.LONG_S,
        version=version,
    )


# Conditions of hops over time


def _hops(topology: Topology, timeline: Timeline) -> dict[HopKey, Points]:
    """For each node's hop, what it imposes from when on: network and link composed."""
    current = base_conditions(topology)
    ends = [key for key in current if key[1] is not None]
    found: dict[HopKey, list[tuple[float, NetworkConditions]]] = {
        key: [(0.0, _whole(current, key))] for key in ends
    }
    for change in timeline.changes:
        if change.action != "conditions" or change.network is None or change.direction is None:
            continue
        current[change.network, change.node, change.direction] = NetworkConditions.from_dict(change.after)
        for key in ends:
            if (key[0], key[2]) == (change.network, change.direction) and change.node in (None, key[1]):
                found[key].append((change.at_s, _whole(current, key)))
    return {key: tuple(points) for key, points in found.items()}


def _whole(current: dict[HopKey, NetworkConditions], key: HopKey) -> NetworkConditions:
    network, _, way = key
    return compose(current[network, None, way], current[key])


@attrs.frozen
class _Quantity:
    """One thing to draw: how it is read from conditions, and written on its axis."""

    title: str
    caption: str
    nothing: str
    label: str
    log: bool = False

    def of(self, conditions: NetworkConditions) -> float | None:
        match self.title:
            case "Latency":
                return conditions.latency * 1e3
            case "Loss":
                return conditions.mean_loss * 100
            case _:
                return None if conditions.rate is None else float(conditions.rate)


_QUANTITIES = (
    _Quantity("Latency", "One-way delay; jitter comes on top.", "No hop delays.", charts.DURATION),
    _Quantity(
        "Loss", "Share of packets, in the long run.", "No hop loses.", "format(datum.value, '~r') + ' %'"
    ),
    _Quantity("Rate", "Where a line is missing, nothing limits.", "No hop limits the rate.", _RATE, log=True),
)


def _network(name: str, hops: dict[HopKey, Points], axis: Axis) -> Section:
    of_network = {key: points for key, points in hops.items() if key[0] == name}
    blocks = [_figure(quantity, of_network, axis) for quantity in _QUANTITIES]
    return Section(f"network-{name}", name, _LEAD, blocks)


def _figure(quantity: _Quantity, hops: dict[HopKey, Points], axis: Axis) -> Block:
    lines: dict[tuple[tuple[float, float | None], ...], list[str]] = {}
    for (_, node, way), points in hops.items():
        line = tuple((at_s, quantity.of(conditions)) for at_s, conditions in points)
        lines.setdefault(_steps(line), []).append(f"{node} {way}")
    if not any(value for line in lines for _, value in line):
        return Empty(quantity.title, quantity.nothing)
    shown = dict(list(lines.items())[:_MAX_SERIES])
    frame = _frame({_series(names): line for line, names in shown.items()}, axis)
    more = len(lines) - len(shown)
    caption = quantity.caption + (f" {more} more kinds of hops are not drawn." if more else "")
    return Figure(quantity.title, caption, charts.over_time(axis, _layers(quantity, frame, axis), height=150))


def _steps(line: tuple[tuple[float, float | None], ...]) -> tuple[tuple[float, float | None], ...]:
    """Only the points at which the value becomes another one; of several at one time the last."""
    latest = dict(line)
    found: list[tuple[float, float | None]] = []
    for at_s, value in latest.items():
        if not found or found[-1][1] != value:
            found.append((at_s, value))
    return tuple(found)


def _series(names: list[str]) -> str:
    """``reader, phone up``, or the first few of many."""
    by_way = {way: [name.rpartition(" ")[0] for name in names if name.endswith(way)] for way in DIRECTIONS}
    up, down = by_way["up"], by_way["down"]
    if up == down:
        return f"{_some(up)} up and down"
    return ", ".join(f"{_some(group)} {way}" for way, group in by_way.items() if group)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _frame(lines: dict[str, tuple[tuple[float, float | None], ...]], axis: Axis) -> pl.DataFrame:
    rows = [
        (name, at_s, value)
        for name, line in lines.items()
        for at_s, value in [*line, (axis.end_s, line[-1][1])]
    ]
    schema = {"series": pl.String(), "s": pl.Float64(), "value": pl.Float64()}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _layers(quantity: _Quantity, frame: pl.DataFrame, axis: Axis) -> list[charts.Layer]:
    names = palette.colors(frame["series"].unique(maintain_order=True))
    title = quantity.title.lower()
    if quantity.log:
        y = _log_y(title, quantity.label, frame["value"].drop_nulls().to_list())
    else:
        y = charts.value_y("value", title, label=quantity.label)
    base = alt.Chart(charts.data(frame)).encode(x=charts.time_x(axis), y=y, color=charts.series_color(names))
    tooltip = charts.tips(series="hop", s="from (s)|.6~r", value=f"{title}|,.4~r")
    return [
        base.mark_line(interpolate="step-after", clip=True),
        base.mark_circle(size=90, opacity=0.001, clip=True).encode(tooltip=tooltip),
    ]


def _log_y(title: str, label: str, values: list[float]) -> alt.Y:
    """A logarithmic axis that all values lie within, labelled at its decades."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    ticks = [float(f"1e{decade}") for decade in range(low, max(high, low + 1) + 1)]
    scale = alt.Scale(type="log", domain=[ticks[0], ticks[-1]], nice=False)
    axis = alt.Axis(title=title, values=ticks, labelExpr=label)
    return alt.Y("value", type="quantitative", scale=scale, axis=axis)


# Who is away


def _outages(topology: Topology, timeline: Timeline, axis: Axis) -> Section:
    rows = list(_away(topology, timeline))
    lead = "Nodes that are cut off a network, set apart by a partition, or whose app does not run."
    if not rows:
        return Section("outages", "Outages", lead, [Empty("", "Every node is there all the time.")])
    schema = {"node": pl.String(), "series": pl.String(), "s": pl.Float64(), "end": pl.Float64()}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    names = palette.colors(sorted(frame["series"].unique()))
    nodes = frame["node"].unique(maintain_order=True).to_list()
    bars = (
        alt.Chart(charts.data(frame))
        .mark_bar(clip=True, height=9, cornerRadius=2)
        .encode(
            x=charts.time_x(axis),
            x2="end:Q",
            y=alt.Y("node", type="nominal", sort=nodes, title=None),
            yOffset=alt.YOffset("series", type="nominal"),
            color=charts.series_color(names),
            tooltip=charts.tips(node="node", series="what", s="from (s)|.6~r", end="to (s)|.6~r"),
        )
    )
    height = 40 + len(nodes) * 14 * len(names)
    caption = f"A bar for each stretch: {', '.join(names)}."
    figure = Figure("Away", caption, charts.over_time(axis, [bars], height=height))
    return Section("outages", "Outages", lead, [figure])


Stretch = tuple[str, str, float, float]


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
