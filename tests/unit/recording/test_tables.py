"""From the spool to Parquet: rows of any batches, in their order, with what polars can convert."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from wotemu.records import App, Hop, to_row
from wotemu_runtime.recording import run_directory
from wotemu_runtime.recording.run_directory import RunDirectory, finish_tables, stored_rows


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


def stored(run_dir: Path, count: int) -> Path:
    """The spool of that many metrics, in batches of two."""
    directory = RunDirectory(run_dir)
    for t in range(0, count, 2):
        directory.store(App.TABLE, [[float(t + n), "a", "key", 1.0] for n in range(2)])
    directory.close()
    return run_dir / "spool/app.msgpack"


def test_a_batch_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    """Its writer was killed: this is no damage."""
    spool = stored(tmp_path, 10)
    spool.write_bytes(spool.read_bytes()[:-5])
    assert finish_tables(tmp_path) == []
    assert pl.read_parquet(tmp_path / "tables/app.parquet").height == 8


def test_what_was_stored_before_a_damage_is_read_and_the_rest_is_named(tmp_path: Path) -> None:
    spool = stored(tmp_path, 10)
    content = bytearray(spool.read_bytes())
    content[len(content) * 6 // 10] = 0xC1  # the one byte that msgpack never uses
    spool.write_bytes(content)
    (damage,) = finish_tables(tmp_path)
    assert damage.startswith("spool/app.msgpack: it is damaged after 6 rows")
    assert pl.read_parquet(tmp_path / "tables/app.parquet")["t"].to_list() == [float(t) for t in range(6)]
    assert sum(len(batch) for batch in stored_rows(tmp_path, App.TABLE)) == 6
    assert finish_tables(tmp_path) == [damage]  # the spool stays, for whoever can read more of it


def test_a_row_that_is_none_of_its_table_is_left_out_and_counted(tmp_path: Path) -> None:
    stored(tmp_path, 2)
    directory = RunDirectory(tmp_path)
    directory.store(App.TABLE, [[2.0, "a"], ["when", "a", "key", 1.0], [3.0, "a", "key", 1.0]])
    directory.close()
    assert finish_tables(tmp_path) == ["spool/app.msgpack: 2 of its 5 rows can't be read"]
    assert pl.read_parquet(tmp_path / "tables/app.parquet")["t"].to_list() == [0.0, 1.0, 3.0]
