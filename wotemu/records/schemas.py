"""The Polars schema of every recorded table, derived from the record classes."""

from __future__ import annotations

import typing
from types import UnionType
from typing import TypeVar

import polars as pl

from wotemu.records.node_rows import APP, CANCELLED, FAILED, OK, Interaction
from wotemu.records.record import Record
from wotemu.records.tables import TABLES, TRANSIENT_TABLES

_TYPES: dict[object, pl.DataType] = {
    float: pl.Float64(),
    int: pl.Int64(),
    str: pl.String(),
    bool: pl.Boolean(),
    list[int]: pl.List(pl.Int64()),
}
Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)
_STREAMS = frozenset({"events", "logs"})


def schema(kind: type[Record]) -> dict[str, pl.DataType]:
    """Column names and types of `kind`'s table, in the order of its fields."""
    return {name: _column(hint) for name, hint in typing.get_type_hints(kind).items() if name != "TABLE"}


def _column(hint: object) -> pl.DataType:
    if typing.get_origin(hint) is UnionType:
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    return _TYPES[hint]


SCHEMAS: dict[str, dict[str, pl.DataType]] = {
    name: schema(kind) for name, kind in TABLES.items() if name not in _STREAMS | TRANSIENT_TABLES
}
"""Every table that is stored as Parquet; events and logs are stored as text."""


_DEFAULTS = {Interaction.TABLE: {"code": "", "peer": "", "origin": APP}}
"""The values of columns that runs before schema 5 lack."""


def conform(frame: Frame, table: str) -> Frame:
    """The frame, lazy or not, with exactly its table's columns.

    What an older run lacks gets the value that `_DEFAULTS` has for it, else null.

    Raises `polars.exceptions.PolarsError` where a column can't be read as its type; a lazy frame, when it is
    collected.
    """
    there = frame.collect_schema()
    if dict(there) == SCHEMAS[table]:
        return frame
    if table == Interaction.TABLE and "status" not in there and "ok" in there:
        frame = frame.with_columns(status=_status_before_schema_3())
        there = frame.collect_schema()
    defaults = _DEFAULTS.get(table, {})
    columns = [
        pl.col(name).cast(kind) if name in there else pl.lit(defaults.get(name), dtype=kind).alias(name)
        for name, kind in SCHEMAS[table].items()
    ]
    return frame.select(columns)


def _status_before_schema_3() -> pl.Expr:
    """An interaction's status from `ok` and `error`; timeouts and cancellations were one then."""
    unfinished = pl.when(pl.col("error") == CANCELLED).then(pl.lit(CANCELLED)).otherwise(pl.lit(FAILED))
    return pl.when(pl.col("ok")).then(pl.lit(OK)).otherwise(unfinished)
