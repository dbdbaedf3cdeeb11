"""Which emission an item is of, how old it was, and what was lost: by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from wotemu.records import Emission, Host, Interaction, Record
from wotemu_report.queries.answering_peers import answering_peers
from wotemu_report.queries.event_ages import age_totals, clock_error_s, event_ages
from wotemu_report.recorded.run_data import RunData

from .synthetic import T0, request, write_table

NODE = "reader-3g-1"


def emitted(at: float, digest: int, node: str = "thing") -> Record:
    return Emission(T0 + at, node, "urn:lamp", "event", "tick", "subscribeevent", 4, digest)


def stage(at: float, stage: str = "subscribe", digest: int | None = None, peer: str = "thing") -> Record:
    return Interaction(
        T0 + at, NODE, "consumer", "urn:lamp", "event", "tick", "subscribeevent", stage, "ws",
        None, 4, "ok", "", peer=peer, digest=digest,
    )  # fmt: skip


def got(at: float, digest: int, peer: str = "thing") -> Record:
    return stage(at, "next", digest, peer)


def run_of(run_dir: Path, emissions: Sequence[Record], rows: Sequence[Record]) -> RunData:
    write_table(run_dir, "emissions", emissions)
    write_table(run_dir, "interactions", rows)
    return RunData.load(run_dir)


def ages(run: RunData) -> list[int | None]:
    return [None if ms is None else round(ms) for ms in event_ages(run).items["ms"]]


def lost(run: RunData) -> list[float]:
    return [round(s, 3) for s in event_ages(run).lost["emitted"]]


def test_an_item_is_as_old_as_the_emission_with_its_payload(run_dir: Path) -> None:
    sent = [emitted(1, 11), emitted(2, 12), emitted(3, 13)]
    run = run_of(run_dir, sent, [stage(0), got(1.05, 11), got(3.2, 12), got(3.25, 13)])
    assert ages(run) == [50, 1200, 250]
    assert lost(run) == []


def test_what_lies_between_delivered_ones_is_lost(run_dir: Path) -> None:
    sent = [emitted(at, at) for at in range(1, 9)]
    run = run_of(run_dir, sent, [stage(0), got(2.1, 2), got(3.1, 3), got(7.1, 7)])
    assert lost(run) == [4, 5, 6, 8]  # 1 may have been before the subscription


def test_a_subscription_that_never_delivers_loses_all_but_the_first_and_last_seconds(run_dir: Path) -> None:
    run = run_of(run_dir, [emitted(at, at) for at in (1, 4, 6, 20, 54, 56)], [stage(0)])
    assert lost(run) == [6, 20, 54]


def test_nothing_is_lost_while_nobody_subscribes(run_dir: Path) -> None:
    sent = [emitted(at, at) for at in (1, 2, 3, 10, 20)]
    rows = [stage(0), got(1.1, 1), got(2.1, 2), stage(2.5, "end"), stage(19), got(20.1, 20)]
    assert lost(run_of(run_dir, sent, rows)) == []


def test_equal_payloads_are_placed_by_their_order(run_dir: Path) -> None:
    """Half a second on the way at five a second: the last equal emission is not the one that comes."""
    sent = [emitted(1 + number / 5, payload) for number, payload in enumerate([1, 7, 7, 7, 7, 2])]
    rows = [stage(0), *(got(1.5 + number / 5, payload) for number, payload in enumerate([1, 7, 7, 7, 7, 2]))]
    assert ages(run_of(run_dir, sent, rows)) == [500] * 6


def test_equal_payloads_without_an_order_have_no_known_age(run_dir: Path) -> None:
    sent = [emitted(at, 7) for at in (1, 2, 3, 4, 40)]
    run = run_of(run_dir, sent, [stage(0), got(2.1, 7), got(4.1, 7), got(40.1, 7)])
    assert ages(run) == [None, None, 100]


def test_an_event_from_before_the_subscription_has_no_age(run_dir: Path) -> None:
    run = run_of(run_dir, [emitted(1, 1), emitted(9, 2)], [stage(8), got(8.1, 1), got(9.1, 2)])
    assert ages(run) == [None, 100]


def test_of_several_emitters_the_peer_counts(run_dir: Path) -> None:
    sent = [emitted(1, 1, "a"), emitted(2, 1, "b")]
    run = run_of(run_dir, sent, [stage(0), got(2.1, 1, "a"), got(2.2, 1, "broker")])
    assert ages(run) == [1100, None]


def test_clocks_of_two_machines_may_differ_by_both_errors(run_dir: Path) -> None:
    write_table(run_dir, "host", [Host(T0, name, 1, 0, 1, 2, 0, error) for name, error in
                                  (("a", 0.002), ("b", 0.001), ("a", 0.003))])  # fmt: skip
    run = run_of(run_dir, [emitted(1, 1)], [stage(0), got(0.998, 1)])
    assert clock_error_s(run) == pytest.approx(0.004)
    assert ages(run) == [-2]
    write_table(run_dir, "host", [Host(T0, "a", 1, 0, 1, 2, 0, 0.5)])
    assert clock_error_s(RunData.load(run_dir)) == 0


def test_losses_count_in_the_phase_of_their_emission(run_dir: Path) -> None:
    sent = [emitted(at, at) for at in (10, 14, 20, 29, 31, 50)]
    run = run_of(run_dir, sent, [stage(0), got(10.1, 10), got(31, 29), got(50.3, 50)])
    rows = age_totals(run).select("phase_no", "items", "lost", "p50", "max")
    figures = [(no, items, missing, round(p50), round(most)) for no, items, missing, p50, most in
               rows.filter(pl.col("items") > 0).rows()]  # fmt: skip
    assert figures == [(0, 1, 1, 100, 100), (1, 1, 1, 2000, 2000), (3, 1, 0, 300, 300)]
    assert rows.filter(pl.col("items") == 0)["lost"].to_list() == [1]


def test_requests_are_counted_by_who_answered(run_dir: Path) -> None:
    rows = [
        Interaction(
            T0 + at, NODE, "consumer", "urn:lamp", "property", "p", "readproperty", "request", "http",
            took, 1, status, "", peer=peer,
        )
        for at, peer, took, status in [
            (1, "web-1", 0.1, "ok"), (2, "web-2", 0.2, "ok"), (3, "web-2", 0.3, "failed"),
            (4, "", 5.0, "failed"),
        ]
    ]  # fmt: skip
    found = answering_peers(run_of(run_dir, [], [*rows, request(5, 1.0)]))
    assert [row for row in found.rows() if row[0] == NODE][:3] == [
        (NODE, "", "http", 2, 1, 1000.0, 1000.0),
        (NODE, "web-1", "http", 1, 0, 100.0, 100.0),
        (NODE, "web-2", "http", 2, 1, 200.0, 200.0),
    ]
