"""Overview: the run's key figures, its nodes and phases in comparison, and the records that were lost."""

from __future__ import annotations

from typing import Any

import polars as pl

from wotemu_report.blocks import Block, Column, Empty, Section, Table, Tile, Tiles
from wotemu_report.formats import availability_tone, count, first_few, milliseconds, percent
from wotemu_report.queries.availability import SLOW_FACTOR, by_node_and_phase, lowest_availability
from wotemu_report.queries.change_lateness import change_results, lateness, missed_changes
from wotemu_report.queries.event_rows import crashes
from wotemu_report.queries.node_groups import row_groups
from wotemu_report.queries.phase_totals import phase_totals
from wotemu_report.queries.requests import (
    consumers_or_producers,
    request_figures,
    requests,
    seen_by,
    unmeasured_requests,
)
from wotemu_report.queries.subscriptions import notifications
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.folding import folded

_NONE: dict[str, Any] = {"count": 0, "errors": 0, "p50": None, "p95": None, "p99": None}
"""The figures where no request ended."""


def section(run: RunData) -> Section:
    """Key figures, availability by node and phase, phases, losses."""
    blocks: list[Block] = [tiles(run), node_table(run), _phases(run)]
    if (others := unmeasured_requests(run)).height:
        blocks.append(_unmeasured(others))
    if run.manifest.losses:
        blocks.append(_losses(run))
    return Section("overview", "Overview", "", blocks)


def tiles(run: RunData) -> Tiles:
    """The key figures of the run."""
    return Tiles([*_interactions(run), _crashes(run), _changes(run), _lost(run)])


def _interactions(run: RunData) -> list[Tile]:
    seen, role = consumers_or_producers(requests(run))
    asked = seen.select("ok", "failed", "cancelled", "ms").collect()
    items = seen_by(notifications(run), "consumer").filter(pl.col("stage") == "next").collect().height
    if not asked.height and not items:
        return [Tile("Interactions", "none", "no app on WoTPy interacted")]
    if role == "producer":
        return [_served(asked)]
    total = _NONE | next(request_figures(asked).iter_rows(named=True), {})
    given_up = int(asked["cancelled"].sum())
    cancelled = f", {count(given_up)} cancelled" if given_up else ""
    share = total["errors"] / total["count"] if total["count"] else None
    return [
        Tile("Interactions", count(total["count"] + items),
             f"{count(total['count'])} requests, {count(items)} items"),
        Tile("Failed requests", percent(share),
             f"{count(total['errors'])} of {count(total['count'])}{cancelled}",
             "warn" if total["errors"] else "good"),
        _available(run),
        Tile("Duration p50", milliseconds(total["p50"]), "of successful requests"),
        Tile("Duration p95", milliseconds(total["p95"]),
             f"p99 {milliseconds(total['p99'])}, of successful requests"),
    ]  # fmt: skip


def _served(served: pl.DataFrame) -> Tile:
    """Where no client was measured, only the requests that things served are known."""
    took = milliseconds((_NONE | next(request_figures(served).iter_rows(named=True), {}))["p50"])
    return Tile("Requests served", count(served.height), f"to unmeasured clients; handlers took {took} (p50)")


def _available(run: RunData) -> Tile:
    lowest = lowest_availability(run)
    if not lowest.height:
        return Tile("Worst availability", percent(None), "no request ended")
    row = lowest.row(0, named=True)
    where = f"{row['owner']} in {row['phase']}"
    return Tile(
        "Worst availability", percent(row["availability"]), where, availability_tone(row["availability"])
    )


def _crashes(run: RunData) -> Tile:
    found = crashes(run)
    if not found.height:
        return Tile("App crashes", "0", "none crashed", "good")
    replicas = [str(name) for name in found["replica"].unique().sort()]
    return Tile("App crashes", count(found.height), first_few(replicas, 2), "bad")


def _changes(run: RunData) -> Tile:
    results = change_results(run)
    if not results.height:
        return Tile("Changes", "0", "the scenario changes nothing")
    if missed := missed_changes(results):
        return Tile("Changes", count(results.height), f"{missed} not applied", "bad")
    late = milliseconds(lateness(results)["p95"])
    return Tile("Changes", count(results.height), f"late p95 {late}", "good")


def _lost(run: RunData) -> Tile:
    lost = sum(loss.count for loss in run.manifest.losses)
    if not lost:
        return Tile("Records lost", "0", "nothing lost", "good")
    return Tile("Records lost", count(lost), "see the table of losses", "bad")


def node_table(run: RunData) -> Block:
    """Availability, requests and durations for each node in each phase."""
    rows = by_node_and_phase(run)
    if not rows.height:
        return Empty("By node and phase", "No consumer's requests were measured.")
    columns = [
        *("phase", "owner", "availability", "count", "failed", "waiting", "cancelled"),
        *("p50", "p95", "p99"),
    ]
    table = Table(
        "By node and phase",
        "As the consumers measured it. Percentiles are of all requests that began in the phase: a failed one "
        "counts as never answered.",
        (
            Column("Phase"),
            Column("Node", "node", "replicas together"),
            Column(
                "Available", "percent",
                "share of the time: a failed request counts against it until the next one begins, a slow one "
                f"(over {SLOW_FACTOR:g} times the usual) until just before its answer",
                fold="min",
            ),
            Column("Requests", "int"),
            Column("Failed", "int"),
            Column("Waiting", "int", "still under way when the phase began"),
            Column("Cancelled", "int", "by the app itself: neither failed nor succeeded"),
            Column("p50", "answer"),
            Column("p95", "answer"),
            Column("p99", "answer"),
        ),
        rows.select(columns).rows(),
    )  # fmt: skip
    groups = row_groups(run, rows, "owner")
    return folded(table, ["Phase", "Node"], {"Node": groups})


def _phases(run: RunData) -> Table:
    rows = phase_totals(run).with_columns(pl.col("lasts") * 1000, number=pl.col("phase_no") + 1)
    columns = [
        *("number", "phase", "start", "lasts", "count", "share", "worst", "whose", "items", "bytes"),
        "dropped",
    ]
    return Table(
        "Phases",
        "All measured consumers' requests, counted in the phase in which they began, and the node with the "
        "worst availability.",
        (
            Column("#", "int"),
            Column("Phase"),
            Column("From", "instant"),
            Column("Lasts", "ms"),
            Column("Requests", "int"),
            Column("Error share", "percent"),
            Column("Worst availability", "percent"),
            Column("Worst node", "node"),
            Column("Notifications/s", "number"),
            Column("Bytes/s sent", "bytes"),
            Column("Packets dropped", "int"),
        ),
        rows.select(columns).rows(),
    )


def _unmeasured(others: pl.DataFrame) -> Table:
    return Table(
        "Requests of clients that are not measured",
        "Requests that things served beyond those of measured consumers: other programs' requests. How long "
        "these took for their clients, and which never arrived, is not known.",
        (
            Column("Served by", "node"),
            Column("Thing"),
            Column("Affordance"),
            Column("Operation", "code"),
            Column("Binding"),
            Column("At least", "int"),
        ),
        others.select("node", "thing", "name", "op", "binding", "count").rows(),
    )


def _losses(run: RunData) -> Table:
    return Table(
        "Losses",
        "Records that roles had to drop before they reached the run directory: the figures lack them.",
        (Column("Source"), Column("Records"), Column("Count", "int")),
        [(loss.source, loss.what, loss.count) for loss in run.manifest.losses],
    )
