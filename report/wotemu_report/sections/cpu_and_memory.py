"""System: CPU and memory of the apps, and the load of the machines and gateways that emulated them."""

from __future__ import annotations

import altair as alt
import polars as pl

from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table
from wotemu_report.charts import palette
from wotemu_report.charts.layers import Layer, layer, series_color, tips
from wotemu_report.charts.series import lines
from wotemu_report.charts.theme import SIZE
from wotemu_report.charts.time_axis import time_x
from wotemu_report.charts.value_axis import value_y
from wotemu_report.queries.cpu_and_memory_use import (
    machine_load,
    machines,
    node_totals,
    tcp_connections,
    usage_over_time,
)
from wotemu_report.queries.node_groups import row_groups
from wotemu_report.queries.ranking import MAX_SERIES
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.folding import folded
from wotemu_report.sections.gateway_cpu import gateway_blocks

MAX_CONNECTIONS = 500
_LEAD = "Sampled by each node's agent from its app's processes; CPU is in percent of one core."


def section(run: RunData) -> Section:
    """CPU and memory of the apps and of the machines, and CPU of the gateways."""
    samples = run.tables["system"]
    blocks: list[Block] = []
    if run.rows["system"]:
        rows, nodes = usage_over_time(run, samples)
        blocks += [*_charts(run, samples, rows, palette.colors(nodes)), _table(run), *_connections(run)]
    else:
        blocks.append(Empty("Nodes", "No agent reported a sample."))
    return Section("system", "System", _LEAD, [*blocks, *_machines(run), *gateway_blocks(run)])


def _charts(
    run: RunData, samples: pl.LazyFrame, rows: pl.DataFrame, colors: dict[str, str]
) -> tuple[Figure, Figure]:
    count = samples.select(pl.col("node").n_unique()).collect(engine="streaming").item()
    which = f" The {MAX_SERIES} busiest of {count} nodes." if count > MAX_SERIES else ""
    caption = f"mean per {run.axis.bin_s} s; dashed: the node's limit.{which}"
    cpu = tips(series="node", s="from (s)|~r", cpu="CPU (%)|,.3~r", cpu_limit="limit (%)|,.3~r")
    mem = tips(series="node", s="from (s)|~r", mem="resident (bytes)|,.4~s", mem_limit="limit|,.4~s")
    resident = value_y("mem", "resident", label=SIZE)
    return (
        Figure(
            "CPU per node",
            f"Percent of one core, {caption}",
            [
                lines(rows, run.axis, value_y("cpu", "% of one core"), colors, cpu),
                *_limits(run, rows, "cpu_limit", colors),
            ],
            run.axis,
            height=160,
            half=True,
        ),
        Figure(
            "Memory per node",
            f"Resident memory, {caption}",
            [lines(rows, run.axis, resident, colors, mem), *_limits(run, rows, "mem_limit", colors)],
            run.axis,
            height=160,
            half=True,
        ),
    )


def _limits(run: RunData, rows: pl.DataFrame, field: str, colors: dict[str, str]) -> list[Layer]:
    limited = rows.filter(pl.col(field).is_not_null()).select("s", "series", field)
    if not limited.height:
        return []
    rule = alt.Chart().mark_line(strokeDash=[5, 4], strokeWidth=1, opacity=0.7, clip=True)
    y = alt.Y(field, type="quantitative")
    return [layer(limited, rule.encode(x=time_x(run.axis), y=y, color=series_color(colors)))]


def _table(run: RunData) -> Table:
    rows = node_totals(run)
    table = Table(
        "Nodes",
        "CPU in percent of one core, and for how long its limit held a node back; memory resident; TCP "
        "segments that it sent again.",
        (
            Column("Node", "node"),
            Column("CPU mean %", "number"),
            Column("CPU p95 %", "number"),
            Column("CPU max %", "number"),
            Column("CPU limit %", "number"),
            Column("Throttled s", "number"),
            Column("Memory mean", "bytes", fold="max"),
            Column("Memory peak", "bytes", fold="max"),
            Column("Memory limit", "bytes", fold="max"),
            Column("Processes", "int", fold="max"),
            Column("Retransmitted", "int"),
        ),
        rows.rows(),
    )
    groups = row_groups(run, rows)
    return folded(table, ["Node"], {"Node": groups})


def _connections(run: RunData) -> list[Block]:
    """TCP connections by node, peer and port; nothing where none was seen."""
    rows = tcp_connections(run)
    if not rows.height:
        return []
    table = Table(
        "TCP connections",
        "As the kernel had them every 5 s: shorter ones may not be here. Round trips are TCP's own measure.",
        (
            Column("Node", "node"),
            Column("Peer", "node"),
            Column("Port", "code"),
            Column("Connections", "int", fold="max"),
            Column("RTT p50", "ms"),
            Column("RTT p95", "ms"),
            Column("RTT least", "ms"),
            Column("Segments", "int"),
            Column("Retransmitted", "int"),
        ),
        rows.head(MAX_CONNECTIONS).rows(),
        total=rows.height,
    )
    if rows.height > MAX_CONNECTIONS:
        return [table]
    nodes, peers = (row_groups(run, rows, name) for name in ("node", "peer"))
    return [folded(table, ["Node", "Peer", "Port"], {"Node": nodes, "Peer": peers})]


def _machines(run: RunData) -> list[Block]:
    if not run.rows["system"]:
        return [_load(run)]
    rows = machines(run)
    table = Table(
        "Machines",
        "What the nodes ran on, and the CPU that one of them used there, in percent of one core.",
        (
            Column("Machine"),
            Column("CPU"),
            Column("Cores", "int"),
            Column("Memory", "bytes"),
            Column("Kernel"),
            Column("Nodes", "int"),
            Column("CPU p50 %", "number"),
            Column("CPU p95 %", "number"),
            Column("CPU max %", "number"),
        ),
        rows.rows(),
    )
    return [_load(run), table]


def _load(run: RunData) -> Block:
    if not run.rows["host"]:
        return Empty("Machine", "The machine's own load was not recorded.")
    rows, names = machine_load(run)
    tooltip = tips(series="", s="from (s)|~r", percent="%|,.3~r")
    y = value_y("percent", "% of the machine", top=100)
    return Figure(
        "Load of the machine",
        "Of all its cores and memory. Where the CPU is near 100 %, or stolen by other guests, durations and "
        "lateness say more about this machine than about the deployment.",
        [lines(rows, run.axis, y, palette.colors(names), tooltip)],
        run.axis,
        height=130,
    )
