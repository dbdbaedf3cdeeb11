"""Seen on the wire: requests of HTTP and CoAP that nodes' packets show, whatever program made them."""

from __future__ import annotations

from wotemu_report.blocks import Column, Empty, Section, Table
from wotemu_report.queries.node_groups import row_groups
from wotemu_report.queries.wire_requests import wire_requests
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.folding import at_most, folded

_MAX_ROWS = 300
_LEAD = (
    "Requests of HTTP and CoAP that passed nodes' interfaces in the clear, counted from packets. Those that "
    "apps on WoTPy made or served, and measured themselves, are under Interactions instead; nothing is in "
    "both. A request between two nodes is seen at its client and at its server: add up one of the two."
)
_CAPTION = (
    "Durations are from the first packet of a request to the first of its answer, of those that were "
    "answered: at a client they include the network, at a server they do not."
)
_COLUMNS = (
    Column("Seen at"),
    Column("Node", "node"),
    Column("Peer", "node"),
    Column("Port", "code"),
    Column("Protocol"),
    Column("Method", "code"),
    Column("Path", "code"),
    Column("Phase"),
    Column("Requests", "int"),
    Column("Failed", "int", "statuses of errors, and requests without an answer"),
    Column("Statuses", hint="each with its number of requests"),
    Column("Notifications", "int", "of CoAP observations"),
    Column("p50", "ms"),
    Column("p95", "ms"),
)


def section(run: RunData) -> Section:
    """The requests that packets showed."""
    if not run.rows["requests"]:
        block = Empty("Requests", "No request passed a node's interface that no app on WoTPy measured.")
        return Section("wire", "Seen on the wire", _LEAD, [block])
    return Section("wire", "Seen on the wire", _LEAD, [_table(run)])


def _table(run: RunData) -> Table:
    rows = wire_requests(run)
    table = Table(
        "Requests seen on the wire",
        _CAPTION,
        _COLUMNS,
        rows.drop("phase_no").rows(),
    )
    nodes, peers = (row_groups(run, rows, name) for name in ("node", "peer"))
    by = ["Seen at", "Node", "Peer", "Protocol", "Method", "Path", "Phase"]
    return at_most(folded(table, by, {"Node": nodes, "Peer": peers}), _MAX_ROWS)
