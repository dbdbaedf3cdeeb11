"""From the spool to Parquet: rows of any batches, in their order, with what polars can convert."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from wotemu.records import App, Hop, to_row
from wotemu_runtime.recording import run_directory
from wotemu_runtime.recording.run_directory import RunDirectory, finish_tables


def hop(t: float, bins: list[int]) -> Hop:
    return Hop(t, "field", "a", "up", "tun", *(0,) * 6, None, late_bins=bins, late_counts=[1] * len(bins))


def test_rows_of_many_batches_are_one_table_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_directory, "ROWS_AT_ONCE", 7)
    directory = RunDirectory(tmp_path)
    for start in range(0, 40, 4):
        directory.store(Hop.TABLE, [to_row(hop(t, list(range(t % 3)))) for t in range(start, start + 4)])
    directory.close()
    finish_tables(tmp_path)
    table = pl.read_parquet(tmp_path / "tables/hops.parquet")
    assert table["t"].to_list() == [float(t) for t in range(40)]
    assert table["late_bins"].to_list() == [list(range(t % 3)) for t in range(40)]
    assert table["late_max"].null_count() == 40


def test_numbers_of_another_kind_are_converted(tmp_path: Path) -> None:
    """Such as a whole number where a float may be, and the other way around."""
    directory = RunDirectory(tmp_path)
    directory.store(App.TABLE, [[1, "a", "key", 2], [2.5, "a", "key", 3.5]])
    directory.store(Hop.TABLE, [[*to_row(hop(1.0, [3]))[:5], 4.0, *to_row(hop(1.0, [3]))[6:]]])
    directory.close()
    finish_tables(tmp_path)
    assert pl.read_parquet(tmp_path / "tables/app.parquet").rows() == [
        (1.0, "a", "key", 2.0),
        (2.5, "a", "key", 3.5),
    ]
    assert pl.read_parquet(tmp_path / "tables/hops.parquet")["sent"].to_list() == [4]
