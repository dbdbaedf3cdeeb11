"""Nodes: all that is known of each one, written when a reader opens it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import polars as pl

from wotemu_report.axis import Axis
from wotemu_report.blocks import Column, Empty, Figure, NodeGroup, NodePage, NodePages, Section, Table
from wotemu_report.charts import palette
from wotemu_report.charts.layers import tips
from wotemu_report.charts.series import lines
from wotemu_report.charts.value_axis import duration_y
from wotemu_report.queries.cpu_and_memory_use import busiest_processes, node_totals, tcp_connections
from wotemu_report.queries.flow_traffic import interface_totals
from wotemu_report.queries.hop_counters import hop_totals
from wotemu_report.queries.node_groups import group_of
from wotemu_report.queries.percentiles import percentiles
from wotemu_report.queries.ranking import fold, with_series
from wotemu_report.queries.request_series import figures_over_time
from wotemu_report.queries.requests import consumers_or_producers, requests
from wotemu_report.queries.subscriptions import notifications, subscribers, subscription_rows
from wotemu_report.queries.time_bins import broken_at_gaps
from wotemu_report.recorded.event_log import replica_name
from wotemu_report.recorded.log_tails import LogTail
from wotemu_report.recorded.manifest import RecordedReplica
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.app_logs import clean

_MAX_NODES = 2000
_MAX_ROWS = 40
"""Of a table of a node; fewer where there are many nodes, as the page holds all of them."""
_MAX_ROWS_OF_ALL = 20_000
_LEAST_ROWS = 15
_MAX_POINTS = 30_000
"""Of all nodes together."""
_MAX_LOG_LINES = 6000
_LEAD = "Each node's interactions, hops, processes, lifetimes and last output. Open one to have it written."
_LEAST_MS = 0.01

Rows = Mapping[str, pl.DataFrame]


@attrs.frozen
class _Part:
    """A table of each node: its shape, and its rows by node."""

    table: Table
    rows: Rows


def section(run: RunData) -> Section:
    """A folded page for each replica, broker and service, by group."""
    replicas = run.manifest.replicas[:_MAX_NODES]
    if not replicas:
        return Section("nodes", "Nodes", "", [Empty("", "The run failed before anything was placed.")])
    parts = [
        _interactions(run),
        _exposed(run),
        _subscriptions(run),
        _traffic(run),
        _hops(run),
        _processes(run),
        _busiest(run),
        _connections(run),
        _lifetimes(run),
    ]
    chart, points = _chart(run, len(replicas))
    logs = {tail.replica: tail for tail in run.logs}
    most = min(_MAX_ROWS, max(_LEAST_ROWS, _MAX_ROWS_OF_ALL // len(replicas)))
    log_lines = max(5, _MAX_LOG_LINES // len(replicas))
    groups: dict[str, list[NodePage]] = {}
    for number, replica in enumerate(replicas):
        page = NodePage(
            replica.name,
            f"node-{number}",
            _note(replica),
            [_table(part, replica.name, most) for part in parts if replica.name in part.rows],
            points.get(replica.name),
            _log(logs.get(replica.name), log_lines),
        )
        groups.setdefault(group_of(run)[replica.name], []).append(page)
    named = [
        NodeGroup(name, f"nodes-{number}" if len(pages) > 1 else pages[0].id, pages)
        for number, (name, pages) in enumerate(groups.items())
    ]
    return Section("nodes", "Nodes", _LEAD, [NodePages(named, chart)])


def _note(replica: RecordedReplica) -> str:
    addresses = ", ".join(f"{network} {address}" for network, address in replica.addresses.items())
    return " · ".join(part for part in (replica.kind, replica.app, addresses) if part)


def _table(part: _Part, name: str, most: int) -> Table:
    rows = part.rows[name]
    return attrs.evolve(part.table, rows=rows.drop("node").head(most).rows(), total=rows.height)


def _log(tail: LogTail | None, lines: int) -> str:
    return "" if tail is None else "\n".join(clean(line) for line in tail.lines[-lines:])


def _by_node(rows: pl.DataFrame) -> Rows:
    return {str(key[0]): some for key, some in rows.partition_by("node", as_dict=True).items()}


def _part(title: str, caption: str, columns: Sequence[Column], rows: pl.DataFrame) -> _Part:
    return _Part(Table(title, caption, columns, ()), _by_node(rows))


def _interactions(run: RunData) -> _Part:
    shares = ("p50", "p95", "p99")
    rows = percentiles(run, ("node", "phase", "name", "op", "binding"), names=shares)
    return _part(
        "Requests",
        "By phase; a failed request counts as never answered.",
        (
            Column("As"), Column("Affordance"), Column("Operation", "code"), Column("Binding"),
            Column("Phase"), Column("Requests", "int"), Column("Failed", "int"),
            Column("p50", "answer"), Column("p95", "answer"), Column("p99", "answer"),
        ),
        rows.select("node", "role", "name", "op", "binding", "phase", "count", "failed", *shares),
    )  # fmt: skip


def _exposed(run: RunData) -> _Part:
    by_op = pl.concat(
        each.lazy()
        .filter(pl.col("role") == "producer")
        .group_by("node", "thing", "affordance", "name", "op")
        .agg(count=pl.len(), first=pl.col("s").min(), last=pl.col("s").max())
        .with_columns(pl.selectors.categorical().cast(pl.String))
        .collect(engine="streaming")
        for each in (requests(run), subscription_rows(run))
    )
    rows = by_op.group_by("node", "thing", "affordance", "name").agg(
        pl.col("op").sort().str.join(", "),
        pl.col("count").sum(),
        pl.col("first").min(),
        pl.col("last").max(),
    )
    return _part(
        "Exposed affordances",
        "Those that somebody used, and when first and last.",
        (
            Column("Thing"), Column("Kind"), Column("Affordance"), Column("Operations", "code"),
            Column("Records", "int"), Column("First", "instant"), Column("Last", "instant"),
        ),
        rows.sort("node", "thing", "name"),
    )  # fmt: skip


def _subscriptions(run: RunData) -> _Part:
    seen, _ = consumers_or_producers(notifications(run))
    rows = subscribers(run, seen.collect()).with_columns(pl.col("silence") * 1000)
    return _part(
        "Subscriptions",
        "The longest silence is between two items, or up to the end.",
        (
            Column("Affordance"), Column("Operation", "code"), Column("Binding"), Column("Items", "int"),
            Column("Errors", "int"), Column("First item", "instant"), Column("Longest silence", "ms"),
        ),
        rows.select("node", "name", "op", "binding", "items", "errors", "first", "silence"),
    )  # fmt: skip


def _hops(run: RunData) -> _Part:
    dropped = ["dropped_loss", "dropped_queue", "dropped_cut", "dropped_memory"]
    rows = hop_totals(run)
    return _part(
        "Hops",
        "Up to the network and down from it.",
        (
            Column("Network"), Column("Hop"), Column("Sent", "int"), Column("Bytes", "bytes"),
            Column("Lost", "int"), Column("Queue full", "int"), Column("Cut", "int"),
            Column("No memory", "int"), Column("Late p95", "ms"), Column("Late max", "ms"),
        ),
        rows.select("node", "network", "direction", "sent", "sent_bytes", *dropped, "late_p95", "late_max"),
    )  # fmt: skip


def _traffic(run: RunData) -> _Part:
    rows = interface_totals(run.tables["flows"])
    return _part(
        "Traffic by interface and protocol",
        "Sent is what the node put on its link to the network, received what came out of it.",
        (
            Column("Network"), Column("Protocol"), Column("Transport"), Column("Sent", "bytes"),
            Column("Received", "bytes"), Column("Packets sent", "int"), Column("Packets received", "int"),
        ),
        rows,
    )  # fmt: skip


def _processes(run: RunData) -> _Part:
    return _part(
        "Processes",
        "CPU in percent of one core; memory resident.",
        (
            Column("CPU mean %", "number"), Column("CPU p95 %", "number"), Column("CPU max %", "number"),
            Column("CPU limit %", "number"), Column("Throttled s", "number"), Column("Memory mean", "bytes"),
            Column("Memory peak", "bytes"), Column("Memory limit", "bytes"), Column("Processes", "int"),
            Column("Retransmitted", "int"),
        ),
        node_totals(run),
    )  # fmt: skip


def _busiest(run: RunData) -> _Part:
    return _part(
        "Busiest processes",
        "Of a node that has several, by the kernel's name of each.",
        (
            Column("Name", "code"), Column("Processes", "int"), Column("CPU s", "number"),
            Column("Memory max", "bytes"), Column("Threads", "int"),
        ),
        busiest_processes(run),
    )  # fmt: skip


def _connections(run: RunData) -> _Part:
    return _part(
        "TCP connections",
        "As the kernel had them every 5 s.",
        (
            Column("Peer"), Column("Port", "code"), Column("Connections", "int"), Column("RTT p50", "ms"),
            Column("RTT p95", "ms"), Column("RTT least", "ms"), Column("Segments", "int"),
            Column("Retransmitted", "int"),
        ),
        tcp_connections(run),
    )  # fmt: skip


def _lifetimes(run: RunData) -> _Part:
    own = run.events.filter(pl.col("source").str.starts_with("agent:") & (pl.col("kind") != "change.applied"))
    rows = own.with_columns(node=replica_name())
    return _part(
        "Lifetimes",
        "What its agent reported.",
        (Column("At", "instant"), Column("Kind", "status"), Column("Message")),
        rows.select("node", "s", "kind", "message"),
    )


def _chart(run: RunData, nodes: int) -> tuple[Figure | None, Rows]:
    """One chart for all nodes, and each one's rows of it."""
    asked = requests(run)
    has_consumers = asked.select((pl.col("role") == "consumer").any()).item()
    role = "consumer" if has_consumers else "producer"
    parts = ("name", "op", "binding")
    slim = (
        asked.lazy()
        .filter(pl.col("role") == role, pl.col("ok"))
        .select("s", "node", *parts, "ok", "failed", pl.col("ms").clip(_LEAST_MS))
    )
    done = slim.collect()
    if not done.height:
        return None, {}
    folded, names = fold(with_series(done, "{} {} · {}", *parts).drop(parts), "series", pl.len())
    axis = run.axis.coarser(max(5.0, _MAX_POINTS / nodes / len(names)))
    rows = _quantiles(axis, folded)
    colors = palette.colors(names)
    values = pl.concat([rows["p50"], rows["p95"]])
    tooltip = tips(series="request", s="from (s)|~r", count="requests|,d", p50="p50 (ms)|,.4~r",
                   p95="p95 (ms)|,.4~r")  # fmt: skip
    y = duration_y("p50", values)
    drawn = [
        lines(rows, axis, duration_y("p95", values), colors, tooltip, dash=(4, 3), pick=False),
        lines(rows, axis, y, colors, tooltip),
    ]
    caption = f"p50 (solid) and p95 (dashed) per {axis.bin_s} s of successful requests, logarithmic."
    figure = Figure("Durations of requests", caption, drawn, axis, height=150)
    return figure, _by_node(drawn[0].rows)


def _quantiles(axis: Axis, frame: pl.DataFrame) -> pl.DataFrame:
    """Figures of each node's requests in each bin; a row of nulls where a line must break."""
    key = ["node", "series"]
    return broken_at_gaps(figures_over_time(axis, frame, key).select("s", *key, "count", "p50", "p95"), key)
