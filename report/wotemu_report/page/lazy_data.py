"""What the page holds compressed and reads only when somebody opens it: folded rows, and nodes' pages."""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterable
from typing import Any

import polars as pl

from wotemu_report.blocks import Column, NodePage, NodePages, Section, Table
from wotemu_report.charts.layers import compact
from wotemu_report.page.cells import cell, tone

_LEVEL = 6
"""Of zlib: 9 takes twice the time for 3 % less."""

Json = dict[str, Any]
Cell = str | list[str | float | None]


def packed(value: Json) -> str:
    """JSON, deflated and in base64: the browser has both."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode("utf-8", errors="replace"), _LEVEL)).decode()


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


def node_pages(block: NodePages | None, *, long: bool) -> Json:
    """Each node's tables, its chart's rows and its log, by its element's id."""
    if block is None:
        return {}
    return {node.id: _node_page(node, long=long) for group in block.groups for node in group.nodes}


def _node_page(node: NodePage, *, long: bool) -> Json:
    points = None if node.points is None else compact(_finite(node.points.drop("node"))).write_csv()
    tables = [
        {
            "title": table.title,
            "caption": table.caption,
            "labels": [column.label for column in table.columns],
            "columns": [column.format for column in table.columns],
            "rows": [row_cells(table.columns, row, long=long) for row in table.rows],
            "total": table.total,
        }
        for table in node.tables
    ]
    return {"tables": tables, "points": points, "log": node.log}


def _finite(rows: pl.DataFrame) -> pl.DataFrame:
    floats = pl.selectors.float()
    return rows.with_columns(pl.when(floats.is_finite()).then(floats))
