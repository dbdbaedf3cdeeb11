"""What crossed the emulated networks: who talked to whom, how fast, and what was dropped."""

from __future__ import annotations

import polars as pl

from wotemu.percentiles import percentile
from wotemu_report.blocks import Block, Cell, Column, Empty, Figure, Matrix, Section, Table
from wotemu_report.charts import palette, series
from wotemu_report.charts.network_colours import network_colors
from wotemu_report.formats import size
from wotemu_report.queries.frames import OTHERS, biggest, every_bin, fold, in_order, per_bin, rounded
from wotemu_report.recorded.dataset import RunData

_MATRIX_NODES = 24
_MAX_ROWS = 300
_HOP = ("network", "node", "direction")
_REASONS = {
    "random loss": ("dropped_loss", palette.SERIES[1]),
    "full queue": ("dropped_queue", palette.SERIES[0]),
    "cut": ("dropped_cut", palette.BAD),
    "no memory": ("dropped_memory", palette.SERIES[3]),
}
_LEAD = (
    "Counted by the gateways, which every packet crosses: sent is what nodes put on their links, "
    "delivered is what "
    "came out at the other end. Sizes are of IP packets with their headers."
)


def section(run: RunData) -> Section:
    """The traffic on the emulated networks."""
    flows = run.tables["flows"]
    blocks: list[Block] = []
    if flows.height:
        blocks += [_rates(run, flows), _protocols(run, flows), matrix(flows), _protocol_table(flows)]
    else:
        blocks.append(Empty("Flows", "No packet was counted on any emulated network."))
    blocks += _drops(run)
    return Section("traffic", "Traffic", _LEAD, blocks)


def rates(run: RunData, flows: pl.DataFrame) -> pl.DataFrame:
    """Bytes per second in each bin by network and side: `s`, `series` (the network), `side`, `rate`."""
    sides = pl.col("direction").replace({"up": "sent", "down": "delivered"})
    named = flows.with_columns(series="network", side=sides)
    binned = per_bin(named, run.axis, ["series", "side"], bytes=pl.col("bytes").sum())
    return _rate(every_bin(binned, run.axis, ["series", "side"], fill=0), run)


def _rate(binned: pl.DataFrame, run: RunData) -> pl.DataFrame:
    return binned.with_columns(rate=pl.col("bytes") / run.axis.bin_s)


def _rates(run: RunData, flows: pl.DataFrame) -> Figure:
    frame = rounded(rates(run, flows))
    colors = {name: color for name, color in network_colors(run).items() if name in set(frame["series"])}
    tips = series.tips(series="network", side="", s="from (s)|~r", rate="bytes/s|,.4~s")
    y = series.value_y("rate", "bytes/s", label=series.SIZE)
    sent = series.lines(frame.filter(pl.col("side") == "sent"), run.axis, y, colors, tips, dash=[2, 3])
    delivered = series.lines(
        frame.filter(pl.col("side") == "delivered"), run.axis, y, colors, tips, pick=False
    )
    return Figure(
        "Bytes per second by network",
        "Solid: delivered to the network's nodes; dotted: sent by them. A message between two "
        "networks is sent on one and delivered on the other.",
        series.over_time(run.axis, [*sent, *delivered], height=160, half=True),
        half=True,
    )


def protocol_name() -> pl.Expr:
    """The protocol that the topology's ports say, else the transport."""
    return pl.when(pl.col("protocol") == "").then(pl.col("transport")).otherwise(pl.col("protocol"))


def _protocols(run: RunData, flows: pl.DataFrame) -> Figure:
    named = _sent(flows).with_columns(series=protocol_name())
    folded, names = fold(named, "series", pl.col("bytes").sum())
    binned = per_bin(folded, run.axis, ["series"], bytes=pl.col("bytes").sum())
    frame = rounded(_rate(every_bin(binned, run.axis, ["series"], fill=0), run))
    tips = series.tips(series="protocol", s="from (s)|~r", rate="bytes/s|,.4~s")
    y = series.value_y("rate", "bytes/s", label=series.SIZE)
    layers = series.stacked(frame, run.axis, y, palette.colors(names), tips)
    return Figure(
        "Bytes per second by protocol",
        "What nodes sent, by the protocol of the port that it went to or came from.",
        series.over_time(run.axis, layers, height=160, half=True),
        half=True,
    )


def _sent(flows: pl.DataFrame) -> pl.DataFrame:
    return flows.filter(pl.col("direction") == "up")


def pairs(flows: pl.DataFrame) -> pl.DataFrame:
    """Bytes and packets from each node to each: `src`, `dst`, `sent`, `delivered`, `packets` (sent)."""
    sent, delivered = pl.col("direction") == "up", pl.col("direction") == "down"
    return (
        flows.group_by("src", "dst")
        .agg(
            sent=pl.col("bytes").filter(sent).sum(),
            delivered=pl.col("bytes").filter(delivered).sum(),
            packets=pl.col("packets").filter(sent).sum(),
        )
        .sort("src", "dst")
    )


def matrix(flows: pl.DataFrame) -> Matrix:
    """Who sent how much to whom; beyond 24 nodes the quietest ones are added up."""
    both = pl.concat([flows.select(node=side, bytes="bytes") for side in ("src", "dst")])
    nodes = biggest(both, "node", pl.col("bytes").sum(), _MATRIX_NODES)
    names = [
        pl.when(pl.col(side).is_in(nodes)).then(side).otherwise(pl.lit(OTHERS)).alias(side) for side in _SIDES
    ]
    found = {(row["src"], row["dst"]): row for row in pairs(flows.with_columns(names)).to_dicts()}
    ends = [*nodes, OTHERS] if any(OTHERS in key for key in found) else nodes
    top = max((row["delivered"] for row in found.values()), default=0) or 1
    rows = [(src, [_cell(found.get((src, dst)), top) for dst in ends]) for src in ends]
    return Matrix(
        "From node to node",
        "Bytes delivered over the whole run, from the row's node to the column's; point at a cell for "
        "what was sent.",
        "from \\ to",
        ends,
        rows,
    )


