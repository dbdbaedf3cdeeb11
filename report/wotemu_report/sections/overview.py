"""The run at a glance: its phases side by side, and what was lost."""

from __future__ import annotations

import polars as pl

from wotemu_report.blocks import Block, Column, Section, Table, Tile, Tiles
from wotemu_report.formats import count, milliseconds, percent
from wotemu_report.queries import availability
from wotemu_report.queries.requests import error_share, figures_of, requests, seen_by, unmeasured, usual_end
from wotemu_report.recorded.dataset import RunData
from wotemu_report.sections.changes import changes, lateness
from wotemu_report.sections.events import crashes

_DROPS = ("dropped_loss", "dropped_queue", "dropped_cut", "dropped_memory")


def section(run: RunData) -> Section:
    """Key figures, how it went for whom, phases, losses."""
    blocks: list[Block] = [tiles(run), availability.block(run), _phases(run)]
    if (others := unmeasured(run)).height:
        blocks.append(_unmeasured(others))
    if run.manifest.losses:
        blocks.append(_losses(run))
    return Section("overview", "Overview", "", blocks)


def tiles(run: RunData) -> Tiles:
    """The key figures of the run."""
    return Tiles([*_interactions(run), _crashes(run), _changes(run), _lost(run)])


def _interactions(run: RunData) -> list[Tile]:
    asked, whose = usual_end(requests(run))
    items = seen_by(run.tables["interactions"].filter(pl.col("stage") == "next"), "consumer").height
    if not asked.height and not items:
        return [Tile("Interactions", "none", "no app on WoTPy interacted")]
    if whose == "producer":
        return [_served(asked)]
    total = asked.select(**figures_of()).with_columns(share=error_share()).row(0, named=True)
    given_up = f", {count(total['cancelled'])} cancelled" if total["cancelled"] else ""
    return [
        Tile("Interactions", count(total["count"] + items),
             f"{count(total['count'])} requests, {count(items)} items"),
        Tile("Failed requests", percent(total["share"]),
             f"{count(total['errors'])} of {count(total['count'])}{given_up}",
             "warn" if total["errors"] else "good"),
        _available(run),
        Tile("Duration p50", milliseconds(total["p50"]), "of successful requests"),
        Tile("Duration p95", milliseconds(total["p95"]),
             f"p99 {milliseconds(total['p99'])}, of successful requests"),
    ]  # fmt: skip


def _served(served: pl.DataFrame) -> Tile:
    """All that is known where no client was measured: what things served."""
    took = milliseconds(served.select(figures_of()["p50"]).item())
    return Tile("Requests served", count(served.height), f"to unmeasured clients; handlers took {took} (p50)")


def _available(run: RunData) -> Tile:
    worst = availability.by_node_and_phase(run).filter(pl.col("availability").is_not_null())
    if not worst.height:
        return Tile("Worst availability", percent(None), "no request ended")
    row = worst.sort("availability").row(0, named=True)
    share = row["availability"]
    tone = "good" if share == 1 else "warn" if share > 0.5 else "bad"
    return Tile("Worst availability", percent(share), f"{row['owner']} in {row['phase']}", tone)


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

    When; consumers' requests, failed ones and their share; `worst`, the lowest availability of any node, and
    `whose` it is; items/s, bytes/s sent, packets dropped.
    """
    spans = pl.DataFrame(
        [
            (number, span.name, span.start_s, span.end_s - span.start_s)
            for number, span in enumerate(run.axis.phases)
        ],
        schema={"phase_no": pl.Int64, "phase": pl.String, "start": pl.Float64, "lasts": pl.Float64},
        orient="row",
    )
    asked = (
        seen_by(requests(run), "consumer")
        .group_by("phase_no")
        .agg(**figures_of())
        .select("phase_no", "count", "errors", share=error_share())
    )
    worst = (
        availability.by_node_and_phase(run)
        .sort("availability", nulls_last=True)
        .group_by("phase_no", maintain_order=True)
        .agg(worst=pl.col("availability").first(), whose=pl.col("owner").first())
        .with_columns(whose=pl.when(pl.col("worst") < 1).then("whose"))
    )
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
    for part in (asked, worst, items, sent, dropped):
        joined = joined.join(part, on="phase_no", how="left")
    lasts = pl.col("lasts")
    return joined.with_columns(
        pl.col("count", "errors", "dropped").fill_null(0),
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
        "worst",
        "whose",
        "items",
        "bytes",
        "dropped",
    ]
    return Table(
        "Phases",
        "All measured consumers' requests, counted in the phase in which they began, and the node that was "
        "worst off.",
        (
            Column("#", "int"),
            Column("Phase"),
            Column("From", "instant"),
            Column("Lasts", "ms"),
            Column("Requests", "int"),
            Column("Error share", "percent"),
            Column("Worst availability", "percent"),
            Column("Of"),
            Column("Notifications/s", "number"),
            Column("Bytes/s sent", "bytes"),
            Column("Packets dropped", "int"),
        ),
        frame.select(columns).rows(),
    )


def _unmeasured(others: pl.DataFrame) -> Table:
    return Table(
        "Requests of clients that are not measured",
        "What things served beyond what measured consumers asked for: other programs' requests. How long "
        "these took for their clients, and which never arrived, is not known.",
        (
            Column("Served by"),
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
        (Column("Where"), Column("What"), Column("Count", "int")),
        [(loss.source, loss.what, loss.count) for loss in run.manifest.losses],
    )
