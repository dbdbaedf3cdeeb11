"""Reads a run directory into values and tables, and names what is missing or damaged."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import polars as pl

from wotemu.errors import InputError
from wotemu.records.schemas import SCHEMAS
from wotemu.scenario.timeline import Timeline
from wotemu_report.axis import Axis, make_axis
from wotemu_report.recorded.event_log import EVENT_SCHEMA, read_events, replica_name
from wotemu_report.recorded.from_json import from_json
from wotemu_report.recorded.log_tails import LogTail, read_log_tails
from wotemu_report.recorded.manifest import RUNNING, Manifest
from wotemu_report.recorded.stored_tables import scan_tables

Used = TypeVar("Used")

_TIME_COLUMNS = {"changes": "due"}
"""The time of a row, in tables that have no `t`."""
_OF_APPS = frozenset({"interactions", "requests", "app"})


@attrs.frozen(eq=False)
class RunData:
    """All that one run recorded.

    Every table with a time also has `s` (seconds since T0), `phase_no` and `phase`; for `changes` these are
    of the due time; and one whose rows are of replicas has `group`: the topology's node that each is a copy
    of. Interactions, requests and apps' metrics from after the scenario's end are left out: nodes are being
    stopped then.

    Attributes:
        topology: As its JSON file has it.
        events: See `recorded.event_log`.
        tables: By name; see `wotemu.records.schemas`. They are lazy, and read from their files by each query
            that collects them: with ``engine="streaming"``, since they may be larger than the memory.
        rows: How many rows each table has.
        damages: What could not be read although the rest could, a sentence each.
        state: That a run has no end yet, and what is missing for that; "" for one that is over.
    """

    run_dir: Path
    manifest: Manifest = attrs.field(repr=False)
    topology: Mapping[str, Any] = attrs.field(repr=False)
    timeline: Timeline = attrs.field(repr=False)
    axis: Axis = attrs.field(repr=False)
    events: pl.DataFrame = attrs.field(repr=False)
    tables: Mapping[str, pl.LazyFrame] = attrs.field(repr=False)
    rows: Mapping[str, int] = attrs.field(repr=False)
    logs: tuple[LogTail, ...] = attrs.field(repr=False)
    damages: tuple[str, ...] = ()
    state: str = ""

    @classmethod
    def load(
        cls,
        run_dir: Path,
        *,
        log_lines: int = 60,
        damages: Sequence[str] = (),
        goes_on: bool = False,
        check: bool = False,
    ) -> RunData:
        """Read a run directory; tables without rows may be absent, a torn last line of events is left out.

        Args:
            run_dir: The directory.
            log_lines: How many of the last lines of each log to read.
            damages: What is known already to be missing.
            goes_on: Whether the run is known to go on; its own manifest says how it would have ended if
                killed.
            check: Whether to read each table whole, to leave out what can't be read. See `reading`.

        Raises:
            InputError: `run_dir` holds no run, or a file of it that all depends on can't be read.
        """
        manifest = _manifest(run_dir).as_of_now(goes_on=goes_on)
        found = list(damages)
        timeline = _timeline(run_dir / "timeline.json", found)
        events = _events(run_dir / "events.jsonl", found)
        tables = scan_tables(run_dir, found, check=check)
        try:
            extents = _extents(tables)
        except pl.exceptions.PolarsError:
            if check:
                raise
            return cls.load(run_dir, log_lines=log_lines, damages=damages, goes_on=goes_on, check=True)
        axis = _axis(manifest, timeline, extents, events)
        rows = {name: extent.rows for name, extent in extents.items()}
        found += _missing(manifest, rows)
        owners = manifest.node_of()
        return cls(
            run_dir=run_dir,
            manifest=manifest,
            topology=_json(run_dir / "topology.json", found),
            timeline=timeline,
            axis=axis,
            events=axis.place(events).sort("t", maintain_order=True),
            tables={name: _placed(frame, name, axis, owners) for name, frame in tables.items()},
            rows=rows,
            logs=read_log_tails(run_dir / "logs", log_lines),
            damages=tuple(found),
            state=_state(manifest, axis),
        )

    @property
    def gaps(self) -> tuple[str, ...]:
        """All that is missing, a sentence each: `state` and `damages`."""
        return (*([self.state] if self.state else []), *self.damages)

    def network_names(self) -> list[str]:
        """The topology's networks in its order, then any that only the tables or the manifest have."""
        declared = [str(network.get("name", "")) for network in self.topology.get("networks") or ()]
        flows = self.tables["flows"].select(pl.col("network").unique().sort()).collect(engine="streaming")
        seen = [str(name) for name in flows["network"]]
        seen += [network for replica in self.manifest.replicas for network in replica.addresses]
        return list(dict.fromkeys([*declared, *seen]))