_SIDES = ("src", "dst")


def _cell(row: dict[str, int] | None, top: int) -> Cell | None:
    if row is None:
        return None
    tip = f"{row['src']} → {row['dst']}: sent {size(row['sent'])} in {row['packets']} packets, "
    return Cell(
        size(row["delivered"]), f"{tip}delivered {size(row['delivered'])}", (row["delivered"] / top) ** 0.5
    )


def _protocol_table(flows: pl.DataFrame) -> Table:
    named = flows.with_columns(name=protocol_name())
    rows = (
        named.group_by("network", "name", "transport")
        .agg(
            sent=pl.col("bytes").filter(pl.col("direction") == "up").sum(),
            delivered=pl.col("bytes").filter(pl.col("direction") == "down").sum(),
            packets=pl.col("packets").filter(pl.col("direction") == "up").sum(),
        )
        .sort("network", "sent", descending=[False, True])
    )
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


def drops(run: RunData) -> pl.DataFrame:
    """Packets dropped in each bin by reason.

    Columns `s`, `series` (the reason), `count`; reasons that never were are out.
    """
    long = pl.concat(
        run.tables["hops"].select("s", series=pl.lit(reason), count=pl.col(column).cast(pl.Int64))
        for reason, (column, _) in _REASONS.items()
    ).filter(pl.col("count") > 0)
    return every_bin(
        per_bin(long, run.axis, ["series"], count=pl.col("count").sum()), run.axis, ["series"], fill=0
    )


def _drops(run: RunData) -> list[Block]:
    hops = run.tables["hops"]
    if not hops.height:
        return [Empty("Hops", "The gateways reported no counters.")]
    counts = drops(run)
    if not counts.height:
        return [Empty("Drops", "No packet was dropped."), _hop_table(hops)]
    present = set(counts["series"])
    colors = {reason: color for reason, (_, color) in _REASONS.items() if reason in present}
    tips = series.tips(series="reason", s="from (s)|~r", count="packets|,d")
    layers = series.stacked(counts, run.axis, series.value_y("count", "packets", whole=True), colors, tips)
    figure = Figure(
        "Packets dropped",
        f"Packets per {run.axis.bin_s} s that gateways dropped, by reason: random loss, a queue that "
        "was full, "
        "a cut (a partition or a crash), or a gateway without memory left to hold them.",
        series.over_time(run.axis, layers, height=130),
    )
    return [figure, _hop_table(hops)]


def hop_totals(hops: pl.DataFrame) -> pl.DataFrame:
    """A row for each hop.

    What it let through, what it dropped and why, and how late its packets left, in ms.
    """
    hops = hops.filter(pl.col("direction") != "shared")
    return (
        hops.group_by(_HOP)
        .agg(
            pl.col(
                "sent", "sent_bytes", "dropped_loss", "dropped_queue", "dropped_cut", "dropped_memory"
            ).sum(),
            backlog=pl.col("backlog").max(),
            late_max=pl.col("late_max").max() * 1000.0,
        )
        .join(late_p95(hops), on=_HOP, how="left")
        .select(pl.exclude("late_p95", "late_max"), "late_p95", "late_max")
        .sort("direction", descending=True)
        .pipe(in_order, "network", "node")
    )


def late_p95(hops: pl.DataFrame) -> pl.DataFrame:
    """The 95th percentile of each hop's packets' lateness in ms, from its seconds' merged histograms."""
    bins = (
        hops.select(*_HOP, "late_bins", "late_counts")
        .filter(pl.col("late_bins").list.len() > 0)
        .explode("late_bins", "late_counts")
        .group_by(*_HOP, "late_bins")
        .agg(pl.col("late_counts").sum())
        .sort("late_bins")
        .group_by(_HOP)
        .agg("late_bins", "late_counts")
    )
    histograms = bins.select("late_bins", "late_counts").rows()
    values = [percentile(numbers, counts, 0.95) for numbers, counts in histograms]
    late = pl.Series("late_p95", values, dtype=pl.Float64) * 1000.0
    return bins.select(_HOP).with_columns(late)


def _hop_table(hops: pl.DataFrame) -> Table:
    rows = hop_totals(hops)
    return Table(
        "Hops",
        "Each node's way to its network (up) and back (down). Late: how long after its due time a "
        "packet left the "
        "gateway; p95 is that of all its packets, to within 2 %.",
        (
            Column("Network"),
            Column("Node"),
            Column("Hop"),
            Column("Sent", "int", "packets that left the hop"),
            Column("Bytes", "bytes"),
            Column("Lost", "int", "dropped by random loss"),
            Column("Queue full", "int", "dropped because the queue was full"),
            Column("Cut", "int", "dropped by a partition or a crash"),
            Column("No memory", "int", "dropped because the gateway held too much already"),
            Column("Backlog", "int", "most packets held at once"),
            Column("Late p95", "ms"),
            Column("Late max", "ms"),
        ),
        rows.head(_MAX_ROWS).rows(),
        total=rows.height,
        filterable=rows.height > 12,
    )
