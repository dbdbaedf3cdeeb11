"""Charts of a network's hops in a plan: delay, loss, rate and duty cycle over time."""

from __future__ import annotations

import altair as alt
import polars as pl

from wotemu.scenario.timeline import DIRECTIONS, Timeline
from wotemu.topology.network import Network
from wotemu.topology.topology import Topology
from wotemu_report.axis import Axis
from wotemu_report.blocks import Block, Empty, Figure, Section
from wotemu_report.charts import palette
from wotemu_report.charts.layers import Layer, layer, series_color, tips
from wotemu_report.charts.series import pointer_targets
from wotemu_report.charts.time_axis import time_x
from wotemu_report.charts.value_axis import decade_y, enclosing_decades, value_y
from wotemu_report.formats import first_few
from wotemu_report.planned.hop_lines import (
    MAX_POINTS,
    QUANTITIES,
    HopQuantity,
    StepLine,
    hop_groups,
    thinned,
)

_MAX_SERIES = len(palette.SERIES)
_MAX_NAMES = 3
_LEAD = (
    "The conditions that a packet meets on its hop up from a node to the network and on its hop down to one: "
    "the network's and the link's together. Hops that are the same all the time share a line."
)
_SCHEMA = {"series": pl.String(), "s": pl.Float64(), "value": pl.Float64()}


def network_section(network: Network, topology: Topology, timeline: Timeline, axis: Axis) -> Section:
    """One network: the conditions of its hops over time."""
    drawn = [(each, _figure(each, network, topology, timeline, axis)) for each in QUANTITIES]
    blocks = [block for each, block in drawn if not (each.is_of_senders and isinstance(block, Empty))]
    return Section(f"network-{network.name}", network.name, _LEAD, blocks)


def _figure(
    quantity: HopQuantity, network: Network, topology: Topology, timeline: Timeline, axis: Axis
) -> Block:
    named: dict[StepLine, list[str]] = {}
    groups = hop_groups(quantity, network, topology, timeline)
    for compose, names in groups[:_MAX_SERIES]:
        named.setdefault(compose(), []).extend(names)
    if not any(value is not None and (value or quantity.log) for line in named for _, value in line):
        return Empty(quantity.title, quantity.nothing)
    rows = _rows({_series(names): thinned(line, axis.end_s) for line, names in named.items()}, axis)
    caption = quantity.caption
    if more := sum(len(names) for _, names in groups[_MAX_SERIES:]):
        caption += f" {more} more hops, which differ from these, are not drawn."
    if any(len(line) > MAX_POINTS for line in named):
        caption += f" Of more than {MAX_POINTS} steps, the lowest and highest of each interval are drawn."
    return Figure(quantity.title, caption, [_lines(quantity, rows, axis)], axis, height=150)


def _series(names: list[str]) -> str:
    """``reader, phone up``, or the first few of many."""
    by_way = {way: [name.rpartition(" ")[0] for name in names if name.endswith(way)] for way in DIRECTIONS}
    up, down = by_way["up"], by_way["down"]
    if up == down:
        return f"{first_few(up, _MAX_NAMES)} up and down"
    return ", ".join(f"{first_few(group, _MAX_NAMES)} {way}" for way, group in by_way.items() if group)


def _rows(lines: dict[str, StepLine], axis: Axis) -> pl.DataFrame:
    """`series`, `s` and `value`; the last value of each line is repeated at the end of the axis."""
    rows = [
        (name, at_s, value)
        for name, line in lines.items()
        for at_s, value in [*line, (axis.end_s, line[-1][1])]
    ]
    return pl.DataFrame(rows, schema=_SCHEMA, orient="row")


def _lines(quantity: HopQuantity, rows: pl.DataFrame, axis: Axis) -> Layer:
    colors = palette.colors(rows["series"].unique(maintain_order=True))
    title = quantity.title.lower()
    if quantity.log:
        decades = enclosing_decades(rows["value"].drop_nulls().to_list())
        # A logarithmic axis has no zero: an outage is drawn at its lower end.
        rows = rows.with_columns(drawn=pl.col("value").clip(lower_bound=decades[0]))
        y = decade_y("drawn", title, quantity.label, decades)
    else:
        y = value_y("value", title, label=quantity.label)
    base = alt.Chart().encode(x=time_x(axis), y=y, color=series_color(colors))
    tooltip = tips(series="hop", s="from (s)|.6~r", value=f"{title}|,.4~r")
    line = base.mark_line(interpolate="step-after", clip=True)
    return layer(rows, line, pointer_targets(base, tooltip))
