"""How records travel: msgpack, values in the order of their declaration, with the schema's version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import msgpack

from wotemu.errors import EmulationError
from wotemu.records import SCHEMA_VERSION, TABLES

FIELD = b"m"
"""The field of a stream's entry that holds the message."""
ORIGIN = b"o"
"""The field that says who sent it; what can't be sent twice has none."""


@attrs.frozen
class Origin:
    """Who sent a batch of records, so that its reader sees what came twice and what never came.

    `life` is when this process began to publish (a role may live again, elsewhere); `first` is how many
    records of the table it had sent before.
    """

    source: str
    life: float
    first: int


def pack(message: Any) -> dict[bytes, bytes]:
    """A stream entry with one message."""
    return {FIELD: msgpack.packb(message)}


def unpack(entry: dict[bytes, bytes]) -> Any:
    """The message of a stream entry."""
    return msgpack.unpackb(entry[FIELD])


def pack_row(row: Sequence[Any]) -> bytes:
    """One row of a table, for `encode_packed`."""
    packed: bytes = msgpack.packb(row)
    return packed


def encode_packed(table: str, rows: Sequence[bytes]) -> dict[bytes, bytes]:
    """Rows of one table, each packed by `pack_row`, as a stream entry."""
    # By hand, since msgpack can not embed what is packed already: an array of version, table and rows.
    packer = msgpack.Packer()
    head = packer.pack_array_header(3), packer.pack(SCHEMA_VERSION), packer.pack(table)
    return {FIELD: b"".join([*head, packer.pack_array_header(len(rows)), *rows])}


def encode_batch(table: str, rows: Sequence[Sequence[Any]]) -> dict[bytes, bytes]:
    """Rows of one table as a stream entry."""
    return encode_packed(table, [pack_row(row) for row in rows])


def decode_batch(entry: dict[bytes, bytes]) -> tuple[str, list[list[Any]]]:
    """The table and the rows of an entry; `EmulationError` if another version of WoTemu wrote it."""
    version, table, rows = unpack(entry)
    if version != SCHEMA_VERSION or table not in TABLES:
        raise EmulationError(
            f"a record of table {table!r}, schema {version}, can't be read by schema {SCHEMA_VERSION}",
            where="event bus",
            hint="run the same version of WoTemu everywhere",
        )
    return table, rows


def encode_origin(origin: Origin) -> dict[bytes, bytes]:
    """The origin's part of a stream entry."""
    return {ORIGIN: msgpack.packb(attrs.astuple(origin))}


def decode_origin(entry: dict[bytes, bytes]) -> Origin | None:
    """The origin of an entry, where it has one."""
    return Origin(*msgpack.unpackb(entry[ORIGIN])) if ORIGIN in entry else None
