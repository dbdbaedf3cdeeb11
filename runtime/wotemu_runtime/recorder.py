"""Stores what the bus brings in the run directory: text at once, tables as Parquet at the end.

Until the end, each table's batches lie as they came in ``spool/``, so that a run whose coordinator was
killed loses nothing that it had stored: `finish_tables` turns them into tables at any later time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import attrs
import msgpack

from wotemu.errors import InputError
from wotemu.records import Event, Log, to_row

SPOOL = "spool"


class Recorder:
    """Writes one run's directory."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.counts: Counter[str] = Counter()
        self._files: dict[Path, IO[bytes]] = {}
        for name in (SPOOL, "logs", "tables"):
            (run_dir / name).mkdir(parents=True, exist_ok=True)

    def __repr__(self) -> str:
        return f"Recorder({str(self.run_dir)!r}, {dict(self.counts)})"

    def store(self, table: str, rows: list[list[Any]]) -> None:
        """Take rows of one table."""
        self.counts[table] += len(rows)
        if table == Event.TABLE:
            for row in rows:
                self._append("events.jsonl", json.dumps(attrs.asdict(Event(*row))).encode() + b"\n")
        elif table == Log.TABLE:
            for _, node, _, line in rows:
                self._append(f"logs/{node}.log", line.encode(errors="replace") + b"\n")
        else:
            self._append(f"{SPOOL}/{table}.msgpack", msgpack.packb(rows))

    def event(self, event: Event) -> None:
        """Take an event that did not come over the bus."""
        self.store(Event.TABLE, [to_row(event)])

    def write_json(self, name: str, content: Any) -> None:
        """Write one of the run's JSON files, whole or not at all."""
        path = self.run_dir / name
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(content, indent=2, default=str) + "\n")
        temporary.replace(path)

    def _append(self, name: str, data: bytes) -> None:
        path = self.run_dir / name
        if path not in self._files:
            self._files[path] = path.open("ab")
        self._files[path].write(data)

    def flush(self) -> None:
        """Hand everything to the kernel: what is flushed survives this process."""
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        """Close the files; the spool stays for `finish_tables`."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def finish(self) -> None:
        """Close the files and turn the spool into tables."""
        self.close()
        finish_tables(self.run_dir)


def finish_tables(run_dir: Path) -> None:
    """Write ``tables/*.parquet`` from a spool that is still there, then remove the spool."""
    import polars as pl

    from wotemu.tables import SCHEMAS

    spool = run_dir / SPOOL
    if not spool.is_dir():
        return
    for path in sorted(spool.glob("*.msgpack")):
        schema = SCHEMAS[path.stem]
        rows = [row for batch in _batches(path) for row in batch]
        frame = pl.DataFrame(rows, schema=schema, orient="row", infer_schema_length=None)
        frame.write_parquet(run_dir / "tables" / f"{path.stem}.parquet", compression="zstd")
        path.unlink()
    spool.rmdir()


def _batches(path: Path) -> Iterator[list[list[Any]]]:
    """The batches of a spool file; the last one may be cut off where its writer was killed."""
    with path.open("rb") as file:
        yield from msgpack.Unpacker(file, max_buffer_size=1 << 30)


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
