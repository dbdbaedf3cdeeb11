"""What the flows say of the traffic: bytes a second, pairs of nodes, and protocols."""

from __future__ import annotations

import polars as pl
from natsort import natsorted

from wotemu_report.queries.node_groups import group, has_many_nodes
from wotemu_report.queries.ranking import OTHERS, fold, weights
from wotemu_report.queries.time_bins import every_bin, per_bin
from wotemu_report.recorded.run_data import RunData

# Direction is of the hop: a node sends up to its network, and a network delivers down to a node.
_SENT, _DELIVERED = pl.col("direction") == "up", pl.col("direction") == "down"
_ENDS = ("src", "dst")


def network_rates(run: RunData, flows: pl.LazyFrame) -> pl.DataFrame:
    """Traffic in each bin.

    Returns:
        `s`, `series` (the network), `side` (sent or delivered), `bytes`, and `rate` in bytes a second.
    """
    sides = pl.col("direction").replace({"up": "sent", "down": "delivered"})
    named = flows.with_columns(series="network", side=sides)
    binned = per_bin(named, run.axis, ["series", "side"], bytes=pl.col("bytes").sum())
    return _with_rate(every_bin(binned, run.axis, ["series", "side"], fill=0), run)


def interface_rates(run: RunData, flows: pl.LazyFrame) -> tuple[pl.DataFrame, list[str]]:
    """Traffic of the busiest interfaces in each bin: a node's on one network.

    Returns:
        `s`, `series` (node or group, and network), `side` (sent or received), `bytes`, and `rate` in bytes a
        second; and the series, in order.
    """
    of = group(run) if has_many_nodes(run) else pl.col("node")
    sides = pl.col("direction").replace({"up": "sent", "down": "received"})
    named = flows.select("s", "bytes", series=pl.format("{} · {}", of, "network"), side=sides)
    folded, names = fold(named, "series", pl.col("bytes").sum())
    binned = per_bin(folded, run.axis, ["series", "side"], bytes=pl.col("bytes").sum())
    return _with_rate(every_bin(binned, run.axis, ["series", "side"], fill=0), run), names


def interface_totals(flows: pl.LazyFrame) -> pl.DataFrame:
    """Traffic of each node by interface and protocol.

    Returns:
        `node`, `network`, `name` (the protocol), `transport`, `sent` and `received` in bytes, and the
        `packets_sent` and `packets_received`.
    """
    figures = {
        "sent": pl.col("bytes").filter(_SENT).sum(),
        "received": pl.col("bytes").filter(_DELIVERED).sum(),
        "packets_sent": pl.col("packets").filter(_SENT).sum(),
        "packets_received": pl.col("packets").filter(_DELIVERED).sum(),
    }
    named = flows.with_columns(name=protocol_name())
    grouped = named.group_by("node", "network", "name", "transport").agg(**figures)
    return grouped.sort("node", "network", pl.col("sent").neg()).collect(engine="streaming")


def protocol_rates(run: RunData, flows: pl.LazyFrame) -> tuple[pl.DataFrame, list[str]]:
    """What nodes sent in each bin.

    Returns:
        `s`, `series` (the protocol), `bytes`, and `rate` in bytes a second; and the protocols, in order.
    """
    named = flows.filter(_SENT).with_columns(series=protocol_name())
    folded, names = fold(named, "series", pl.col("bytes").sum())
    binned = per_bin(folded, run.axis, ["series"], bytes=pl.col("bytes").sum())
    return _with_rate(every_bin(binned, run.axis, ["series"], fill=0), run), names


def _with_rate(binned: pl.DataFrame, run: RunData) -> pl.DataFrame:
    return binned.with_columns(rate=pl.col("bytes") / run.axis.bin_s)


def protocol_name() -> pl.Expr:
    """The protocol of the port by the topology, else the transport."""
    return pl.when(pl.col("protocol") == "").then(pl.col("transport")).otherwise(pl.col("protocol"))


def node_pairs(flows: pl.LazyFrame) -> pl.DataFrame:
    """Traffic from node to node: `src`, `dst`, `sent` and `delivered` bytes, `packets` sent."""
    return flows.group_by(_ENDS).agg(**_totals()).sort(_ENDS).collect(engine="streaming")


def protocol_totals(flows: pl.LazyFrame) -> pl.DataFrame:
    """Traffic by `network`, `name` (the protocol) and `transport`.

    Returns:
        The key, `sent` and `delivered` bytes, and `packets` sent.
    """
    named = flows.with_columns(name=protocol_name())
    grouped = named.group_by("network", "name", "transport").agg(**_totals())
    return grouped.sort("network", "sent", descending=[False, True]).collect(engine="streaming")


def _totals() -> dict[str, pl.Expr]:
    # A packet that arrives is counted on both its hops: sent and delivered must never be added up.
    return {
        "sent": pl.col("bytes").filter(_SENT).sum(),
        "delivered": pl.col("bytes").filter(_DELIVERED).sum(),
        "packets": pl.col("packets").filter(_SENT).sum(),
    }


def with_few_ends(flows: pl.LazyFrame, limit: int) -> tuple[pl.LazyFrame, list[str]]:
    """The flows with all but the `limit` busiest nodes named ``others``; and the names, in order."""
    pairs = flows.group_by(_ENDS).agg(pl.col("bytes").sum()).collect(engine="streaming")
    both = pl.concat([pairs.select(node=end, bytes="bytes") for end in _ENDS])
    ranked = weights(both, "node", pl.col("bytes").sum())["node"]
    nodes: list[str] = natsorted(ranked.head(limit).to_list())
    named = flows.with_columns(
        pl.when(pl.col(end).is_in(nodes)).then(end).otherwise(pl.lit(OTHERS)).alias(end) for end in _ENDS
    )
    return named, [*nodes, OTHERS] if ranked.len() > limit else nodes
