"""The tables of a run directory, lazily, from their Parquet files; what is damaged is left out and named."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from wotemu.records.schemas import SCHEMAS, conform

_ROWS_AT_ONCE = 100_000
"""What is read at once of a damaged file: at most so many rows around each damage are lost."""


def scan_tables(run_dir: Path, damages: list[str], *, check: bool) -> dict[str, pl.LazyFrame]:
    """Every table by its name; one that has no file has no rows.

    Args:
        run_dir: The run directory.
        damages: Takes a sentence for each file that can't be read, or not all of it.
        check: Whether to read all of each file to see that it can be read. Else only its end is read, which
            has the schema: other damages show when a query reads them.
    """
    return {
        name: _scan(run_dir / "tables" / f"{name}.parquet", name, damages, check=check) for name in SCHEMAS
    }


def _scan(path: Path, name: str, damages: list[str], *, check: bool) -> pl.LazyFrame:
    # A run writes no file for a table without rows. Of one that goes on, a table may be a folder of files.
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
    if not any(each.stat().st_size for each in files):
        return pl.LazyFrame(schema=SCHEMAS[name])
    try:
        frame = conform(pl.scan_parquet(files), name)
    except (OSError, pl.exceptions.PolarsError) as error:
        damages.append(f"tables/{path.name} can't be read: {str(error).splitlines()[0]}")
        return pl.LazyFrame(schema=SCHEMAS[name])
    return _readable(path, frame, damages) if check else frame


def _readable(path: Path, frame: pl.LazyFrame, damages: list[str]) -> pl.LazyFrame:
    """The slices of a table that can be read; of a damaged one they are held in memory."""
    total = frame.select(pl.len()).collect().item()
    slices = (frame.slice(start, _ROWS_AT_ONCE) for start in range(0, total, _ROWS_AT_ONCE))
    if all(_read(each) is not None for each in slices):
        return frame
    slices = (frame.slice(start, _ROWS_AT_ONCE) for start in range(0, total, _ROWS_AT_ONCE))
    kept = [part for each in slices if (part := _read(each)) is not None]
    lost = total - sum(part.height for part in kept)
    damages.append(f"tables/{path.name} is damaged: {lost:,} of its {total:,} rows can't be read")
    return pl.concat(kept).lazy() if kept else frame.clear()


def _read(part: pl.LazyFrame) -> pl.DataFrame | None:
    """Its rows; None where they can't be read."""
    try:
        return part.collect()
    except pl.exceptions.PolarsError:
        return None
