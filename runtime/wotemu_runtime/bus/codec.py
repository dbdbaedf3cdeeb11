"""Encodes records as stream entries: msgpack, values in the order of their declaration, a schema version."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import msgpack

from wotemu.errors import EmulationError
from wotemu.records import SCHEMA_VERSION, TABLES

FIELD = b"m"
"""The field of a stream's entry that holds the message."""
ORIGIN = b"o"
"""The field that has the sender; entries that can't come twice lack it."""


class Origin(NamedTuple):
    """The sender of a batch of records and its place in the sequence, to detect duplicates and gaps.

    `life` is when this process began to publish, in seconds since the epoch: a role that is restarted has
    another. `first` is how many records of the table it had sent before.
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


_PACKER = msgpack.Packer()
"""One for all rows: `msgpack.packb` makes one a call, which takes as long as packing a row."""


def pack_row(row: Sequence[Any]) -> bytes:
    """One row of a table, for `encode_packed`."""
    packed: bytes = _PACKER.pack(row)
    return packed


class OtherVersionError(EmulationError):
    """Another version of WoTemu wrote a record."""


def encode_packed(table: str, rows: Sequence[bytes]) -> dict[bytes, bytes]:
    """Rows of one table, each packed by `pack_row`, as a stream entry."""
    # Joined, since msgpack can not embed what is packed already.
    return {FIELD: b"".join([_head(table), _PACKER.pack_array_header(len(rows)), *rows])}


@cache
def _head(table: str) -> bytes:
    """A message up to its rows: it is an array of the version, the table and the rows."""
    head: bytes = msgpack.packb([SCHEMA_VERSION, table, None])  # nil, one byte, in the place of the rows
    return head[:-1]


def encode_batch(table: str, rows: Sequence[Sequence[Any]]) -> dict[bytes, bytes]:
    """Rows of one table as a stream entry."""
    return encode_packed(table, [pack_row(row) for row in rows])


def decode_batch(entry: dict[bytes, bytes]) -> tuple[str, list[list[Any]]]:
    """The table and the rows of an entry.

    Raises:
        OtherVersionError: another version of WoTemu wrote it.
    """
    version, table, rows = unpack(entry)
    if version != SCHEMA_VERSION or table not in TABLES:
        raise OtherVersionError(
            f"a node runs another version of WoTemu: records of schema {version}, not {SCHEMA_VERSION}",
            where="event bus",
            hint="run the same version of WoTemu everywhere",
        )
    return table, rows


def packed_rows(entry: dict[bytes, bytes], table: str) -> bytes:
    """The part of an entry's message that has the rows, as msgpack: what `msgpack.packb(rows)` gives.

    Args:
        entry: one that `decode_batch` reads as one of `table`.
    """
    return entry[FIELD][len(_head(table)) :]


def encode_origin(origin: Origin) -> dict[bytes, bytes]:
    """The origin's part of a stream entry."""
    return {ORIGIN: _PACKER.pack(origin)}


def decode_origin(entry: dict[bytes, bytes]) -> Origin | None:
    """The origin of an entry, where it has one."""
    return Origin(*msgpack.unpackb(entry[ORIGIN])) if ORIGIN in entry else None
