"""Outages in a plan: when nodes are cut off or set apart, and when their apps do not run."""

from __future__ import annotations

from collections.abc import Iterator

import altair as alt
import polars as pl

from wotemu.scenario.blocks import Block
from wotemu.scenario.timeline import Change, Timeline
from wotemu.topology.members import replicas_of
from wotemu.topology.topology import Topology
from wotemu_report.axis import Axis
from wotemu_report.blocks import Empty, Figure, Section
from wotemu_report.charts import palette
from wotemu_report.charts.layers import layer, series_color, tips
from wotemu_report.charts.time_axis import time_x

_MAX_BARS = 2000
_BAR_PX = 14
_SCHEMA = {"node": pl.String(), "series": pl.String(), "s": pl.Float64(), "end": pl.Float64()}
_LEAD = "Nodes that are cut off, separated, blocked, paused, limited or stressed, or whose app does not run."

Outage = tuple[str, str, float, float]
"""A replica, the kind of its outage, and when it begins and ends, in seconds since T0."""


def outage_section(topology: Topology, timeline: Timeline, axis: Axis) -> Section:
    """A bar for each outage."""
    found = list(planned_outages(topology, timeline))
    if not found:
        return Section("outages", "Outages", _LEAD, [Empty("", "No node has an outage.")])
    drawn = _few_kinds(found)[:_MAX_BARS]
    rows = pl.DataFrame(drawn, schema=_SCHEMA, orient="row")
    colors = palette.colors(sorted(rows["series"].unique()))
    nodes = rows["node"].unique(maintain_order=True).to_list()
    bars = alt.Chart().mark_bar(clip=True, height=9, cornerRadius=2)
    encoded = bars.encode(
        x=time_x(axis),
        x2="end:Q",
        y=alt.Y("node", type="nominal", sort=nodes, title=None),
        yOffset=alt.YOffset("series", type="nominal"),
        color=series_color(colors),
        tooltip=tips(node="node", series="outage", s="from (s)|.6~r", end="to (s)|.6~r"),
    )
    caption = f"A bar for each outage: {', '.join(colors)}."
    if len(found) > len(drawn):
        caption += f" The first {len(drawn):,} of {len(found):,} are drawn."
    height = 40 + len(nodes) * _BAR_PX * len(colors)
    return Section(
        "outages", "Outages", _LEAD, [Figure("Outages", caption, [layer(rows, encoded)], axis, height)]
    )


def _few_kinds(outages: list[Outage]) -> list[Outage]:
    """With more kinds than colours, being off any network is one kind."""
    if len({kind for _, kind, _, _ in outages}) <= len(palette.SERIES):
        return outages
    return [
        (replica, "off a network" if kind.startswith("off ") else kind, start_s, end_s)
        for replica, kind, start_s, end_s in outages
    ]


def planned_outages(topology: Topology, timeline: Timeline) -> Iterator[Outage]:
    """Every outage, in order of their ends; those that do not end last until the timeline does."""
    since: dict[tuple[str, str], float] = {}
    for change in timeline.changes:
        for replica, kind, begins in _transitions(topology, change):
            if begins:
                since.setdefault((replica, kind), change.at_s)
            elif (replica, kind) in since:
                yield replica, kind, since.pop((replica, kind)), change.at_s
    for (replica, kind), start_s in since.items():
        yield replica, kind, start_s, timeline.duration_s


def _transitions(topology: Topology, change: Change) -> Iterator[tuple[str, str, bool]]:
    """The replicas that a change concerns, each with a kind of outage, and whether it begins (or ends)."""
    if change.action == "cut":
        yield str(change.node), f"off {change.network}", bool(change.after)
    elif change.action == "disconnect":
        yield str(change.node), f"unplugged from {change.network}", bool(change.after)
    elif change.action == "limit":
        yield str(change.node), "limited", any(value is not None for value in change.after.values())
    elif change.action == "stress":
        yield str(change.node), "stressed", any(value is not None for value in change.after.values())
    elif change.action == "fill_disk":
        yield str(change.node), "disk full", change.after["leave_bytes"] is not None
    elif change.action == "skew_clock":
        yield str(change.node), "clock wrong", bool(change.after["by_s"])
    elif change.action == "app":
        for state in ("crashed", "stopped"):
            yield str(change.node), f"app {state}", change.after == state
    elif change.action == "pause":
        yield str(change.node), "paused", bool(change.after)
    elif change.action == "block":
        yield from _of_blocks(change)
    elif change.action == "partition":
        apart = {name for group in change.after for name in group}
        for owner in topology.members:
            for replica in replicas_of(owner):
                yield replica, "partitioned", replica in apart


def _of_blocks(change: Change) -> Iterator[tuple[str, str, bool]]:
    """The replicas of blocks that begin or end with a change."""
    for blocks, other, begins in (
        (change.before, change.after, False),
        (change.after, change.before, True),
    ):
        for block in (Block.from_dict(each) for each in blocks if each not in other):
            for replica in block.nodes:
                yield replica, f"{block.traffic} blocked on {change.network}", begins
