"""Traffic: what crossed the emulated networks, between which nodes, how fast, and what was dropped."""

from __future__ import annotations

import polars as pl

from wotemu_report.blocks import Block, Column, Empty, Figure, Matrix, MatrixCell, Section, Table
from wotemu_report.charts import palette
from wotemu_report.charts.layers import tips
from wotemu_report.charts.series import lines, stacked
from wotemu_report.charts.theme import SIZE
from wotemu_report.charts.value_axis import value_y
from wotemu_report.formats import size
from wotemu_report.queries.flow_traffic import (
    interface_rates,
    network_rates,
    node_pairs,
    protocol_rates,
    protocol_totals,
    with_few_ends,
)
from wotemu_report.queries.hop_counters import drops_over_time, hop_totals
from wotemu_report.queries.node_groups import group, has_many_nodes, row_groups
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.folding import folded

_MATRIX_NODES = 24
_DOTTED, _SOLID = (2, 3), (1, 0)
_MAX_ROWS = 300
_REASON_COLORS = {
    "random loss": palette.SERIES[1],
    "full queue": palette.SERIES[0],
    "cut": palette.BAD,
    "no memory": palette.SERIES[3],
}
_LEAD = (
    "Counted by the gateways, which every packet crosses: sent is what nodes put on their links, delivered "
    "is what came out at the other end. Sizes are of IP packets with their headers."
)


def section(run: RunData) -> Section:
    """The traffic on the emulated networks."""
    flows = run.tables["flows"]
    blocks: list[Block] = []
    if run.rows["flows"]:
        blocks += [
            _rates(run, flows),
            _protocols(run, flows),
            _interfaces(run, flows),
            node_matrix(run, flows),
            _protocol_table(flows),
        ]
    else:
        blocks.append(Empty("Flows", "No packet was counted on any emulated network."))
    return Section(
        "traffic",
        "Traffic",
        _LEAD,
        [*blocks, *_drops(run), *_captures(run), *_published(run), *_uplinks(run)],
    )


def _published(run: RunData) -> list[Block]:
    """The ports of the machine that led to nodes, where there were any."""
    if not run.rows["published"]:
        return []
    last = run.tables["published"].sort("t").group_by("port").last().sort("port").collect()
    columns = ("port", "node", "target", "connections", "refused", "received", "sent")
    return [
        Table(
            "Published ports",
            "Ports of the machine that led into nodes, past all networks and their conditions. Sizes in"
            " bytes, as the node saw them; refused: nothing listened in the node.",
            (
                Column("Port", "number"),
                Column("Node"),
                Column("Its port", "number"),
                Column("Connections", "number"),
                Column("Refused", "number"),
                Column("Received", "number"),
                Column("Sent", "number"),
            ),
            last.select(columns).rows(),
        )
    ]


def _uplinks(run: RunData) -> list[Block]:
    """What went out of the emulation and came into it, where there was a way out."""
    if not run.rows["uplinks"]:
        return []
    last = run.tables["uplinks"].sort("t").group_by("node").last().sort("node").collect()
    return [
        Table(
            "Ways out",
            "What passed between uplinks and the network of the machine that ran the emulation. Flows have"
            " it by node and address.",
            (
                Column("Uplink"),
                Column("Packets out", "number"),
                Column("Bytes out", "number"),
                Column("Packets in", "number"),
                Column("Bytes in", "number"),
            ),
            last.select("node", "packets_out", "bytes_out", "packets_in", "bytes_in").rows(),
        )
    ]


def _captures(run: RunData) -> list[Block]:
    """What was stored of nodes' packets, where some were captured."""
    if not run.rows["captures"]:
        return []
    last = run.tables["captures"].sort("t").group_by("node").last().sort("node").collect()
    rows = [
        (
            row["node"],
            f"captures/{row['node']}.pcapng",
            row["packets"],
            row["bytes"],
            row["left_out"],
            row["dropped"],
        )
        for row in last.head(_MAX_ROWS).iter_rows(named=True)
    ]
    return [
        Table(
            "Captured packets",
            "Files of the run directory, which Wireshark opens. Left out: the file had its full size, or its"
            " disk took no more. Dropped: the machine was too busy to store them.",
            (
                Column("Node"),
                Column("File"),
                Column("Packets", "number"),
                Column("Bytes", "number"),
                Column("Left out", "number"),
                Column("Dropped", "number"),
            ),
            rows,
            total=last.height,
        )
    ]


def _rates(run: RunData, flows: pl.LazyFrame) -> Figure:
    rows = network_rates(run, flows)
    present = set(rows["series"])
    colors = {name: color for name, color in palette.colors(run.network_names()).items() if name in present}
    tooltip = tips(series="network", side="", s="from (s)|~r", rate="bytes/s|,.4~s")
    y = value_y("rate", "bytes/s", label=SIZE)
    sent, delivered = (rows.filter(pl.col("side") == side) for side in ("sent", "delivered"))
    return Figure(
        "Bytes per second by network",
        "Solid: delivered to the network's nodes; dotted: sent by them. A message between two networks is "
        "sent on one and delivered on the other.",
        [
            lines(side, run.axis, y, colors, tooltip, dash=dash, pick=dash == _DOTTED)
            for side, dash in ((sent, _DOTTED), (delivered, _SOLID))
            if side.height
        ],
        run.axis,
        height=160,
        half=True,
    )


