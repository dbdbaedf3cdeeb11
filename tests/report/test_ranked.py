"""Percentiles by one sort of packed numbers are those that Polars selects in each group."""

from __future__ import annotations

import math
import random

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from wotemu_report.queries import packed_keys
from wotemu_report.queries.nearest_rank import SHARES, nearest_rank
from wotemu_report.queries.ranked import ranked
from wotemu_report.queries.ranking import with_series

TOOK = pl.when("ok").then("ms")


def rows(count: int) -> pl.DataFrame:
    """Requests of two names and a phase, of which one of ten is not answered."""
    dice = random.Random(count)
    frame = pl.DataFrame(
        {
            "node": [dice.choice("abcdef") for _ in range(count)],
            "op": [dice.choice(["read", "write"]) for _ in range(count)],
            "phase_no": [dice.randint(-1, 7) for _ in range(count)],
            "ms": [dice.lognormvariate(3, 1) for _ in range(count)],
            "ok": [dice.random() < 0.9 for _ in range(count)],
        },
        schema_overrides={"phase_no": pl.Int16},
    )
    return frame.with_columns(pl.col("node").cast(pl.Categorical(pl.Categories.random())))


@pytest.mark.parametrize("by", [["node", "op", "phase_no"], ["phase_no"], ["op"]])
@pytest.mark.parametrize("unanswered", [None, math.inf])
@pytest.mark.parametrize("most", [1, 2**26])  # of numbers: all too large, and none
def test_they_are_those_of_each_group(
    by: list[str], unanswered: float | None, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed_keys, "_MOST", most)
    frame = rows(5000)
    found = ranked(frame, by, SHARES, took=TOOK, where=pl.col("phase_no") >= 0, unanswered=unanswered)
    took = TOOK if unanswered is None else TOOK.fill_null(unanswered)
    figures = {name: nearest_rank(took, share) for name, share in SHARES.items()}
    groups = frame.filter(pl.col("phase_no") >= 0).group_by(by)
    expected = groups.agg(
        count=pl.len().cast(pl.Int64), failed=(~pl.col("ok")).sum().cast(pl.Int64), **figures
    )
    names = expected.with_columns(pl.selectors.categorical().cast(pl.String))
    assert_frame_equal(found.sort(by), names.sort(by), rel_tol=1e-9, abs_tol=1e-9)


def test_without_groups_there_is_a_row_for_all_and_none_for_nothing() -> None:
    frame = rows(100)
    (row,) = ranked(frame, [], {"p50": 0.5}, took=pl.col("ms")).rows()
    assert row == (100, 0, pytest.approx(sorted(frame["ms"])[49]))
    assert ranked(frame.clear(), [], {"p50": 0.5}, took=pl.col("ms")).rows() == []
    assert ranked(frame.clear(), ["node", "phase_no"], {"p50": 0.5}, took=pl.col("ms")).height == 0


def test_what_no_percentile_can_be_of_was_not_answered() -> None:
    frame = pl.DataFrame({"ms": [math.nan, math.inf, None, -1.0, 5.0]})
    (row,) = ranked(frame, [], {"p50": 0.5, "most": 1.0}, took=pl.col("ms")).rows()
    # A clock that was set back makes durations below zero: they count as 0.
    assert row == (5, 3, 0.0, 5.0)


@pytest.mark.parametrize("unanswered", [None, math.inf])
def test_beside_a_value_without_measure_the_others_keep_theirs(unanswered: float | None) -> None:
    frame = rows(500)
    huge = frame.with_columns(ms=pl.when(pl.int_range(pl.len()) == 7).then(1e300).otherwise("ms"))
    found, usual = (
        ranked(each, ["node", "op"], {"p50": 0.5}, took=TOOK, unanswered=unanswered).sort("node", "op")
        for each in (huge, frame)
    )
    assert found.drop("p50").equals(usual.drop("p50"))
    near = (found["p50"] / usual["p50"] - 1).abs()
    assert (near < 1e-9).sum() >= found.height - 1
    assert near.max() < 1  # type: ignore[operator]
    (row,) = ranked(huge, [], {"p50": 0.5}, took=pl.col("ms")).rows()
    assert row == (500, 0, pytest.approx(sorted(huge["ms"])[249]))


def test_a_series_is_named_by_its_columns() -> None:
    frame = rows(200)
    named = with_series(frame, "{} · {}", "node", "op")["series"].cast(pl.String).to_list()
    assert named == [f"{node} · {op}" for node, op in frame.select("node", "op").iter_rows()]
