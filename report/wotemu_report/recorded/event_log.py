"""Reads the events of a run, one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

EVENT_SCHEMA: dict[str, pl.DataType] = {
    "t": pl.Float64(),
    "kind": pl.String(),
    "source": pl.String(),
    "message": pl.String(),
    "data": pl.String(),
}
"""`data` is JSON: its fields depend on the kind."""


def read_events(path: Path) -> tuple[pl.DataFrame, int]:
    """The events in the file, and how many of its lines can't be read, as the last one of a killed run."""
    rows, unreadable = [], 0
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            row = _event(line)
            if row is not None:
                rows.append(row)
            elif line.strip():
                unreadable += 1
    return pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row"), unreadable


def _event(line: str) -> tuple[float, str, str, str, str] | None:
    try:
        raw = json.loads(line)
        data = raw.get("data")
        return (
            float(raw["t"]),
            str(raw["kind"]),
            str(raw.get("source", "")),
            str(raw.get("message", "")),
            json.dumps(data) if isinstance(data, dict) else "{}",
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def replica_name() -> pl.Expr:
    """The replica that an event of its agent (source ``agent:reader-1``) is about."""
    return pl.col("source").str.strip_prefix("agent:")
