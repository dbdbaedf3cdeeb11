"""Reads a run directory into values and tables, and names what is missing or damaged."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import polars as pl

from wotemu.errors import InputError
from wotemu.records.schemas import SCHEMAS, conform
from wotemu.scenario.timeline import Timeline
from wotemu_report.axis import Axis, make_axis
from wotemu_report.recorded.event_log import EVENT_SCHEMA, read_events, replica_name
from wotemu_report.recorded.from_json import from_json
from wotemu_report.recorded.log_tails import LogTail, read_log_tails
from wotemu_report.recorded.manifest import Manifest

_TIME_COLUMNS = {"changes": "due"}
"""The time of a row, in tables that have no `t`."""
_OF_APPS = frozenset({"interactions", "app"})


@attrs.frozen(eq=False)
class RunData:
    """All that one run recorded.

    Every table with a time also has `s` (seconds since T0), `phase_no` and `phase`; for `changes` these are
    of the due time. Interactions and apps' metrics from after the scenario's end are left out: nodes are
    being stopped then.

    Attributes:
        topology: As its JSON file has it.
        events: See `recorded.event_log`.
        tables: By name; see `wotemu.records.schemas`.
        damages: What could not be read although the rest could, a sentence each.
    """

    run_dir: Path
    manifest: Manifest = attrs.field(repr=False)
    topology: Mapping[str, Any] = attrs.field(repr=False)
    timeline: Timeline = attrs.field(repr=False)
    axis: Axis = attrs.field(repr=False)
    events: pl.DataFrame = attrs.field(repr=False)
    tables: Mapping[str, pl.DataFrame] = attrs.field(repr=False)
    logs: tuple[LogTail, ...] = attrs.field(repr=False)
    damages: tuple[str, ...] = ()

    @classmethod
    def load(cls, run_dir: Path, *, log_lines: int = 60) -> RunData:
        """Read a run directory; tables without rows may be absent, a torn last line of events is left out.

        Args:
            run_dir: The directory.
            log_lines: How many of the last lines of each log to read.

        Raises:
            InputError: `run_dir` holds no run, or a file of it can't be read.
        """
        manifest = _manifest(run_dir)
        damages: list[str] = []
        timeline = _timeline(run_dir / "timeline.json", damages)
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
                name: _within_run(axis.place(frame, _TIME_COLUMNS.get(name, "t")), name, axis)
                for name, frame in tables.items()
            },
            logs=read_log_tails(run_dir / "logs", log_lines),
            damages=tuple(damages),
        )

    def network_names(self) -> list[str]:
        """The topology's networks in its order, then any that only the tables or the manifest have."""
        declared = [str(network.get("name", "")) for network in self.topology.get("networks") or ()]
        seen = [str(name) for name in self.tables["flows"]["network"].unique().sort()]
        seen += [network for replica in self.manifest.replicas for network in replica.addresses]
        return list(dict.fromkeys([*declared, *seen]))


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
    with _naming(path):
        return Manifest.from_dict(_json(path, []))


def _timeline(path: Path, damages: list[str]) -> Timeline:
    with _naming(path):
        timeline = from_json(Timeline, _json(path, damages))
    # Phases are found by binary search, and a file that was edited may be out of order.
    return attrs.evolve(
        timeline,
        phases=tuple(sorted(timeline.phases, key=lambda phase: phase.start_s)),
        changes=tuple(sorted(timeline.changes, key=lambda change: (change.at_s, change.id))),
    )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Raise `InputError`, which names the file, for whatever shows that it is damaged."""
    try:
        yield
    except InputError as error:
        raise InputError(error.message, where=error.where or str(path), hint=error.hint) from error
    except (OSError, TypeError, ValueError, KeyError, AttributeError, pl.exceptions.PolarsError) as error:
        raise InputError(
            f"can't be read: {error}",
            where=str(path),
            hint="the file is damaged; restore it, or run the emulation again",
        ) from error


def _json(path: Path, damages: list[str]) -> dict[str, Any]:
    if not path.is_file():
        damages.append(f"{path.name} is missing: what depends on it is left out")
        return {}
    with _naming(path):
        value = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise TypeError(f"an object was expected, not {type(value).__name__}")
    return value


def _table(path: Path, name: str) -> pl.DataFrame:
    # A run writes no file for a table without rows.
    if not path.is_file() or path.stat().st_size == 0:
        return pl.DataFrame(schema=SCHEMAS[name])
    with _naming(path):
        return conform(pl.read_parquet(path), name)


def _events(path: Path, damages: list[str]) -> pl.DataFrame:
    if not path.is_file():
        damages.append("events.jsonl is missing: the events are left out")
        return pl.DataFrame(schema=EVENT_SCHEMA)
    events, unreadable = read_events(path)
    if unreadable:
        damages.append(f"events.jsonl holds lines that can't be read, left out: {unreadable}")
    return events


def _axis(
    manifest: Manifest, timeline: Timeline, tables: Mapping[str, pl.DataFrame], events: pl.DataFrame
) -> Axis:
    times = list(_times(tables, events))
    origin = manifest.t0 or manifest.started or min(times, default=0.0)
    crashed = events.filter(pl.col("kind") == "app.crashed").select("t", replica_name()).rows()
    return make_axis(
        timeline.phases,
        origin=origin,
        end_s=_end(manifest, times, origin),
        marks=(change.at_s for change in timeline.changes),
        crashes=crashed,
    )


def _end(manifest: Manifest, times: list[float], origin: float) -> float:
    """How long the run was under way, in seconds: as planned where it was done, else until it ended."""
    planned = manifest.duration_s or 0.0
    if manifest.status == "done" and planned > 0:
        return planned
    # A run that was killed has no end in its manifest: its last record is the best that there is.
    end = (manifest.ended or max(times, default=origin)) - origin
    return min(end, planned) if planned > 0 and manifest.t0 is not None else end


def _times(tables: Mapping[str, pl.DataFrame], events: pl.DataFrame) -> Iterator[float]:
    """The first and the last time of each table and of the events, in epoch seconds."""
    columns = [frame[_TIME_COLUMNS.get(name, "t")] for name, frame in tables.items()]
    for times in (*columns, events["t"]):
        for bound in (times.min(), times.max()):
            if isinstance(bound, int | float):
                yield float(bound)
