"""Reads a run directory into values and frames, and says clearly what is missing or damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import polars as pl

from wotemu.errors import InputError
from wotemu.records.schemas import SCHEMAS, conform
from wotemu_report.axis import Axis, axis_of
from wotemu_report.queries.frames import natural
from wotemu_report.recorded.manifest import Manifest, Timeline

EVENT_SCHEMA: dict[str, pl.DataType] = {
    "t": pl.Float64(),
    "kind": pl.String(),
    "source": pl.String(),
    "message": pl.String(),
    "data": pl.String(),
}
_TAIL_BYTES = 64 * 1024
_TIMES = {"changes": "due"}
_OF_APPS = frozenset({"interactions", "app"})


@attrs.frozen
class LogTail:
    """The last lines of one replica's log; `size` is the whole file's, in bytes."""

    replica: str
    lines: tuple[str, ...]
    size: int
    complete: bool


@attrs.frozen(eq=False)
class RunData:
    """Everything one run left.

    Every frame with a time also has `s` (seconds since T0), `phase_no` and `phase`; for `changes` these are
    of the due time. Interactions and apps' metrics from after the scenario's end are left out: nodes are
    being stopped then. Events' `data` is JSON text. `damages` says what could not be read although the rest
    could.
    """

    run_dir: Path
    manifest: Manifest = attrs.field(repr=False)
    topology: dict[str, Any] = attrs.field(repr=False)
    timeline: Timeline = attrs.field(repr=False)
    axis: Axis = attrs.field(repr=False)
    events: pl.DataFrame = attrs.field(repr=False)
    tables: dict[str, pl.DataFrame] = attrs.field(repr=False)
    logs: tuple[LogTail, ...] = attrs.field(repr=False)
    damages: tuple[str, ...] = ()

    @classmethod
    def load(cls, run_dir: Path, *, log_lines: int = 60) -> RunData:
        """Read `run_dir`; tables without rows may be absent, a torn last line of events is left out.

        Raises `InputError` where `run_dir` holds no run, or a file of it can't be read.
        """
        manifest = _manifest(run_dir)
        damages: list[str] = []
        timeline = _timeline(run_dir, damages)
        events = _events(run_dir / "events.jsonl", damages)
        tables = {name: _table(run_dir / "tables" / f"{name}.parquet", name) for name in SCHEMAS}
        axis = _axis(manifest, timeline, tables, events)
        return cls(
            run_dir=run_dir,
            manifest=manifest,
            topology=_json(run_dir / "topology.json", damages),
            timeline=timeline,
            axis=axis,
            events=axis.place(events).sort("t", maintain_order=True),
            tables={
                name: _within_run(axis.place(frame, _TIMES.get(name, "t")), name, axis)
                for name, frame in tables.items()
            },
            logs=_logs(run_dir / "logs", log_lines),
            damages=tuple(damages),
        )


def _within_run(placed: pl.DataFrame, table: str, axis: Axis) -> pl.DataFrame:
    """The rows that say something of the scenario: what apps did while they were stopped does not."""
    return placed.filter(pl.col("s") <= axis.end_s) if table in _OF_APPS else placed


def _manifest(run_dir: Path) -> Manifest:
    path = run_dir / "manifest.json"
    if not path.is_file():
        raise InputError(
            "no manifest.json here, so this is not a run directory"
            if run_dir.is_dir()
            else "no such directory",
            where=str(run_dir),
            hint="name the directory of a run, such as runs/quickstart",
        )
    try:
        return Manifest.from_json(_json(path, []))
    except InputError as error:
        raise InputError(error.message, where=error.where or str(path), hint=error.hint) from error
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise _damaged(path, error) from error


def _timeline(run_dir: Path, damages: list[str]) -> Timeline:
    path = run_dir / "timeline.json"
    try:
        return Timeline.from_json(_json(path, damages))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise _damaged(path, error) from error


def _json(path: Path, damages: list[str]) -> dict[str, Any]:
    if not path.is_file():
        damages.append(f"{path.name} is missing: what depends on it is left out")
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error
    if not isinstance(value, dict):
        raise _damaged(path, TypeError(f"an object was expected, not {type(value).__name__}"))
    return value


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"can't be read: {error}",
        where=str(path),
        hint="the file is damaged; restore it, or run the emulation again",
    )


def _table(path: Path, name: str) -> pl.DataFrame:
    if not path.is_file() or path.stat().st_size == 0:
        return pl.DataFrame(schema=SCHEMAS[name])
    try:
        return conform(pl.read_parquet(path), name)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _damaged(path, error) from error


def _events(path: Path, damages: list[str]) -> pl.DataFrame:
    if not path.is_file():
        damages.append("events.jsonl is missing: the events are left out")
        return pl.DataFrame(schema=EVENT_SCHEMA)
    rows, broken = [], 0
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            row = _event(line)
            if row is not None:
                rows.append(row)
            elif line.strip():
                broken += 1
    if broken:
        damages.append(f"events.jsonl holds lines that can't be read, left out: {broken}")
    return pl.DataFrame(rows, schema=EVENT_SCHEMA, orient="row")


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


def _axis(
    manifest: Manifest, timeline: Timeline, tables: dict[str, pl.DataFrame], events: pl.DataFrame
) -> Axis:
    times = [value for value in _times(tables, events) if value is not None]
    origin = manifest.t0 or manifest.started or min(times, default=0.0)
    crashed = events.filter(pl.col("kind") == "app.crashed").select("t", replica()).rows()
    return axis_of(timeline, origin=origin, end_s=_end(manifest, times, origin), crashes=crashed)


def replica() -> pl.Expr:
    """The replica that an event of its agent (``agent:reader-1``) is about."""
    return pl.col("source").str.strip_prefix("agent:")


def _end(manifest: Manifest, times: list[float], origin: float) -> float:
    """How long the run was under way: as planned where it was done, else until it ended."""
    planned = manifest.duration_s or 0.0
    if manifest.status == "done" and planned > 0:
        return planned
    end = (manifest.ended or max(times, default=origin)) - origin
    return min(end, planned) if planned > 0 and manifest.t0 is not None else end


def _times(tables: dict[str, pl.DataFrame], events: pl.DataFrame) -> list[float | None]:
    frames = [(frame, _TIMES.get(name, "t")) for name, frame in tables.items()] + [(events, "t")]
    return [bound for frame, time in frames if frame.height for bound in _bounds(frame[time])]


def _bounds(times: pl.Series) -> tuple[float | None, float | None]:
    low, high = times.min(), times.max()
    return (
        float(low) if isinstance(low, int | float) else None,
        float(high) if isinstance(high, int | float) else None,
    )


def _logs(folder: Path, lines: int) -> tuple[LogTail, ...]:
    if not folder.is_dir():
        return ()
    return tuple(_tail(path, lines) for path in sorted(folder.glob("*.log"), key=_in_order))


def _in_order(path: Path) -> tuple[bool, tuple[tuple[str, int], ...]]:
    """By name; what WoTemu's own roles printed comes last."""
    return path.stem.startswith("_"), natural(path.stem)


def _tail(path: Path, lines: int) -> LogTail:
    """The last `lines` lines, from the last 64 KiB, so that a huge log costs nothing."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    found = text.splitlines()
    if size > _TAIL_BYTES and len(found) > 1:
        found = found[1:]
    return LogTail(path.stem, tuple(found[-lines:]), size, size <= _TAIL_BYTES and len(found) <= lines)
