"""Folds long tables: a row for each group, which opens to the rows that it stands for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from wotemu.wording import counted
from wotemu_report.blocks import Column, Fold, Table

LEAST_ROWS = 40
"""Shorter tables are not folded."""
_MAX_FOLDED = 2500
_BY_FORMAT: Mapping[str, Fold] = {
    "int": "sum", "bytes": "sum", "number": "max", "ms": "max", "answer": "max", "percent": "max",
    "instant": "min",
}  # fmt: skip
_WORST_FIRST = ("INVALID", "SUSPECT", "VALID", "not recovered", "recovered", "unaffected", "no data")

Row = Sequence[Any]


def folded(
    table: Table, by: Sequence[str], named: Mapping[str, Sequence[str]], *, least_rows: int = LEAST_ROWS
) -> Table:
    """A table with its rows folded, where it is long and folding makes it shorter.

    A folded row has sums of counts and sizes, and the worst of anything else: the greatest, unless the column
    says otherwise.

    Args:
        table: With every row; `total` is how many there are.
        by: The labels of the columns in which the rows that are folded to one agree.
        named: Other values of some columns to go by, for each row: groups of nodes instead of nodes.
        least_rows: Shorter tables stay as they are.
    """
    rows = list(table.rows)
    if len(rows) < least_rows:
        return table
    labels = [column.label for column in table.columns]
    replaced = {labels.index(label): names for label, names in named.items()}
    keys = [labels.index(label) for label in by]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for number, row in enumerate(rows):
        key = tuple(replaced[column][number] if column in replaced else row[column] for column in keys)
        groups.setdefault(key, []).append(row)
    if len(groups) == len(rows):
        return table
    heads = [_head(table.columns, dict(zip(keys, key, strict=True)), some) for key, some in groups.items()]
    return attrs.evolve(
        table,
        rows=heads,
        folded=_folded_at_most(list(groups.values())),
        total=max(table.total or 0, len(rows)),
    )


def at_most(table: Table, rows: int) -> Table:
    """A table with its first rows alone, and how many there are."""
    if len(table.rows) <= rows:
        return table
    return attrs.evolve(
        table, rows=table.rows[:rows], folded=table.folded[:rows], total=table.total or table.listed
    )


def _folded_at_most(groups: list[list[Row]]) -> list[list[Row]]:
    """The rows below each head; a single one needs none. In all not more than a page has room for."""
    room = _MAX_FOLDED
    kept = []
    for rows in groups:
        below = rows[:room] if len(rows) > 1 else []
        room -= len(below)
        kept.append(below)
    return kept


def _head(columns: Sequence[Column], known: Mapping[int, Any], rows: list[Row]) -> Row:
    if len(rows) == 1:
        return rows[0]
    return [
        known[number] if number in known else _one(column, [row[number] for row in rows])
        for number, column in enumerate(columns)
    ]


def _one(column: Column, values: list[Any]) -> Any:
    """What stands for all `values` of a column."""
    fold = column.fold or _BY_FORMAT.get(column.format)
    distinct = list(dict.fromkeys(values))
    if len(distinct) == 1 and fold != "sum":
        return distinct[0]
    if fold is not None:
        return _FOLDS[fold]([value for value in values if _is_number(value)])
    if column.format == "status":
        return min((str(value) for value in distinct), key=_severity)
    return counted(len(distinct), "value")


def _severity(verdict: str) -> int:
    return _WORST_FIRST.index(verdict) if verdict in _WORST_FIRST else len(_WORST_FIRST)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not math.isnan(value)


_FOLDS: Mapping[Fold, Callable[[list[Any]], Any]] = {
    "sum": sum,
    "max": lambda values: max(values, default=None),
    "min": lambda values: min(values, default=None),
}
