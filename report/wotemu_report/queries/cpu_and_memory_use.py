"""CPU and memory of the nodes, and the load of the machines."""

from __future__ import annotations

import json
from collections import Counter

import polars as pl
from natsort import natsorted

from wotemu_report.queries.nearest_rank import nearest_rank
from wotemu_report.queries.once_a_run import once_a_run
from wotemu_report.queries.ranking import MAX_SERIES, biggest, in_order
from wotemu_report.queries.time_bins import broken_at_gaps, per_bin
from wotemu_report.recorded.event_log import replica_name
from wotemu_report.recorded.run_data import RunData

_LOADS = {"CPU used": "cpu_percent", "CPU stolen": "steal_percent", "memory used": "mem_percent"}


def usage_over_time(run: RunData, samples: pl.LazyFrame) -> tuple[pl.DataFrame, list[str]]:
    """Means in each bin, of the nodes that used most CPU.

    Returns:
        `s`, `series` (the node), `cpu` and `cpu_limit` in percent of a core, `mem` and `mem_limit` in bytes;
        and the nodes, in order.
    """
    busiest = biggest(samples, "node", pl.col("cpu_percent").mean(), MAX_SERIES)
    kept = samples.filter(pl.col("node").is_in(busiest)).with_columns(series="node")
    binned = per_bin(
        kept,
        run.axis,
        ["series"],
        cpu=pl.col("cpu_percent").mean(),
        cpu_limit=pl.col("cpu_limit_percent").min(),
        mem=pl.col("mem_bytes").mean(),
        mem_limit=pl.col("mem_limit_bytes").min(),
    )
    return broken_at_gaps(binned, ["series"]), natsorted(binned["series"].unique())


@once_a_run  # the table of nodes and the nodes' pages read it
def node_totals(run: RunData) -> pl.DataFrame:
    """A row for each node.

    Returns:
        `node`; `cpu_mean`, `cpu_p95`, `cpu_max` and `cpu_limit` in percent of a core; `throttled`, for how
        long (s) the limit held it back, null without one; `mem_mean`, `mem_peak` and `mem_limit` in bytes;
        most `processes` at once; and `retransmitted` TCP segments, null where they are not counted.
    """
    return (
        run.tables["system"]
        .group_by("node")
        .agg(
            cpu_mean=pl.col("cpu_percent").mean(),
            cpu_p95=nearest_rank(pl.col("cpu_percent"), 0.95),
            cpu_max=pl.col("cpu_percent").max(),
            cpu_limit=pl.col("cpu_limit_percent").min(),
            throttled=_sum_or_null("throttled"),
            mem_mean=pl.col("mem_bytes").mean(),
            mem_peak=pl.max_horizontal(pl.col("mem_bytes").max(), pl.col("mem_peak_bytes").max()),
            mem_limit=pl.col("mem_limit_bytes").min(),
            processes=pl.col("processes").max(),
            retransmitted=_sum_or_null("retransmitted"),
        )
        .collect(engine="streaming")
        .pipe(in_order, "node")
    )


def _sum_or_null(column: str) -> pl.Expr:
    """The sum; null where no row has the figure."""
    return pl.when(pl.col(column).is_not_null().any()).then(pl.col(column).sum())


def busiest_processes(run: RunData) -> pl.DataFrame:
    """The processes that used most CPU, of the nodes that have several.

    Returns:
        `node`, `name`, `pids` (how many processes of that name), `cpu_s`, `mem_max` in bytes and most
        `threads` of one; in each node by CPU time.
    """
    return (
        run.tables["processes"]
        .group_by("node", "name")
        .agg(
            pids=pl.col("pid").n_unique(),
            cpu_s=pl.col("cpu_percent").sum() / 100,  # a row is of a second
            mem_max=pl.col("mem_bytes").max(),
            threads=pl.col("threads").max(),
        )
        .collect(engine="streaming")
        .sort("node", pl.col("cpu_s").neg(), "name")
    )


