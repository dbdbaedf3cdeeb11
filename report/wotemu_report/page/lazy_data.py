"""What the page holds compressed and reads only when somebody opens it: the rows of folded tables."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterable
from typing import Any

from wotemu_report.blocks import Column, Section, Table
from wotemu_report.page.cells import cell, tone

Json = dict[str, Any]
Cell = str | list[str | float | None]


def packed(value: Json) -> str:
    """JSON, deflated and in base64: the browser has both."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode("utf-8", errors="replace"), 9)).decode()


def folds(parts: Iterable[Section], *, long: bool) -> Json:
    """The folded rows of each table by its element's id."""
    return {
        f"{part.id}-{number}": {
            "columns": [column.format for column in block.columns],
            "rows": [[row_cells(block.columns, row, long=long) for row in rows] for rows in block.folded],
        }
        for part in parts
        for number, block in enumerate(part.blocks, 1)
        if isinstance(block, Table) and block.folded
    }


def row_cells(columns: Iterable[Column], row: Iterable[Any], *, long: bool) -> list[Cell]:
    """A row's cells: a text, or the text, the number to sort by, and a state's colour."""
    return [_cell(column, value, long=long) for column, value in zip(columns, row, strict=True)]


def _cell(column: Column, value: Any, *, long: bool) -> Cell:
    text = cell(value, column.format, long=long)
    if column.format == "status":
        return [text, None, tone(value)]
    if isinstance(value, int | float) and math.isfinite(value):
        return [text, value]
    return text
