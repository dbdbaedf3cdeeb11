"""Availability by node and phase, from requests few enough to count. Phases begin at 0, 15, 30 and 40 s."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from wotemu.records import CANCELLED, OK, UNFINISHED, Event, Interaction, Record
from wotemu_report.page.head import head
from wotemu_report.queries import availability
from wotemu_report.queries.availability import by_node_and_phase, lowest_availability, outages
from wotemu_report.queries.phase_totals import phase_totals
from wotemu_report.queries.requests import unmeasured_requests
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections import overview

from .synthetic import T0, request, write_table

ERROR = "TimeoutError: no answer"


def subscribed(
    at: float, *, node: str = "reader-3g-1", stage: str = "subscribe", binding: str = "ws"
) -> Record:
    return Interaction(
        T0 + at,
        node,
        "consumer",
        "urn:lamp",
        "property",
        "on",
        "observeproperty",
        stage,
        binding,
        None,
        4,
        OK,
        "",
    )


def run_of(run_dir: Path, rows: Sequence[Record]) -> RunData:
    write_table(run_dir, "interactions", rows)
    return RunData.load(run_dir)


def row(run: RunData, phase: str, owner: str = "reader-3g") -> dict[str, float]:
    rows = by_node_and_phase(run)
    return rows.filter(pl.col("phase") == phase, pl.col("owner") == owner).row(0, named=True)


def steady(begin: float, end: float, took: float = 0.1, error: str = "", **more: str) -> list[Record]:
    """A request each second."""
    return [request(at, took, error, **more) for at in range(int(begin), int(end))]


def test_clients_that_are_cut_off_are_the_worst_and_not_the_best(run_dir: Path) -> None:
    wifi = steady(0, 60, 0.02, node="reader-wifi-1")
    mobile = [*steady(0, 29, 1.0), *(request(at, 3.0, ERROR) for at in (30, 33, 36)), *steady(40, 60, 1.5)]
    run = run_of(run_dir, [*wifi, *mobile])
    cut = row(run, "cut")
    assert (cut["count"], cut["failed"]) == (3, 3)
    assert (cut["availability"], cut["p50"], cut["p95"]) == (0.0, math.inf, math.inf)
    assert row(run, "cut", "reader-wifi")["availability"] == 1.0
    phases = phase_totals(run).filter(pl.col("phase") == "cut").row(0, named=True)
    assert (phases["worst"], phases["whose"]) == (0.0, "reader-3g")
    assert lowest_availability(run)["availability"].item() == 0.0


def test_availability_is_the_same_however_few_nodes_are_judged_at_once(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[Record] = []
    for number in range(7):
        rows += [*steady(0, 60, node=f"n-{number}"), request(3.5 + number, 2.0, ERROR, node=f"n-{number}")]
    run = run_of(run_dir, rows)
    at_once, lost = by_node_and_phase(run), outages(run)
    monkeypatch.setattr(availability, "_ROWS_AT_ONCE", 130)
    run = RunData.load(run_dir)
    assert by_node_and_phase(run).equals(at_once)
    assert sorted(outages(run).rows()) == sorted(lost.rows())
    assert lost.height == 7


def test_quantiles_count_failed_requests_as_endless(run_dir: Path) -> None:
    run = run_of(run_dir, [*steady(0, 9, 0.1), request(9, 5.0, ERROR)])
    calm = row(run, "calm")
    assert calm["p50"] == pytest.approx(100.0)
    assert calm["p95"] == math.inf


def test_requests_under_way_when_a_phase_begins_wait(run_dir: Path) -> None:
    run = run_of(run_dir, [*steady(0, 29), request(29, 11.5)])
    cut = row(run, "cut")
    assert (cut["count"], cut["waiting"]) == (0, 1)
    assert cut["availability"] == 0.0, "what usually takes 0.1 s waited all the time"
    assert row(run, "healed")["waiting"] == 1


def test_a_slow_answer_is_no_outage_where_all_are_slow(run_dir: Path) -> None:
    run = run_of(run_dir, [request(at, 2.5) for at in (0, 3, 6, 9, 12)])
    assert row(run, "calm")["availability"] == 1.0


def test_a_slow_answer_came_when_its_thing_was_there_again(run_dir: Path) -> None:
    run = run_of(run_dir, [*(request(at, 1.5) for at in range(0, 30, 2)), request(30, 10.5), *steady(42, 50)])
    assert row(run, "cut")["availability"] == pytest.approx(1 - 9.0 / 10, abs=0.05)
    assert row(run, "fade")["availability"] == 1.0


def test_a_failure_lasts_until_the_next_request(run_dir: Path) -> None:
    run = run_of(run_dir, [request(0, 0.1), request(5, 0.1, ERROR), request(10, 0.1), request(15, 0.1)])
    assert row(run, "calm")["availability"] == pytest.approx(10 / 15)


def test_while_the_asking_app_is_down_nothing_is_known(run_dir: Path) -> None:
    ended = {"t": T0 + 20.5, "kind": "app.exited", "source": "agent:reader-3g-1", "message": "", "data": {}}
    with (run_dir / "events.jsonl").open("a") as events:
        events.write(json.dumps(ended) + "\n")
    # Up until 20 s and one usual gap later, or its app's end; then nobody asks until a failure at 29 s.
    run = run_of(run_dir, [*steady(15, 21), request(29, 1.0, ERROR), *steady(30, 60)])
    assert row(run, "fade")["availability"] == pytest.approx(5.5 / 6.5)


def test_cancelled_requests_neither_fail_nor_succeed(run_dir: Path) -> None:
    given_up = [request(at, 0.2, status=CANCELLED) for at in (3.5, 9.5)]
    run = run_of(run_dir, [*steady(0, 10), *given_up])
    calm = row(run, "calm")
    assert (calm["count"], calm["cancelled"], calm["failed"], calm["availability"]) == (10, 2, 0, 1.0)


def test_a_request_that_hangs_to_the_end_counts_against_availability(run_dir: Path) -> None:
    run = run_of(run_dir, [*steady(0, 30), request(30, 30.0, status=UNFINISHED)])
    assert (row(run, "healed")["waiting"], row(run, "healed")["availability"]) == (1, 0.0)


def test_a_request_that_the_end_cut_short_counts_for_nothing(run_dir: Path) -> None:
    run = run_of(run_dir, [*steady(0, 60), request(59.9, 0.1, status=UNFINISHED)])
    healed = row(run, "healed")
    assert (healed["count"], healed["failed"], healed["cancelled"], healed["availability"]) == (20, 0, 0, 1.0)


def test_what_begins_after_the_end_counts_nowhere(run_dir: Path) -> None:
    run = run_of(run_dir, [*steady(0, 60), request(60.35, 0.1, "ConnectionRefusedError"), request(60.4, 0.1)])
    assert by_node_and_phase(run)["count"].sum() == 60
    assert phase_totals(run)["errors"].sum() == 0


def test_requests_of_other_programs_are_counted_as_unmeasured(run_dir: Path) -> None:
    served = [request(at, 0.001, node="thing", role="producer") for at in range(17)]
    run = run_of(run_dir, [*steady(0, 7), *served])
    assert unmeasured_requests(run).select("node", "count").rows() == [("thing", 10)]
    assert "Requests of clients that are not measured" in [
        getattr(block, "title", "") for block in overview.section(run).blocks
    ]


def test_requests_that_never_arrived_are_no_clients(run_dir: Path) -> None:
    served = [request(at, 0.001, node="thing", role="producer") for at in range(4)]
    run = run_of(run_dir, [*steady(0, 4), *steady(30, 33, 5.0, ERROR), *served])
    assert unmeasured_requests(run).height == 0


def test_where_nobody_asking_was_measured_no_figure_says_consumers(run_dir: Path) -> None:
    run = run_of(run_dir, [request(at, 0.001, node="thing", role="producer") for at in range(17)])
    (tile, *_) = overview.tiles(run).tiles
    assert (tile.label, tile.value) == ("Requests served", "17")
    assert "unmeasured clients" in tile.detail
    assert by_node_and_phase(run).height == 0


def test_reads_for_coap_notifications_are_no_clients(run_dir: Path) -> None:
    served = [request(at, 0.001, node="thing", role="producer", binding="coap") for at in range(17)]
    run = run_of(run_dir, [subscribed(0, binding="coap"), *served])
    assert unmeasured_requests(run).height == 0


def test_replicas_that_were_never_answered_come_first(run_dir: Path) -> None:
    rows = [
        *steady(0, 60, node="reader-wifi-1"),
        *steady(0, 5, 1.0, ERROR),
        subscribed(1, node="reader-3g-2"),
    ]
    waits = Event(T0 + 1, "app.waiting", "agent:reader-3g-3", "reader-3g-3 waits for thing")
    with (run_dir / "events.jsonl").open("a") as events:
        events.write(
            json.dumps({"t": waits.t, "kind": waits.kind, "source": waits.source, "message": waits.message})
        )
    run = run_of(run_dir, rows)
    first = head(run).notices[0]
    assert (first.title, first.tone) == ("Never answered", "bad")
    assert first.lines == (
        f"reader-3g-1: 5 requests, never answered; last error: {ERROR}",
        "reader-3g-2: 1 subscription, never answered",
        "reader-3g-3: reader-3g-3 waits for thing, to the end",
    )
