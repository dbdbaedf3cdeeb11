"""The report's data as JSON, for programs: the same figures and tables as on the page, as numbers.

{
  "schema": 1,
  "run": the run's manifest.json,
  "axis": {"t0": epoch seconds, "end_s": ..., "phases": [{"name": ..., "start_s": ..., "end_s": ...}]},
  "damages": [what of the run directory could not be read],
  "sections": [{"id": "interactions", "title": ..., "lead": ..., "blocks": [...]}]
}

A block has a `kind`, a `title` and what that kind has:

table    `columns` [{"label", "unit", "hint"}], `rows` [[...]], and `total`, the rows there are (null: all)
figure   `data`: a list of its layers' rows, [[{"series": ..., "s": seconds after T0, ...}]]
tiles    `tiles` [{"label", "value", "detail", "tone"}]
matrix   `columns` [...], `rows` [{"name", "cells": [{"text", "tip"} or null]}]
diagram  `networks` [{"name", "detail"}], `nodes` [{"name", "detail", "kind", "links": [...]}]
logs     `logs` [{"name", "note", "text"}]
empty    `text`: why there is nothing

The unit of a column is "ms", "bytes", "s after T0", "share" (1 is all), or "" for counts, numbers and texts.
What is unknown is null.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
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
    Section,
    Table,
    Tiles,
)
from wotemu_report.charts import series
from wotemu_report.recorded.dataset import RunData
from wotemu_report.sections import sections

SCHEMA = 1
_UNITS = {"ms": "ms", "answer": "ms", "bytes": "bytes", "instant": "s after T0", "percent": "share"}

Json = dict[str, Any]


def as_json(run: RunData) -> Json:
    """The whole report of `run`."""
    axis = run.axis
    return {
        "schema": SCHEMA,
        "run": json.loads((run.run_dir / "manifest.json").read_bytes()),
        "axis": {
            "t0": run.manifest.t0,
            "end_s": axis.end_s,
            "phases": [attrs.asdict(span) for span in axis.phases],
        },
        "damages": list(run.damages),
        "sections": [_section(section) for section in sections(run)],
    }


def text_of(run_dir: Path) -> str:
    """`as_json` of the run in `run_dir` as a file holds it."""
    return json.dumps(as_json(RunData.load(run_dir)), indent=1, allow_nan=False)


def _section(section: Section) -> Json:
    blocks = [{"kind": block.KIND, **_block(block)} for block in section.blocks]
    return {"id": section.id, "title": section.title, "lead": section.lead, "blocks": blocks}


def _block(block: Block) -> Json:
    match block:
        case Table():
            return {
                "title": block.title,
                "caption": block.caption,
                "columns": [_column(column) for column in block.columns],
                "rows": [[_known(cell) for cell in row] for row in block.rows],
                "total": block.total,
            }
        case Figure():
            return {"title": block.title, "caption": block.caption, "data": list(_rows(block.spec))}
        case Tiles():
            return {"title": "", "tiles": [attrs.asdict(tile) for tile in block.tiles]}
        case Matrix():
            rows = [
                {
                    "name": name,
                    "cells": [
                        None if cell is None else {"text": cell.text, "tip": cell.tip} for cell in cells
                    ],
                }
                for name, cells in block.rows
            ]
            return {
                "title": block.title,
                "caption": block.caption,
                "columns": list(block.columns),
                "rows": rows,
            }
        case Diagram():
            return _diagram(block)
        case Logs():
            logs = [{"name": log.name, "note": log.note, "text": log.text} for log in block.logs]
            return {"title": "", "logs": logs}
        case Empty():
            return {"title": block.title, "text": block.text}
        case _:
            raise TypeError(f"{type(block).__name__} has no shape in JSON")


def _column(column: Column) -> Json:
    return {"label": column.label, "unit": _UNITS.get(column.format, ""), "hint": column.hint}


def _known(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)


def _diagram(block: Diagram) -> Json:
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
                    {"network": stop.network, "address": stop.address, "conditions": stop.conditions}
                    for stop in line.stops
                ],
            }
            for line in block.lines
        ],
    }


def _rows(spec: Json) -> Iterator[list[Json]]:
    """The rows of each of a chart's own datasets, once; what marks its axis is left out."""
    seen: set[str] = set()
    for data in _data_of(spec):
        name, kinds = data["name"], data["format"]["parse"]
        if name in seen or tuple(kinds) in series.MARKS_OF_AXIS:
            continue
        seen.add(name)
        table = csv.DictReader(io.StringIO(spec["datasets"][name]))
        yield [{key: _read(value, kinds[key]) for key, value in row.items()} for row in table]


def _data_of(spec: Json) -> Iterator[Json]:
    if "name" in spec.get("data", {}):
        yield spec["data"]
    for layer in spec.get("layer", ()):
        yield from _data_of(layer)


def _read(value: str, kind: str) -> object:
    if kind != "number":
        return value
    return float(value) if value else None