def tcp_connections(run: RunData) -> pl.DataFrame:
    """TCP connections by node, peer and port.

    Returns:
        `node`, `peer`, `port`; most `connections` at once; `rtt_p50`, `rtt_p95` and `rtt_min` in ms, of the
        rows; segments `sent` and `retransmitted`.
    """
    rtt_ms = pl.col("rtt") * 1000
    found = (
        run.tables["connections"]
        .group_by("node", "peer", "port")
        .agg(
            connections=pl.col("connections").max(),
            rtt_p50=nearest_rank(rtt_ms, 0.5),
            rtt_p95=nearest_rank(rtt_ms, 0.95),
            rtt_min=pl.col("rtt_min").min() * 1000,
            sent=pl.col("sent").sum(),
            retransmitted=pl.col("retransmitted").sum(),
        )
        .collect(engine="streaming")
    )
    return in_order(found, "node", "peer", "port")


def machines(run: RunData) -> pl.DataFrame:
    """A row for each machine that roles ran on.

    Returns:
        `host`; its `cpu` (the model), `cpus`, `mem_bytes` and `kernel`, where they are known; how many
        `nodes` ran there last; and of the CPU that one of these used, in percent of a core, `cpu_p50`,
        `cpu_p95` and `cpu_max`.
    """
    facts = {str(run.manifest.host.get("name") or ""): {**run.manifest.host, "kernel": run.manifest.kernel}}
    found = run.events.filter(pl.col("kind") == "host.found")["data"]
    facts |= {str(each.get("host", "")): each for each in map(json.loads, found)}
    where = machine_of(run)
    used = (
        run.tables["system"]
        .select("cpu_percent", host=pl.col("node").replace_strict(where, default=""))
        .group_by("host")
        .agg(
            cpu_p50=nearest_rank(pl.col("cpu_percent"), 0.5),
            cpu_p95=nearest_rank(pl.col("cpu_percent"), 0.95),
            cpu_max=pl.col("cpu_percent").max(),
        )
        .collect(engine="streaming")
    )
    nodes = Counter(where[replica.name] for replica in run.manifest.replicas if replica.name in where)
    names = [name for name in natsorted({*facts, *nodes}) if name]
    rows = [
        (name, *(facts.get(name, {}).get(key) for key in ("cpu", "cpus", "mem_bytes", "kernel")), nodes[name])
        for name in names
    ]
    schema = {
        "host": pl.String,
        "cpu": pl.String,
        "cpus": pl.Int64,
        "mem_bytes": pl.Int64,
        "kernel": pl.String,
        "nodes": pl.Int64,
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.join(used, on="host", how="left", maintain_order="left")


def machine_of(run: RunData) -> dict[str, str]:
    """The machine on which each replica's agent ran last; the local engine has only one."""
    only = str(run.manifest.host.get("name") or "") if run.manifest.engine == "local" else ""
    ready = run.events.filter(pl.col("kind") == "role.ready").select(replica_name(), "data")
    places = [(node, str(json.loads(data).get("host", ""))) for node, data in ready.iter_rows()]
    known = {node: host for node, host in places if host}
    return ({node: only for node, _ in places} if only else {}) | known


def machine_load(run: RunData) -> tuple[pl.DataFrame, list[str]]:
    """Load of the machines in each bin.

    Returns:
        `s`, `series` (CPU used, CPU stolen or memory used, with the machine where there are several) and
        `percent`; and the series, in order.
    """
    hosts = run.tables["host"].with_columns(
        mem_percent=100.0 * pl.col("mem_used_bytes") / pl.col("mem_total_bytes")
    )
    several = hosts.select(pl.col("host").n_unique()).collect(engine="streaming").item() > 1
    long = pl.concat(
        hosts.select(
            "s",
            series=pl.format("{} · {}", "host", pl.lit(label)) if several else pl.lit(label),
            percent=pl.col(column).cast(pl.Float64),
        )
        for label, column in _LOADS.items()
    )
    binned = per_bin(long, run.axis, ["series"], percent=pl.col("percent").mean())
    return broken_at_gaps(binned, ["series"]), sorted(binned["series"].unique(), key=_load_order)


def _load_order(series: str) -> tuple[int, str]:
    return next(number for number, label in enumerate(_LOADS) if series.endswith(label)), series
