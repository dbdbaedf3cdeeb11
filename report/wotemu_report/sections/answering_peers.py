"""Which replica answered whose requests."""

from __future__ import annotations

from wotemu_report.blocks import Block, Column, Table
from wotemu_report.queries.answering_peers import answering_peers
from wotemu_report.queries.node_groups import row_groups
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.folding import folded


def peer_blocks(run: RunData) -> list[Block]:
    """A row for each consumer, peer and binding; nothing where no consumer is measured."""
    rows = answering_peers(run)
    if not rows.height or not (rows["peer"] != "").any():  # runs before schema 5 have no peers
        return []
    table = Table(
        "Who answered",
        "The replica at the other end of the connection: over MQTT that of the broker. Without one: no "
        "connection came about.",
        (
            Column("Consumer", "node"),
            Column("Peer", "node"),
            Column("Binding"),
            Column("Requests", "int"),
            Column("Failed", "int"),
            Column("p50", "ms"),
            Column("p95", "ms"),
        ),
        rows.rows(),
    )
    consumers, peers = (row_groups(run, rows, name) for name in ("node", "peer"))
    return [folded(table, ["Consumer", "Peer", "Binding"], {"Consumer": consumers, "Peer": peers})]
