"""Writes tables to files as CSV, Parquet or JSON: in parts, so that their size does not matter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import polars as pl

from wotemu.errors import InputError
from wotemu.records import SCHEMA_VERSION

TableFormat = Literal["csv", "parquet", "json"]
EXPORT_SCHEMA = 1
"""Version of what exported tables look like, beside that of the records (`SCHEMA_VERSION`)."""
_FORMULA = r"^[=+\-@\t\r]"
"""How a cell begins that a spreadsheet would run (https://owasp.org/www-community/attacks/CSV_Injection)."""


def write_frame(frame: pl.LazyFrame, path: Path, form: TableFormat, name: str) -> None:
    """Write a table to a file.

    Args:
        frame: The table; it is computed in parts where its query can be.
        path: The file, which is replaced.
        form: CSV has lists as JSON, and a ``'`` before texts that a spreadsheet would run as a formula.
            JSON is an array with an object for each row; what is no finite number is null.
        name: Of the table, for its metadata and for errors.

    Raises:
        InputError: What the table is read from is damaged, or the file can't be written.
    """
    try:
        if form == "csv":
            csv_cells(frame).sink_csv(path)
        elif form == "parquet":
            frame.sink_parquet(path, metadata={"wotemu": json.dumps(versions(name))})
        else:
            _write_json(frame, path)
    except pl.exceptions.PolarsError as error:
        raise InputError(f"it can't be read: {_first_line(error)}", where=f"table {name!r}") from error
    except OSError as error:
        raise InputError(f"it can't be written: {error.strerror or error}", where=str(path)) from error


def versions(name: str) -> dict[str, str | int]:
    """What says by which rules a table was written: `EXPORT_SCHEMA`, and the records' schema."""
    return {"table": name, "export_schema": EXPORT_SCHEMA, "records_schema": SCHEMA_VERSION}


def csv_cells(frame: pl.LazyFrame) -> pl.LazyFrame:
    """The table as CSV can hold it: lists as JSON, and no text that a spreadsheet takes for a formula."""
    kinds = frame.collect_schema()
    lists = [name for name, kind in kinds.items() if isinstance(kind, pl.List)]
    texts = [name for name, kind in kinds.items() if kind in (pl.String, pl.Categorical)]
    return frame.with_columns(
        *(
            pl.format("[{}]", pl.col(name).list.eval(pl.element().cast(pl.String)).list.join(",")).alias(name)
            for name in lists
        ),
        *(_harmless(pl.col(name).cast(pl.String)).alias(name) for name in texts),
    )


def _harmless(text: pl.Expr) -> pl.Expr:
    return pl.when(text.str.contains(_FORMULA)).then(pl.lit("'") + text).otherwise(text)


def _write_json(frame: pl.LazyFrame, path: Path) -> None:
    """Lines of JSON first, which can be written in parts, and an array of them."""
    lines = path.with_name(f"{path.name}.lines")
    try:
        frame.sink_ndjson(lines, check_extension=False)
        with lines.open("rb") as rows, path.open("wb") as array:
            array.write(b"[")
            for number, row in enumerate(rows):
                array.write(b",\n" if number else b"\n")
                array.write(row.rstrip(b"\n"))
            array.write(b"\n]\n")
    finally:
        lines.unlink(missing_ok=True)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
