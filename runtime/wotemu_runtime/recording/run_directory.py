"""Stores what the bus brings in the run directory: text at once, tables as Parquet at the end.

Until the end, each table's batches lie as msgpack in ``spool/``, as they came, so that a run whose
coordinator was killed loses nothing that it had stored: `make_tables` turns them into tables at any time, and
the next coordinator continues from the last checkpoint. All files but the JSON ones are only appended to: a
checkpoint is then a list of sizes, and a copy on the bus is made by sending what is new (`BusMirror`).
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import attrs
import msgpack

from wotemu.errors import InputError
from wotemu.records import TRANSIENT_TABLES, Event, Log, Probe, to_row
from wotemu_runtime.recording import checkpoint
from wotemu_runtime.recording.checkpoint import Checkpoint
from wotemu_runtime.recording.event_log import EventLog, OnNews
from wotemu_runtime.recording.timed_log import TIMES, packed_time

if TYPE_CHECKING:
    import polars as pl

SPOOL = "spool"
ROWS_AT_ONCE = 10_000
EVENTS = "events.jsonl"
_DAMAGES = (ValueError, TypeError, msgpack.UnpackException)
"""Raised by bytes that are no rows."""
COMPUTED_TABLES = frozenset({Probe.TABLE})
"""Tables that are computed from others, and computed again after a take-over."""


class RunDirectory:
    """Writes the files of one run; continues from its last checkpoint where it has one.

    Args:
        run_dir: the directory.
        on_events: see `EventLog`.

    Raises:
        InputError: another process records there.
    """

    def __init__(self, run_dir: Path, on_events: OnNews | None = None) -> None:
        self.run_dir = run_dir
        self._files: dict[str, IO[bytes]] = {}
        self.events = EventLog(run_dir / EVENTS, on_events)
        """The events that are stored, for those who follow them."""
        for name in (SPOOL, "logs", "tables"):
            (run_dir / name).mkdir(parents=True, exist_ok=True)
        self._lock = _locked(run_dir)
        earlier = Checkpoint.load(run_dir)
        self.is_resumed = earlier is not None
        self.last = earlier or Checkpoint(run=uuid.uuid4().hex)
        """Those of the streams when the files were last flushed."""
        self.damaged = self.last.cut(run_dir) if earlier is not None else []
        """Files that are shorter than at the checkpoint: their machine died before it had written them."""
        self.counts: Counter[str] = Counter(self.last.counts)
        self.taken: Counter[str] = Counter(self.last.taken)
        self._sizes = dict(self.last.sizes)
        if earlier is not None:
            self._drop_derived()

    def __repr__(self) -> str:
        return f"RunDirectory({str(self.run_dir)!r}, {dict(self.counts)})"

    def _drop_derived(self) -> None:
        for table in COMPUTED_TABLES:
            self.counts.pop(table, None)
            self._sizes.pop(f"{SPOOL}/{table}.msgpack", None)
        self.keep(self.last.positions)  # first: a checkpoint never speaks of a file that is gone
        for table in COMPUTED_TABLES:
            (self.run_dir / SPOOL / f"{table}.msgpack").unlink(missing_ok=True)

    def store(self, table: str, rows: list[list[Any]], packed: bytes | None = None) -> None:
        """Store rows of one table.

        Args:
            packed: the same rows as msgpack, where they came so: the spool takes it as it is.
        """
        if table not in TRANSIENT_TABLES:
            self.counts[table] += len(rows)
        if table == Event.TABLE:
            for row in rows:
                self._append(EVENTS, json.dumps(attrs.asdict(Event(*row))).encode() + b"\n")
        elif table == Log.TABLE:
            for t, node, _, line in rows:
                self._append(f"logs/{node}.log", line.encode(errors="replace") + b"\n")
                self._append(f"logs/{node}{TIMES}", packed_time(t))
        else:
            self._append(f"{SPOOL}/{table}.msgpack", msgpack.packb(rows) if packed is None else packed)

    def event(self, event: Event) -> None:
        """Store an event that did not come over the bus."""
        self.store(Event.TABLE, [to_row(event)])

    def flush_events(self) -> None:
        """Let those who follow the events have what is stored by now."""
        if EVENTS in self._files:
            self._files[EVENTS].flush()
        self.events.notify(self.counts[Event.TABLE])

    def stored(self) -> Iterator[tuple[str, list[list[Any]]]]:
        """The stored rows in batches, each with its table; without logs, and each table in its order."""
        events = self.run_dir / EVENTS
        if events.is_file():
            with events.open("rb") as lines:
                yield Event.TABLE, [to_row(Event(**json.loads(line))) for line in lines]
        for path in sorted((self.run_dir / SPOOL).glob("*.msgpack")):
            for rows in _batches(path):
                yield path.stem, rows

    def write_json(self, name: str, content: Any) -> None:
        """Write one of the run's JSON files, whole or not at all."""
        path = self.run_dir / name
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(content, indent=2, default=str) + "\n")
        temporary.replace(path)

    def _append(self, name: str, data: bytes) -> None:
        if name not in self._files:
            self._files[name] = (self.run_dir / name).open("ab")
        self._files[name].write(data)
        self._sizes[name] = self._sizes.get(name, 0) + len(data)

    def keep(self, positions: Mapping[str, str]) -> None:
        """Flush all files and save a checkpoint with these stream positions: both survive this process."""
        self.flush_events()
        for file in self._files.values():
            file.flush()
        if positions != self.last.positions or self._sizes != self.last.sizes:
            self.last = Checkpoint(
                run=self.last.run,
                positions=dict(positions),
                taken=dict(self.taken),
                counts=dict(self.counts),
                sizes=dict(self._sizes),
            )
            self.last.save(self.run_dir)

    def close(self) -> None:
        """Close the files; the spool stays for `finish_tables`."""
        self.keep(self.last.positions)
        self.events.close()
        for file in self._files.values():
            file.close()
        self._files.clear()
        os.close(self._lock)


