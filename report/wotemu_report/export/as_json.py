"""The report's data as JSON, for programs: the same figures and tables as on the page, as numbers.

{
  "schema": 1,
  "run": the run's manifest.json,
  "axis": {"t0": epoch seconds, "end_s": ..., "phases": [{"name": ..., "start_s": ..., "end_s": ...}]},
  "damages": [files of the run directory that could not be read],
  "sections": [{"id": "interactions", "title": ..., "lead": ..., "blocks": [...]}]
}

A block has a `kind`, a `title` and what that kind has:

table    `columns` [{"label", "unit", "hint"}], `rows` [[...]], `total`, the rows there are (null: these),
         and `folded`, the rows that each of `rows` stands for ([]: none is folded)
figure   `data`: a list of its layers' rows, [[{"series": ..., "s": seconds after T0, ...}]]
tiles    `tiles` [{"label", "value", "detail", "tone"}]
matrix   `columns` [...], `rows` [{"name", "cells": [{"text", "tip"} or null]}]
diagram  `networks` [{"name", "detail"}], `nodes` [{"name", "detail", "kind", "links": [...]}]
logs     `logs` [{"name", "note", "text"}]
nodes    `groups` [{"name", "nodes": [{"name", "note"}]}]
empty    `text`: why there is nothing

The unit of a column is "ms", "bytes", "s after T0", "share" (1 is all), or "" for counts, numbers and texts.
Unknown values are null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import singledispatch
from pathlib import Path
from typing import Any

import attrs

from wotemu_report.blocks import (
    Block,
    Column,
    Diagram,
    Empty,
    Figure,
    Logs,
    Matrix,
    MatrixCell,
    NodePages,
    Section,
    Table,
    Tiles,
)
from wotemu_report.charts.layers import Layer
from wotemu_report.recorded.run_data import RunData, reading
from wotemu_report.sections import sections

SCHEMA = 1
_UNITS = {"ms": "ms", "answer": "ms", "bytes": "bytes", "instant": "s after T0", "percent": "share"}

Json = dict[str, Any]


def as_json(run: RunData) -> Json:
    """The report of `run`, in the shape that this module describes."""
    axis = run.axis
    return {
        "schema": SCHEMA,
        "run": _manifest(run),
        "axis": {
            "t0": run.manifest.t0,
            "end_s": axis.end_s,
            "phases": [attrs.asdict(span) for span in axis.phases],
        },
        "damages": list(run.gaps),
        "sections": [_section(section) for section in sections(run)],
    }


def _manifest(run: RunData) -> Json:
    """The manifest as stored, but for a run that goes on: its file says how it would have ended if killed."""
    stored: Json = json.loads((run.run_dir / "manifest.json").read_bytes())
    return stored | {"status": run.manifest.status, "error": run.manifest.error}


def text_of(run_dir: Path, damages: Sequence[str] = (), *, goes_on: bool = False) -> str:
    """`as_json` of the run in `run_dir`, as a file holds it; see `wotemu_report.write_report`."""
    return json.dumps(reading(run_dir, as_json, damages, goes_on=goes_on), indent=1, allow_nan=False)


def _section(section: Section) -> Json:
    blocks = [{"kind": block.KIND, **_block(block)} for block in section.blocks]
    return {"id": section.id, "title": section.title, "lead": section.lead, "blocks": blocks}


@singledispatch
def _block(block: Block) -> Json:
    raise TypeError(f"{type(block).__name__} has no shape in JSON")


@_block.register
def _(block: Table) -> Json:
    return {
        "title": block.title,
        "caption": block.caption,
        "columns": [_column(column) for column in block.columns],
        "rows": [[_known(cell) for cell in row] for row in block.rows],
        "total": block.total,
        "folded": [[[_known(cell) for cell in row] for row in rows] for rows in block.folded],
    }


@_block.register
def _(block: Figure) -> Json:
    return {"title": block.title, "caption": block.caption, "data": [_rows(each) for each in block.layers]}


@_block.register
def _(block: Tiles) -> Json:
    return {"title": "", "tiles": [attrs.asdict(tile) for tile in block.tiles]}


@_block.register
def _(block: Matrix) -> Json:
    return {
        "title": block.title,
        "caption": block.caption,
        "columns": list(block.columns),
        "rows": [{"name": name, "cells": [_cell(cell) for cell in cells]} for name, cells in block.rows],
    }


@_block.register
def _(block: Diagram) -> Json:
    return {
        "title": block.title,
        "caption": block.caption,
        "networks": [{"name": lane.name, "detail": lane.detail} for lane in block.lanes],
        "nodes": [
            {
                "name": line.name,
                "detail": line.detail,
                "kind": line.kind,
                "links": [
                    {
                        "network": link.network,
                        "address": link.address,
                        "conditions": link.conditions,
                        "trouble": link.trouble,
                        "suffered": link.suffered,
                    }
                    for link in line.links
                ],
            }
            for line in block.lines
        ],
    }


@_block.register
def _(block: Logs) -> Json:
    logs = [{"name": log.name, "note": log.note, "text": log.text} for log in block.logs]
    return {"title": "", "logs": logs}


@_block.register
def _(block: NodePages) -> Json:
    return {
        "title": "",
        "groups": [
            {"name": group.name, "nodes": [{"name": node.name, "note": node.note} for node in group.nodes]}
            for group in block.groups
        ],
    }


@_block.register
def _(block: Empty) -> Json:
    return {"title": block.title, "text": block.text}


def _column(column: Column) -> Json:
    return {"label": column.label, "unit": _UNITS.get(column.format, ""), "hint": column.hint}


def _cell(cell: MatrixCell | None) -> Json | None:
    return None if cell is None else {"text": cell.text, "tip": cell.tip}


def _rows(layer: Layer) -> list[Json]:
    return [{name: _known(cell) for name, cell in row.items()} for row in layer.rows.iter_rows(named=True)]


def _known(value: object) -> object:
    """The value, or null where it is no finite number: JSON has no NaN and no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)
