"""Writes a recording as the CSV trace that ``.replay`` takes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from wotemu.errors import InputError
from wotemu.traces.recording import COLUMNS, Recording, Row

_DIGITS = {"latency_ms": 4, "jitter_ms": 4, "loss": 6, "rate_bps": 0}


def trace_text(recording: Recording, provenance: Iterable[str]) -> str:
    """The text of a trace, with comments that say where it comes from.

    Args:
        recording: Rows that begin at 0.
        provenance: Lines for the head, such as the source and its checksum.
    """
    columns = recording.columns
    head = [f"# {_one_line(line)}" for line in (*provenance, *recording.assumptions)]
    lines = [",".join(("t", *columns))]
    for t_s, values in _with_length(recording):
        cells = (_number(values[c], _DIGITS[c]) if c in values else "" for c in columns)
        lines.append(",".join((_number(t_s, 6), *cells)))
    return "\n".join((*head, *lines)) + "\n"


def write_trace(recording: Recording, path: Path, provenance: Iterable[str]) -> None:
    """Write a trace.

    Raises:
        InputError: The file can't be written.
    """
    try:
        path.write_text(trace_text(recording, provenance), "utf-8")
    except OSError as error:
        raise InputError(f"it can't be written: {error.strerror}", where=str(path)) from error


def source_line(path: Path, content: bytes) -> str:
    """Name a source by its file's name, which is no machine's path, and the checksum of its content."""
    return f"source: {path.name}, sha256 {hashlib.sha256(content).hexdigest()}"


def _with_length(recording: Recording) -> list[Row]:
    """The rows, the last one repeated half way to the end.

    A trace's last row lasts as long as the one before it, so this makes the trace as long as the recording.
    """
    rows = list(recording.rows)
    last_s, values = rows[-1]
    half_s = round((recording.length_s - last_s) / 2, 6)
    if half_s > 0:
        rows.append((last_s + half_s, {c: values[c] for c in COLUMNS if c in values}))
    return rows


def _number(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _one_line(text: str) -> str:
    return " ".join(text.split())
