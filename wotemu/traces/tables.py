"""Tables with a line for each point in time, whatever their columns: CSV, or separated by blanks."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import attrs

from wotemu.traces.column_mapping import MappedColumn
from wotemu.traces.recording import CONDITION_COLUMNS, Column, Recording, Row, TraceImportError

Header = Literal["named", "none"]


@attrs.frozen
class TableFormat:
    """How a table is written.

    Attributes:
        columns: What is taken from it.
        header: Whether its first line names the columns; without, they have numbers from 1.
        separator: Between cells; None for any blanks.
        nothing: Cells that stand for "not measured": the condition stays as it was.
        assumptions: What a user has to know.
        loaded_rtt: Why latencies contain the path's own queue, where they do.
    """

    columns: tuple[MappedColumn, ...]
    header: Header = "named"
    separator: str | None = ","
    nothing: frozenset[str] = frozenset({"", "-", "nan", "NaN", "NA", "null", "None"})
    assumptions: tuple[str, ...] = ()
    loaded_rtt: str | None = None


def read_table(lines: Sequence[str], name: str, form: TableFormat) -> Recording:
    """Read a table.

    Rows with the time of the row before are merged into it, the last value of each condition wins. A row in
    which nothing was measured leaves all conditions as they are.

    Args:
        lines: Of the file; ``#`` begins a comment, empty lines don't count.
        name: What messages name.
        form: Its columns.

    Raises:
        TraceImportError: It names the file, line and column that is wrong.
    """
    rows = [
        (n, line) for n, line in enumerate(lines, 1) if line.strip() and not line.lstrip().startswith("#")
    ]
    if not rows:
        raise TraceImportError("it is empty", where=name)
    if form.header == "named":
        names = _cells(rows[0][1], form.separator)
        places = _places(names, form.columns, f"{name}, line {rows[0][0]}")
        rows = rows[1:]
    else:
        places = {column.source: int(column.source) - 1 for column in form.columns}
    if not rows:
        raise TraceImportError("it has no rows below its header", where=name)
    read: list[tuple[float, dict[Column, float]]] = []
    merged = keep_end_s = 0.0
    for number, line in rows:
        where = f"{name}, line {number}"
        numbers = _numbers(_cells(line, form.separator), places, form, where)
        if "keep" in numbers:
            t_s, keep_end_s = keep_end_s, keep_end_s + _positive(numbers["keep"], where)
        else:
            if "t" not in numbers:
                raise TraceImportError("the row has no time", where=where)
            t_s = numbers["t"]
        values = _checked(numbers, where)
        if read and t_s < read[-1][0]:
            raise TraceImportError(f"its time comes {read[-1][0] - t_s:g} s before the last", where=where)
        if read and t_s == read[-1][0]:
            read[-1][1].update(values)
            merged += 1
        else:
            read.append((t_s, values))
    return _recording(read, form, merged=int(merged), end_s=keep_end_s or None, name=name)


def _recording(
    read: Sequence[Row], form: TableFormat, *, merged: int, end_s: float | None, name: str
) -> Recording:
    start_s = read[0][0]
    placed = [(round(t_s - start_s, 6), values) for t_s, values in read]
    rows = tuple(row for row in placed if row[1])
    if not rows:
        raise TraceImportError("no row has a value of any condition", where=name)
    last_s = placed[-1][0]
    length_s = end_s or last_s + (last_s - placed[-2][0] if len(placed) > 1 else 1.0)
    sources = {CONDITION_COLUMNS[c.target]: str(c) for c in form.columns if c.target in CONDITION_COLUMNS}
    said = [*form.assumptions]
    if merged:
        said.append(f"{merged} rows repeat the time of the row before and are merged into it")
    if len(rows) < len(placed):
        said.append(f"{len(placed) - len(rows)} rows in which nothing was measured are left out")
    return Recording(rows, length_s, sources, tuple(said), form.loaded_rtt)


def _cells(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]


def _places(names: Sequence[str], columns: Sequence[MappedColumn], where: str) -> dict[str, int]:
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    for column in columns:
        if column.source not in places:
            raise TraceImportError(
                f"there is no column {column.source!r}", where=where, hint=f"it has {', '.join(names)}"
            )
    return places


def _numbers(
    cells: Sequence[str], places: Mapping[str, int], form: TableFormat, where: str
) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for column in form.columns:
        place = places[column.source]
        if place >= len(cells):
            raise TraceImportError(f"it ends before its column {column.source}", where=where)
        cell = cells[place]
        if cell in form.nothing:
            continue
        try:
            numbers[column.target] = column.read(cell)
        except ValueError as error:
            raise TraceImportError(
                f"{cell[:40]!r} is not {_what(column)}", where=f"{where}, column {column.source}"
            ) from error
    return numbers


def _what(column: MappedColumn) -> str:
    return f"a time as {column.unit}" if column.target == "t" else f"a number of {column.unit}"


def _positive(seconds: float, where: str) -> float:
    if not 0 < seconds < math.inf:
        raise TraceImportError(f"{seconds:g} s is no time that a row can last", where=where)
    return seconds


def _checked(numbers: Mapping[str, float], where: str) -> dict[Column, float]:
    values: dict[Column, float] = {}
    for target, column in CONDITION_COLUMNS.items():
        if target not in numbers:
            continue
        value = numbers[target]
        most = 1.0 if target == "loss" else math.inf
        if target == "loss" and 1 < value < 1 + 1e-9:
            value = 1.0
        if not (0 <= value <= most and math.isfinite(value)):
            raise TraceImportError(f"{target}: {value:g} can't be", where=where)
        if column == "rate_bps" and value < 8:
            value = 0.0  # below a byte a second: an outage, in which packets wait
        values[column] = value
    return values