def _locked(run_dir: Path) -> int:
    """A hold on the directory that lasts until it is closed, or the process ends."""
    lock = os.open(run_dir, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise InputError("a process on this machine records there", where=str(run_dir)) from error
    return lock


def is_being_recorded(run_dir: Path) -> bool:
    """Whether a process of this machine records there."""
    try:
        os.close(_locked(run_dir))
    except InputError:
        return True
    except OSError:  # it is not here
        pass
    return False


def tabulate(run_dir: Path) -> list[str]:
    """Make the tables of a run, whether it is over or not; its spool stays as long as it may be continued.

    Returns:
        What could not be read of what was stored, a sentence each.
    """
    return make_tables(run_dir) if _may_go_on(run_dir) else finish_tables(run_dir)


def _may_go_on(run_dir: Path) -> bool:
    """Whether a process records there, or may take over."""
    try:
        os.close(_locked(run_dir))
        manifest = json.loads((run_dir / "manifest.json").read_bytes())
    except InputError:
        return True
    except (OSError, ValueError):
        return False  # who reads the run will say what is wrong with it
    return manifest.get("engine") != "local" and manifest.get("ended") is None


def stored_rows(run_dir: Path, table: str) -> Iterator[list[list[Any]]]:
    """The rows of a table in batches that are stored by now and not yet in its Parquet file.

    Those after a damage are left out; `tabulate` says so.
    """
    path = run_dir / SPOOL / f"{table}.msgpack"
    if path.is_file():
        with contextlib.suppress(*_DAMAGES):
            yield from _batches(path)


def make_tables(run_dir: Path) -> list[str]:
    """Write ``tables/*.parquet`` from a spool that is still there, in parts: a row takes 1 KB in memory.

    Returns:
        What could not be read of it, a sentence each.
    """
    damages = []
    for path in sorted((run_dir / SPOOL).glob("*.msgpack")):
        if path.stem in TRANSIENT_TABLES:
            continue
        table = run_dir / "tables" / f"{path.stem}.parquet"
        with tempfile.TemporaryDirectory(dir=table.parent, prefix=f".{path.stem}-") as folder:
            if damage := _write_parts(path, Path(folder)):
                damages.append(f"{SPOOL}/{path.name}: {damage}")
            _join(Path(folder), table)
    return damages


def _write_parts(spool: Path, folder: Path) -> str:
    """Write a spool's rows to Parquet files, whose names are in their order; returns what can't be read."""
    numbers, part = itertools.count(), list[list[Any]]()
    stored = unreadable = 0

    def write() -> int:
        """Write the part; returns how many of its rows are none of this table."""
        frame, left_out = spool_frame(spool.stem, part)
        frame.write_parquet(folder / f"{next(numbers):08d}.parquet", compression="lz4", statistics=False)
        return left_out

    end = ""
    try:
        for batch in _batches(spool):
            part += batch
            stored += len(batch)
            if len(part) >= ROWS_AT_ONCE:
                unreadable += write()
                part = []
    except _DAMAGES as error:
        end = (
            f"it is damaged after {stored:,} rows, and what follows is lost ({error or type(error).__name__})"
        )
    unreadable += write()
    return end or (f"{unreadable:,} of its {stored:,} rows can't be read" if unreadable else "")


def spool_frame(table: str, rows: list[list[Any]]) -> tuple[pl.DataFrame, int]:
    """Rows of a spool as a table, and how many of them were left out, since they are none of this table."""
    from wotemu.records.schemas import SCHEMAS

    schema = SCHEMAS[table]
    try:
        return _frame(rows, schema), 0
    except Exception:
        fitting = [row for row in rows if _fits(row, schema)]
        return _frame(fitting, schema), len(rows) - len(fitting)


def _fits(row: Any, schema: Mapping[str, pl.DataType]) -> bool:
    """Whether a row alone makes a table."""
    try:
        return bool(_frame([row], schema).height)
    except Exception:
        return False


def _frame(rows: Sequence[Sequence[Any]], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Rows as a table, column by column, which takes a third of the time that polars takes for rows."""
    import polars as pl

    try:
        columns = zip(*rows, strict=True)
        return pl.DataFrame(
            [
                _column(name, values, kind)
                for (name, kind), values in zip(schema.items(), columns, strict=True)
            ]
        )
    except (
        TypeError,
        ValueError,
        pl.exceptions.PolarsError,
    ):  # such as a float among integers, or no rows: polars converts what it can
        return pl.DataFrame(rows, schema=schema, orient="row", infer_schema_length=None)


def _column(name: str, values: Sequence[Any], kind: pl.DataType) -> pl.Series:
    import polars as pl

    if (
        kind.is_nested()
    ):  # lists of integers: polars makes a series of each one, and reads JSON 20 times as fast
        return pl.Series(name, map(str, values), dtype=pl.String).str.json_decode(kind)
    return pl.Series(name, values, dtype=kind, strict=True)


def _join(folder: Path, table: Path) -> None:
    """Make one Parquet file of those in a folder, without having all of them in memory."""
    import polars as pl

    first, *others = sorted(folder.iterdir())
    joined = folder / "table"
    pl.scan_parquet([first, *others]).sink_parquet(joined, compression="zstd")
    joined.replace(table)


def finish_tables(run_dir: Path) -> list[str]:
    """`make_tables` of a run that is over: nobody goes on with it, so its spool is removed unless damaged."""
    damages = make_tables(run_dir)
    if damages:  # somebody may know how to read more of it
        return damages
    for path in (run_dir / SPOOL).glob("*.msgpack"):
        path.unlink()
    if (run_dir / SPOOL).is_dir():
        (run_dir / SPOOL).rmdir()
    (run_dir / checkpoint.FILE).unlink(missing_ok=True)
    return []


def _batches(path: Path) -> Iterator[list[list[Any]]]:
    """The batches of a spool file; the last one may be cut off where its writer was killed."""
    with path.open("rb") as file:
        for batch in msgpack.Unpacker(file, max_buffer_size=1 << 30):
            if not isinstance(batch, list):
                raise TypeError(f"{type(batch).__name__} where rows were expected")
            yield batch


def own_run_dir(path: Path) -> Path:
    """Make the run directory that the user named; one that is there already must be empty."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise InputError(
                "it is there already, and not empty", where=f"--out {path}", hint="name another one"
            )
    except OSError as error:
        raise InputError(
            f"can't make it: {error.strerror}", where=f"--out {path}", hint="name another one"
        ) from error
    return path


def new_run_dir(parent: Path, name: str) -> Path:
    """Make the run directory, with a number behind its name where one of this name is there already."""
    candidates = [parent / name, *(parent / f"{name}-{number}" for number in range(2, 10_000))]
    for path in candidates:
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(
                f"can't make it: {error.strerror}",
                where=f"run directory {path}",
                hint="--out DIR names another",
            ) from error
        return path
    raise InputError("there are 10,000 runs of this name", where=f"directory {parent}", hint="give --name")


def losses(events: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    """The manifest's losses from counts by source and what."""
    return [
        {"source": source, "what": what, "count": count} for (source, what), count in sorted(events.items())
    ]
