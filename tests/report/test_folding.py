"""Long tables are folded: a row for each group, with sums of counts and the worst of the rest."""

from __future__ import annotations

import math

import attrs
import polars as pl
import pytest

from wotemu_report.axis import make_axis
from wotemu_report.blocks import Column, Table
from wotemu_report.queries.request_series import duration_buckets
from wotemu_report.sections.folding import at_most, folded
from wotemu_report.sections.recoveries import worst

COLUMNS = (
    Column("Node", "node"), Column("Available", "percent", fold="min"), Column("Requests", "int"),
    Column("p95", "answer"), Column("State", "status"), Column("App"),
)  # fmt: skip


def table(rows: list[tuple[object, ...]]) -> Table:
    return Table("By node", "", COLUMNS, rows)


def test_a_folded_row_has_sums_and_the_worst() -> None:
    rows: list[tuple[object, ...]] = [
        (f"a-{number}", 1.0, 2, 10.0, "VALID", "app.py") for number in range(40)
    ]
    rows[7] = ("a-7", 0.5, 3, math.inf, "SUSPECT", "other.py")
    found = folded(
        table([*rows, ("b", 1.0, 1, 1.0, "VALID", "app.py")]), ["Node"], {"Node": ["a-*"] * 40 + ["b"]}
    )
    assert [tuple(row) for row in found.rows] == [
        ("a-*", 0.5, 81, math.inf, "SUSPECT", "2 values"),
        ("b", 1.0, 1, 1.0, "VALID", "app.py"),
    ]
    # A row that stands for itself has nothing below it.
    assert [len(below) for below in found.folded] == [40, 0]


def test_equal_counts_are_added_up_too() -> None:
    rows: list[tuple[object, ...]] = [("a", 1.0, 5, None, "VALID", "x")] * 50
    (row,) = folded(table(rows), ["Node"], {}).rows
    assert (row[2], row[3]) == (250, None)


@pytest.mark.parametrize("count", [3, 60])
def test_short_tables_and_those_without_groups_stay_as_they_are(count: int) -> None:
    given = table([(f"a-{number}", 1.0, 1, 1.0, "VALID", "x") for number in range(count)])
    assert attrs.asdict(folded(given, ["Node"], {})) == attrs.asdict(given)


def test_a_heat_map_counts_each_request_in_the_bucket_of_its_duration() -> None:
    axis = make_axis((), origin=0.0, end_s=10.0)
    frame = pl.LazyFrame({"s": [0.2, 0.4, 0.6, 5.5], "ms": [10.0, 10.5, 100.0, 10.0]})
    rows = duration_buckets(axis, frame).sort("s", "low")
    assert rows["count"].to_list() == [2, 1, 1]
    assert rows["low"].to_list() == pytest.approx([10, 100, 10])
    assert rows["share"].to_list() == pytest.approx([2 / 3, 1 / 3, 1])


def test_a_long_table_has_its_first_rows_and_says_how_many_there_are() -> None:
    long = folded(
        table([("a", 1.0, number % 50, 1.0, "VALID", "x") for number in range(200)]), ["Requests"], {}
    )
    cut = at_most(long, 10)
    assert (len(long.rows), long.listed, long.total) == (50, 200, 200)
    # Each of its ten rows stands for four.
    assert (len(cut.rows), len(cut.folded), cut.listed, cut.total) == (10, 10, 40, 200)
    assert at_most(cut, 10) is cut


def test_of_many_disturbances_those_that_did_not_recover_and_the_slowest_are_listed() -> None:
    states = ["recovered"] * 600 + ["not recovered"] + ["recovered"] * 600
    took = [float(number) for number in range(1201)]
    listed = worst(pl.DataFrame({"s": took, "state": states, "took_s": took}), 500)
    assert listed["s"].to_list() == [600.0, *took[702:]]
