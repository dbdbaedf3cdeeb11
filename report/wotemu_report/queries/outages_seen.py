"""What consumers went through: times without an answer, times without an item, and durations by phase."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from wotemu_report.queries.availability import outages
from wotemu_report.queries.node_groups import group
from wotemu_report.queries.ranked import ranked
from wotemu_report.queries.requests import requests
from wotemu_report.queries.subscriptions import notifications
from wotemu_report.recorded.run_data import RunData

LEAST_S = 1.0
"""Shorter times without an answer or an item are not told."""
_JOINED_S = 0.05
_GAP_FACTOR = 3.0
_LEAST_SILENCE_S = 2.0


def outages_seen(run: RunData) -> pl.DataFrame:
    """Times in which consumers could not carry out an operation, by group of nodes.

    Returns:
        `group`, `op`; `start` and `stop`, in seconds since T0, of the time in which any node of the group was
        without an answer; `lasts`, the longest of a single node in seconds; `nodes`, how many were. In order
        of time.
    """
    spans = outages(run).select(
        "start", "stop", pl.col("node").cast(pl.String), key=pl.col("op").cast(pl.String)
    )
    return _by_group(run, spans).rename({"key": "op"})


def silences(run: RunData) -> pl.DataFrame:
    """Times in which subscriptions delivered no item although they do so far more often, by group of nodes.

    Longer than three times the usual distance of a subscriber's items, and than 2 s.

    Returns:
        As `outages_seen`, with `name` (the affordance) instead of `op`.
    """
    by = ["node", "name", "thing", "binding"]
    heard = notifications(run).lazy().filter(pl.col("stage") == "next", pl.col("s") >= 0)
    items = heard.filter(pl.col("role") == "consumer").select("s", *by).sort(*by, "s").collect()
    following = pl.col("s").shift(-1).over(by).fill_null(run.axis.end_s)
    gaps = items.with_columns(stop=following, gap=following - pl.col("s")).with_columns(
        usual=pl.col("gap").median().over(by)
    )
    wide = gaps.filter(pl.col("gap") > pl.max_horizontal(_GAP_FACTOR * pl.col("usual"), _LEAST_SILENCE_S))
    named = wide.with_columns(pl.col("node", "name").cast(pl.String))
    return _by_group(run, named.select("node", start="s", stop="stop", key="name")).rename({"key": "name"})


def _by_group(run: RunData, spans: pl.DataFrame) -> pl.DataFrame:
    """`group`, `key`, `start`, `stop`, `lasts` and `nodes` of spans with a `node` and a `key`."""
    of_node = _merged(spans, ["node", "key"], {"lasts": pl.col("stop").max() - pl.col("start").min()})
    long = of_node.filter(pl.col("lasts") >= LEAST_S).with_columns(group=group(run))
    figures = {"lasts": pl.col("lasts").max(), "nodes": pl.col("node").n_unique()}
    return _merged(long, ["group", "key"], figures).sort("start", "group", "key")


def _merged(spans: pl.DataFrame, by: Sequence[str], figures: dict[str, pl.Expr]) -> pl.DataFrame:
    """Spans that overlap or touch made one, for each combination of `by`."""
    until = pl.col("stop").cum_max().shift(1).over(by)
    apart = (pl.col("start") > until + _JOINED_S).fill_null(value=True)
    numbered = spans.sort(*by, "start").with_columns(apart=apart)
    numbered = numbered.with_columns(number=pl.col("apart").cum_sum().over(by))
    merged = numbered.group_by(*by, "number").agg(
        **figures, start=pl.col("start").min(), stop=pl.col("stop").max()
    )
    return merged.drop("number")


def durations_by_phase(run: RunData) -> pl.DataFrame:
    """Durations of consumers' successful requests by group of nodes, operation and phase.

    Returns:
        `group`, `op`, `phase_no`, `phase`; `count`; `p95` and `most` in ms, each of the node of the group
        that has the longest.
    """
    done = (pl.col("role") == "consumer") & (pl.col("phase_no") >= 0) & pl.col("ok")
    key = ["op", "phase_no", "phase"]
    shares = {"p95": 0.95, "most": 1.0}
    of_node = ranked(requests(run), ["owner", *key], shares, took=pl.col("ms"), where=done)
    worst = (
        of_node.with_columns(pl.col("phase_no").cast(pl.Int64))
        .group_by(group(run, "owner").alias("group"), *key)
        .agg(pl.col("count").sum(), pl.col("p95", "most").max())
    )
    return worst.sort("group", "op", "phase_no")
