"""The run at a glance: its phases side by side, and what was lost."""

from __future__ import annotations

import polars as pl

from wotemu_report.blocks import Block, Column, Section, Table, Tile, Tiles
from wotemu_report.dataset import RunData
from wotemu_report.figures.changes import changes, lateness
from wotemu_report.figures.events import crashes
from wotemu_report.figures.requests import figures_of, requests, seen_by
from wotemu_report.formats import count, milliseconds, percent

_DROPS = ("dropped_loss", "dropped_queue", "dropped_cut")


def section(run: RunData) -> Section:
    """Key figures, phases, losses."""
    blocks: list[Block] = [tiles(run), _phases(run)]
    if run.manifest.losses:
        blocks.append(_losses(run))
    return Section("overview", "Overview", "", blocks)


def tiles(run: RunData) -> Tiles:
    """The key figures of the run."""
    return Tiles([*_interactions(run), _crashes(run), _changes(run), _lost(run)])


def _interactions(run: RunData) -> list[Tile]:
    seen = seen_by(requests(run), "consumer")
    items = seen_by(run.tables["interactions"].filter(pl.col("stage") == "next"), "consumer").height
    if not seen.height and not items:
        return [Tile("Interactions", "none", "no app on WoTPy interacted")]
    total = seen.select(**figures_of()).row(0, named=True)
    share = total["errors"] / total["count"] if total["count"] else None
    given_up = f"; {count(total['cancelled'])} cancelled" if total["cancelled"] else ""
    return [
        Tile("Interactions", count(total["count"] + items),
             f"{count(total['count'])} requests, {count(items)} items{given_up}"),
        Tile("Failed requests", percent(share), f"{count(total['errors'])} of {count(total['count'])}",
             "warn" if total["errors"] else "good"),
        Tile("Duration p50", milliseconds(total["p50"]), "of successful requests"),
        Tile("Duration p95", milliseconds(total["p95"]), f"p99 {milliseconds(total['p99'])}"),
    ]  # fmt: skip


def _crashes(run: RunData) -> Tile:
    found = crashes(run)
    if not found.height:
        return Tile("App crashes", "0", "none crashed", "good")
    nodes = [str(name) for name in found["replica"].unique().sort()]
    named = ", ".join(nodes[:2]) + (f" and {len(nodes) - 2} more" if len(nodes) > 2 else "")
    return Tile("App crashes", count(found.height), named, "bad")


def _changes(run: RunData) -> Tile:
    frame = changes(run)
    if not frame.height:
        return Tile("Changes", "0", "the scenario changes nothing")
    missed = frame.filter(pl.col("state") != "applied").height
    if missed:
        return Tile("Changes", count(frame.height), f"{missed} never took hold", "bad")
    return Tile("Changes", count(frame.height), f"late p95 {milliseconds(lateness(frame)['p95'])}", "good")


def _lost(run: RunData) -> Tile:
    lost = sum(loss.count for loss in run.manifest.losses)
    if not lost:
        return Tile("Records lost", "0", "nothing lost", "good")
    return Tile("Records lost", count(lost), "see the table of losses", "bad")


def phases(run: RunData) -> pl.DataFrame:
    """A row for each phase.

    When, requests, errors, durations in ms, items/s, bytes/s sent, packets dropped.
    """
    spans = pl.DataFrame(
        [
            (number, span.name, span.start_s, span.end_s - span.start_s)
            for number, span in enumerate(run.axis.phases)
        ],
        schema={"phase_no": pl.Int64, "phase": pl.String, "start": pl.Float64, "lasts": pl.Float64},
        orient="row",
    )
    asked = seen_by(requests(run), "consumer").group_by("phase_no").agg(**figures_of())
    delivered = seen_by(run.tables["interactions"].filter(pl.col("stage") == "next"), "consumer")
    items = delivered.group_by("phase_no").agg(items=pl.len())
    sent = (
        run.tables["flows"]
        .filter(pl.col("direction") == "up")
        .group_by("phase_no")
        .agg(bytes=pl.col("bytes").sum())
    )
    dropped = run.tables["hops"].group_by("phase_no").agg(dropped=pl.sum_horizontal(_DROPS).sum())
    joined = spans
    for part in (asked, items, sent, dropped):
        joined = joined.join(part, on="phase_no", how="left")
    lasts = pl.col("lasts")
    return joined.with_columns(
        pl.col("count", "errors", "dropped").fill_null(0),
        share=pl.when(pl.col("count") > 0).then(pl.col("errors") / pl.col("count")),
        items=pl.col("items").fill_null(0) / lasts,
        bytes=pl.col("bytes").fill_null(0) / lasts,
    ).sort("phase_no")


def _phases(run: RunData) -> Table:
    frame = phases(run).with_columns(pl.col("lasts") * 1000, number=pl.col("phase_no") + 1)
    columns = [
        "number",
        "phase",
        "start",
        "lasts",
        "count",
        "share",
        "p50",
        "p95",
        "items",
        "bytes",
        "dropped",
    ]
    return Table(
        "Phases",
        "All requests of all consumers, counted in the phase in which they began; durations are of "
        "those that succeeded.",
        (
            Column("#", "int"),
            Column("Phase"),
            Column("From", "instant"),
            Column("Lasts", "ms"),
            Column("Requests", "int"),
            Column("Error share", "percent"),
            Column("p50", "ms"),
            Column("p95", "ms"),
            Column("Notifications/s", "number"),
            Column("Bytes/s sent", "bytes"),
            Column("Packets dropped", "int"),
        ),
        frame.select(columns).rows(),
    )


def _losses(run: RunData) -> Table:
    return Table(
        "Losses",
        "Records that roles had to drop before they reached the run directory: the figures lack them.",
        (Column("Where"), Column("What"), Column("Count", "int")),
        [(loss.source, loss.what, loss.count) for loss in run.manifest.losses],
    )
