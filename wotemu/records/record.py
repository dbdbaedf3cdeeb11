"""The base of all records that a run leaves, and the version of their schema.

Times (`t`, `due`, `applied`) are seconds since the epoch on the bus's clock; durations are seconds;
sizes are bytes. `node` is the name of one replica (``reader-2``, or ``reader`` where there is one).
Records are values: the bus moves them, the recorder stores them, the report reads them.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

SCHEMA_VERSION = 6


@attrs.frozen
class Record:
    """One row of a table; `TABLE` names the table."""

    TABLE: ClassVar[str]


def fields(kind: type[Record]) -> list[str]:
    """The record's field names in the order in which they travel and are stored."""
    return [field.name for field in attrs.fields(kind)]