def _interfaces(run: RunData, flows: pl.LazyFrame) -> Figure:
    rows, names = interface_rates(run, flows)
    colors = palette.colors(names)
    tooltip = tips(series="interface", side="", s="from (s)|~r", rate="bytes/s|,.4~s")
    y = value_y("rate", "bytes/s", label=SIZE)
    what = "node group's" if has_many_nodes(run) else "node's"
    return Figure(
        "Bytes per second by interface",
        f"A {what} interfaces to its networks, the busiest ones. Solid: received; dotted: sent.",
        [
            lines(side, run.axis, y, colors, tooltip, dash=dash, pick=dash == _DOTTED)
            for dash, name in ((_DOTTED, "sent"), (_SOLID, "received"))
            if (side := rows.filter(pl.col("side") == name)).height
        ],
        run.axis,
        height=150,
    )


def _protocols(run: RunData, flows: pl.LazyFrame) -> Figure:
    rows, names = protocol_rates(run, flows)
    tooltip = tips(series="protocol", s="from (s)|~r", rate="bytes/s|,.4~s")
    y = value_y("rate", "bytes/s", label=SIZE)
    return Figure(
        "Bytes per second by protocol",
        "What nodes sent, by the protocol of its source or destination port.",
        [stacked(rows, run.axis, y, palette.colors(names), tooltip)],
        run.axis,
        height=160,
        half=True,
    )


def node_matrix(run: RunData, flows: pl.LazyFrame) -> Matrix:
    """Bytes from node to node, or from group to group of many; beyond 24 the quietest ones are added up."""
    many = has_many_nodes(run)
    if many:
        flows = flows.with_columns(group(run, "src"), group(run, "dst"))
    named, ends = with_few_ends(flows, _MATRIX_NODES)
    found = {(row["src"], row["dst"]): row for row in node_pairs(named).to_dicts()}
    top = max((row["delivered"] for row in found.values()), default=0) or 1
    rows = [(src, [_cell(found.get((src, dst)), top) for dst in ends]) for src in ends]
    return Matrix(
        "From group to group" if many else "From node to node",
        ("The nodes are folded by group. " if many else "")
        + "Bytes delivered over the whole run, from the row's to the column's; point at a cell for what "
        "was sent.",
        "from \\ to",
        ends,
        rows,
    )


def _cell(row: dict[str, int] | None, top: int) -> MatrixCell | None:
    if row is None:
        return None
    sent, delivered = size(row["sent"]), size(row["delivered"])
    tip = f"{row['src']} → {row['dst']}: sent {sent} in {row['packets']} packets, delivered {delivered}"
    # The square root: a few busy pairs would otherwise leave all others without a colour.
    return MatrixCell(delivered, tip, (row["delivered"] / top) ** 0.5)


def _protocol_table(flows: pl.LazyFrame) -> Table:
    rows = protocol_totals(flows)
    return Table(
        "Protocols",
        "Totals of the whole run on each network.",
        (
            Column("Network"),
            Column("Protocol"),
            Column("Transport"),
            Column("Sent", "bytes"),
            Column("Delivered", "bytes"),
            Column("Packets sent", "int"),
        ),
        rows.head(_MAX_ROWS).rows(),
        total=rows.height,
    )


def _drops(run: RunData) -> list[Block]:
    if not run.rows["hops"]:
        return [Empty("Hops", "The gateways reported no counters.")]
    counts = drops_over_time(run)
    if not counts.height:
        return [Empty("Drops", "No packet was dropped."), _hop_table(run)]
    present = set(counts["series"])
    colors = {reason: color for reason, color in _REASON_COLORS.items() if reason in present}
    tooltip = tips(series="reason", s="from (s)|~r", count="packets|,d")
    y = value_y("count", "packets", whole=True)
    figure = Figure(
        "Packets dropped",
        f"Packets per {run.axis.bin_s} s that gateways dropped, by reason: random loss, a full queue, a"
        " cut (a partition or a crash), or a gateway without memory left to hold them.",
        [stacked(counts, run.axis, y, colors, tooltip)],
        run.axis,
        height=130,
    )
    return [figure, _hop_table(run)]


def _hop_table(run: RunData) -> Table:
    rows = hop_totals(run)
    table = Table(
        "Hops",
        "Each node's hop to its network (up) and back (down). Late: how long after its due time a packet "
        "left the gateway; p95 is of all packets of the hop, to within 2 %.",
        (
            Column("Network"),
            Column("Node", "node"),
            Column("Hop"),
            Column("Sent", "int", "packets that left the hop"),
            Column("Bytes", "bytes"),
            Column("Lost", "int", "dropped by random loss"),
            Column("Queue full", "int", "dropped because the queue was full"),
            Column("Cut", "int", "dropped by a partition or a crash"),
            Column("No memory", "int", "dropped because the gateway held too much already"),
            Column("Backlog", "int", "most packets held at once", fold="max"),
            Column("Late p95", "ms"),
            Column("Late max", "ms"),
        ),
        rows.rows(),
    )
    groups = row_groups(run, rows)
    return folded(table, ["Network", "Node", "Hop"], {"Node": groups})
