"""Percentiles are by nearest rank, of every request that ended, each end of it apart."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest

from wotemu.percentiles import nearest_rank
from wotemu_report.queries.percentiles import percentiles
from wotemu_report.recorded.run_data import RunData

from .synthetic import request, write_table


@pytest.fixture
def thousand(run_dir: Path) -> RunData:
    """1, 2, ... 1000 ms in the phase calm, from three replicas of one node; a second each side of 15 s."""
    rows = [request(0.01 * n, n / 1000, node=f"reader-3g-{n % 3 + 1}") for n in range(1, 1001)]
    rows += [request(16, 2.0), request(17, 4.0, "TimeoutError: late"), request(18, 9.0, status="cancelled")]
    rows += [request(16, 0.001, node="thing", role="producer"), request(-1, 7.0)]
    write_table(run_dir, "interactions", rows)
    return RunData.load(run_dir)


def test_they_are_by_nearest_rank(thousand: RunData) -> None:
    (row,) = percentiles(thousand, ["phase"], pl.col("phase") == "calm").rows(named=True)
    shares = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
    assert {name: row[name] for name in shares} == pytest.approx(
        {"p50": 500.0, "p90": 900.0, "p95": 950.0, "p99": 990.0, "p999": 999.0}
    )
    exact = {name: nearest_rank(range(1, 1001), share) for name, share in shares.items()}
    assert {name: row[name] for name in shares} == pytest.approx(exact)
    assert (row["role"], row["phase_no"], row["count"], row["failed"]) == ("consumer", 0, 1000, 0)


def test_a_failed_request_was_never_answered_unless_only_answers_are_asked_for(thousand: RunData) -> None:
    columns = ["role", "phase", "count", "failed", "p50", "p99"]
    fade = pl.col("phase") == "fade"
    assert percentiles(thousand, ["phase"], fade).select(columns).rows() == [
        ("consumer", "fade", 2, 1, 2000.0, math.inf),
        ("producer", "fade", 1, 0, 1.0, 1.0),
    ]
    assert percentiles(thousand, ["phase"], fade, answered_only=True).select(columns).row(0) == (
        ("consumer", "fade", 2, 1, 2000.0, 2000.0)
    )


def test_they_are_grouped_by_whatever_names_a_request(thousand: RunData) -> None:
    by_replica = percentiles(thousand, ["node", "op", "binding"], pl.col("phase") == "calm")
    assert by_replica.select("node", "op", "binding", "count", "p50").rows() == [
        ("reader-3g-1", "readproperty", "http", 333, 501.0),
        ("reader-3g-2", "readproperty", "http", 334, 499.0),
        ("reader-3g-3", "readproperty", "http", 333, 500.0),
    ]
    assert percentiles(thousand, ["group"]).select("role", "group", "count").rows() == [
        ("consumer", "reader-3g", 1003),
        ("producer", "thing", 1),
    ]
    assert percentiles(thousand, [])["count"].to_list() == [1003, 1]


def test_no_request_gives_no_row(thousand: RunData) -> None:
    assert percentiles(thousand, ["phase", "group"], pl.col("op") == "invokeaction").rows() == []
    with pytest.raises(ValueError, match="colour: durations are grouped by phase"):
        percentiles(thousand, ["colour"])
