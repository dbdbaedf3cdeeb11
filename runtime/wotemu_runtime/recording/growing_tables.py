"""Tables of a run that goes on, in a directory of their own, made from what is new in its spool each time."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack

from wotemu.records import TRANSIENT_TABLES
from wotemu_runtime.recording.run_directory import SPOOL, spool_frame

if TYPE_CHECKING:
    import polars as pl

_READ_BYTES = 1 << 20


class GrowingTables:
    """Parquet files of what a run has stored by now. The run directory is only read.

    Args:
        run_dir: The run directory.
        folder: Where they go: each table in a folder ``TABLE.parquet`` of files.
    """

    def __init__(self, run_dir: Path, folder: Path) -> None:
        self._spool = run_dir / SPOOL
        self._folder = folder
        self._parts: dict[str, _Parts] = {}
        self._taken: dict[str, int] = {}
        """How many bytes of each file of the spool are in its table."""

    def __repr__(self) -> str:
        return f"GrowingTables({str(self._folder)!r}, {self._taken})"

    def update(self) -> bool:
        """Add what has come since the last time; returns whether anything has.

        Raises:
            FileNotFoundError: The run ended meanwhile, and its own tables are whole.
        """
        there = {path.stem: path for path in self._spool.glob("*.msgpack")}
        if gone := self._taken.keys() - there.keys():
            raise FileNotFoundError(f"{self._spool}: {', '.join(gone)}")
        grown = [self._extend(path) for _, path in sorted(there.items())]
        return any(grown)

    def _extend(self, spool: Path) -> bool:
        if spool.stem in TRANSIENT_TABLES:
            return False
        table = self._parts.setdefault(spool.stem, _Parts(self._folder / f"{spool.stem}.parquet"))
        taken = self._taken.get(spool.stem, 0)
        if spool.stat().st_size < taken:  # a coordinator took over, and continues from a checkpoint
            taken = 0
            table.clear()
        rows, self._taken[spool.stem] = _new_rows(spool, taken)
        if rows:
            table.append(spool_frame(spool.stem, rows)[0])
        return bool(rows)


def _new_rows(spool: Path, start: int) -> tuple[list[list[Any]], int]:
    """The rows of the whole batches from a position on, and where the last of these ends."""
    rows = list[list[Any]]()
    end = start
    unpacker = msgpack.Unpacker(max_buffer_size=1 << 30)
    # Nothing after a damage can be read.
    with spool.open("rb") as file, contextlib.suppress(ValueError, TypeError, msgpack.UnpackException):
        for part in _parts(file, start):
            unpacker.feed(part)
            for batch in unpacker:
                rows += batch
                end = start + unpacker.tell()
    return rows, end


def _parts(file: Any, start: int) -> Iterator[bytes]:
    file.seek(start)
    while part := file.read(_READ_BYTES):
        yield part


class _Parts:
    """One table's rows in files, whose names are in the rows' order, each at least twice as long as the next.

    A row is so written again a few times in all, however often rows are added: as often as the table doubles.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: list[int] = []
        """Of each part."""

    def __repr__(self) -> str:
        return f"_Parts({str(self._folder)!r}, {self._rows})"

    def append(self, new: pl.DataFrame) -> None:
        """Add rows."""
        self._folder.mkdir(parents=True, exist_ok=True)
        new.write_parquet(self._path(len(self._rows)), compression="lz4")
        self._rows.append(new.height)
        while len(self._rows) > 1 and self._rows[-2] < 2 * self._rows[-1]:
            self._join_last()

    def clear(self) -> None:
        """Remove all rows."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._rows.clear()

    def _join_last(self) -> None:
        import polars as pl

        more = self._rows.pop()
        former, last = self._path(len(self._rows) - 1), self._path(len(self._rows))
        joined = former.with_suffix(".joined")
        pl.scan_parquet([former, last]).sink_parquet(joined, compression="lz4")
        joined.replace(former)
        last.unlink()
        self._rows[-1] += more

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:04d}.parquet"
