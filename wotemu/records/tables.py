"""Every table of a run by its name: each record is declared once, with its fields and their units."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from wotemu.records.network_rows import Flow, GatewayLoad, Hop, Probe, ProbeArrived, ProbeSent
from wotemu.records.node_rows import (
    App,
    Broker,
    Captured,
    Connections,
    Emission,
    Interaction,
    Log,
    Processes,
    Published,
    System,
    UplinkTraffic,
    WireRequest,
)
from wotemu.records.record import Record, fields
from wotemu.records.run_rows import Change, Event, Host, Stall

TABLES: dict[str, type[Record]] = {
    kind.TABLE: kind
    for kind in (
        Event, System, Processes, Connections, Host, Flow, Interaction, Emission, WireRequest, App, Broker,
        Hop, ProbeSent, ProbeArrived, Probe, Stall, GatewayLoad, Captured, Published, UplinkTraffic, Change,
        Log,
    )
}  # fmt: skip
"""Every record type by its table's name."""

TRANSIENT_TABLES = frozenset({ProbeSent.TABLE, ProbeArrived.TABLE})
"""Tables whose records travel and are never stored."""

_VALUES: dict[str, Callable[[Record], tuple[Any, ...]]] = {
    table: attrgetter(*fields(kind)) for table, kind in TABLES.items()
}


def to_row(record: Record) -> list[Any]:
    """The record's values in the order of `fields`."""
    return list(_VALUES[record.TABLE](record))
