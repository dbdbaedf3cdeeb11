"""Tables of a run that goes on, in a directory of their own, made from what is new in its spool each time."""

from __future__ import annotations

import contextlib
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
        folder: Where the files go, each under its table's name.
    """

    def __init__(self, run_dir: Path, folder: Path) -> None:
        self._spool = run_dir / SPOOL
        self._folder = folder
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
        table = self._folder / f"{spool.stem}.parquet"
        taken = self._taken.get(spool.stem, 0)
        if spool.stat().st_size < taken:  # a coordinator took over, and continues from a checkpoint
            taken = 0
            table.unlink(missing_ok=True)
        rows, self._taken[spool.stem] = _new_rows(spool, taken)
        if rows:
            self._folder.mkdir(exist_ok=True)
            _append(table, spool_frame(spool.stem, rows)[0])
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


def _append(table: Path, new: pl.DataFrame) -> None:
    """Add rows to a Parquet file; queries that read it meanwhile keep the old one."""
    import polars as pl

    if not table.exists():
        new.write_parquet(table, compression="lz4")
        return
    more, joined = table.with_suffix(".new"), table.with_suffix(".joined")
    new.write_parquet(more, compression="lz4")
    pl.scan_parquet([table, more]).sink_parquet(joined, compression="lz4")
    joined.replace(table)
    more.unlink()