def reading(
    run_dir: Path, use: Callable[[RunData], Used], damages: Sequence[str] = (), *, goes_on: bool = False
) -> Used:
    """What `use` makes of a run; where it meets damage within a table, again without what can't be read.

    Args:
        run_dir: The run directory.
        use: Queries the run.
        damages: What is known already to be missing.
        goes_on: Whether the run is known to go on.

    Raises:
        InputError: See `RunData.load`.
    """
    try:
        return use(RunData.load(run_dir, damages=damages, goes_on=goes_on))
    except pl.exceptions.PolarsError:
        return use(RunData.load(run_dir, damages=damages, goes_on=goes_on, check=True))


def _placed(frame: pl.LazyFrame, table: str, axis: Axis, owners: Mapping[str, str]) -> pl.LazyFrame:
    placed = axis.place(frame, _TIME_COLUMNS.get(table, "t"))
    if "node" in SCHEMAS[table]:
        placed = placed.with_columns(group=pl.col("node").replace(owners))
    # What apps did while they were being stopped says nothing of the scenario.
    return placed.filter(pl.col("s") <= axis.end_s) if table in _OF_APPS else placed


@attrs.frozen
class _Extent:
    """How many rows a table has, and its first and last time (epoch seconds; None without rows)."""

    rows: int
    first: float | None
    last: float | None


def _extents(tables: Mapping[str, pl.LazyFrame]) -> dict[str, _Extent]:
    time = {name: pl.col(_TIME_COLUMNS.get(name, "t")) for name in tables}
    queries = [
        frame.select(rows=pl.len(), first=time[name].min(), last=time[name].max())
        for name, frame in tables.items()
    ]
    found = pl.collect_all(queries, engine="streaming")
    return {name: _Extent(*frame.row(0)) for name, frame in zip(tables, found, strict=True)}


def _state(manifest: Manifest, axis: Axis) -> str:
    """That a run has no end yet, and what it lacks therefore; "" for one that is over."""
    if manifest.ended is not None:
        return ""
    goes_on = manifest.status == RUNNING
    return (
        f"the run {'goes on' if goes_on else 'has no end: it goes on, or its coordinator was killed'}. What "
        f"is shown was stored until {axis.end_s:.1f} s after T0; the certificate and the counts of lost "
        "records come at the end"
    )


def _missing(manifest: Manifest, rows: Mapping[str, int]) -> Iterator[str]:
    """The tables of a run that is over that lack rows which were recorded."""
    if manifest.ended is None:
        return
    for name, count in rows.items():
        recorded = manifest.records.get(name, 0)
        if 0 <= count < recorded:
            yield f"tables/{name}.parquet has {count:,} of the {recorded:,} rows that were recorded"


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


def _events(path: Path, damages: list[str]) -> pl.DataFrame:
    if not path.is_file():
        damages.append("events.jsonl is missing: the events are left out")
        return pl.DataFrame(schema=EVENT_SCHEMA)
    events, unreadable = read_events(path)
    if unreadable:
        damages.append(f"events.jsonl holds lines that can't be read, left out: {unreadable}")
    return events


def _axis(
    manifest: Manifest, timeline: Timeline, extents: Mapping[str, _Extent], events: pl.DataFrame
) -> Axis:
    times = list(_times(extents, events))
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


def _times(extents: Mapping[str, _Extent], events: pl.DataFrame) -> Iterator[float]:
    """The first and the last time of each table and of the events, in epoch seconds."""
    bounds = [(extent.first, extent.last) for extent in extents.values()]
    for bound in itertools.chain(*bounds, (events["t"].min(), events["t"].max())):
        if isinstance(bound, int | float):
            yield float(bound)
