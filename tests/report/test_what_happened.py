"""The head's sentences: what broke, when it was well again, and the worst that nodes went through."""

from __future__ import annotations

from pathlib import Path

import pytest

from wotemu.records import Interaction
from wotemu_report.page.what_happened import broken_sentences, worst_sentences
from wotemu_report.queries.outages_seen import durations_by_phase, outages_seen, silences
from wotemu_report.recorded.run_data import RunData

from .many_nodes import many_nodes_run
from .synthetic import T0, edit, request, write_json
from .test_availability import ERROR, run_of, steady


def item(at: float, node: str = "reader-3g-1") -> Interaction:
    """An event that a subscriber got, `at` seconds after T0."""
    return Interaction(T0 + at, node, "consumer", "urn:lamp", "event", "blink", "subscribeevent", "next",
                       "http", 0.0, 4, "ok", "")  # fmt: skip


def test_an_outage_lasts_from_the_first_failed_request_to_the_next_answered_one(run_dir: Path) -> None:
    # 20 s to 29 s: failed at once each second; the next one is answered.
    failed = [request(at, 0.5, ERROR) for at in range(20, 30)]
    run = run_of(run_dir, [*steady(0, 20, 0.1), *failed, *steady(30, 60, 0.1)])
    (row,) = outages_seen(run).iter_rows(named=True)
    assert (row["group"], row["op"], row["nodes"]) == ("reader-3g", "readproperty", 1)
    assert (row["start"], row["stop"], row["lasts"]) == pytest.approx((20, 30, 10), abs=0.2)


def test_outages_of_replicas_that_overlap_are_one_and_the_longest_counts(run_dir: Path) -> None:
    rows = []
    for node, since in (("reader-3g-1", 20), ("reader-3g-2", 25)):
        rows += [*steady(0, since, 0.1, node=node), *steady(30, 60, 0.1, node=node)]
        rows += [request(at, 0.5, ERROR, node=node) for at in range(since, 30)]
    (row,) = outages_seen(run_of(run_dir, rows)).iter_rows(named=True)
    assert row["nodes"] == 2
    assert (row["start"], row["stop"], row["lasts"]) == pytest.approx((20, 30, 10), abs=0.2)


def test_a_silence_is_far_longer_than_the_usual_distance_of_items(run_dir: Path) -> None:
    run = run_of(run_dir, [item(at) for at in (*range(0, 20), *range(30, 60))])
    (row,) = silences(run).iter_rows(named=True)
    assert (row["group"], row["name"], row["start"], row["stop"]) == ("reader-3g", "blink", 19.0, 30.0)


def test_durations_by_phase_are_of_the_slowest_node(run_dir: Path) -> None:
    slow = steady(0, 10, 0.3, node="reader-3g-2")
    rows = durations_by_phase(run_of(run_dir, [*steady(0, 10, 0.1), *slow]))
    assert rows.select("group", "phase", "count").row(0) == ("reader-3g", "calm", 20)
    assert (rows["p95"].item(), rows["most"].item()) == pytest.approx((300, 300))


def test_the_head_says_how_long_nodes_could_not_read_in_which_phase(run_dir: Path) -> None:
    wifi = steady(0, 60, 0.02, node="reader-wifi-1")
    faded = steady(15, 30, 0.4)
    failed = [request(at, 0.5, ERROR) for at in range(30, 40)]
    run = run_of(run_dir, [*wifi, *steady(0, 15, 0.1), *faded, *failed, *steady(40, 60, 0.1)])
    worst, slow, fine = worst_sentences(run)
    assert worst == ("reader-3g (1 of 3 nodes) could not read for 10 s while “cut” held (30 s to 40 s).")
    assert slow == "Reads by reader-3g took up to 400 ms during “fade” (p95 400 ms, 100 ms in “calm”)."
    assert fine == "reader-wifi was always answered (p95 at most 20 ms in any phase)."


def test_the_head_says_what_broke_and_when_it_was_well_again(run_dir: Path) -> None:
    failed = [request(at, 0.5, ERROR) for at in range(30, 40)]
    wifi = steady(0, 60, 0.02, node="reader-wifi-1")
    run = run_of(run_dir, [*wifi, *steady(0, 30, 0.1), *failed, *steady(40, 60, 0.1)])
    (cut,) = [each for each in broken_sentences(run) if each.startswith("At 30 s")]
    assert cut == (
        "At 30 s: field: cut reader-3g-1, reader-3g-2, reader-3g-3 | thing — reader-3g well again 10 s later "
        "(to within 5 s); reader-wifi not affected."
    )


def test_of_many_disturbances_the_head_names_those_with_the_longest_recovery(run_dir: Path) -> None:
    """Twelve short ones, and requests that fail for 10 s after that at 200 s."""
    changes = [
        {"id": n, "at_s": 20.0 * n, "action": "conditions", "network": "field", "node": None,
         "direction": None, "before": {"latency_s": 0.1}, "after": {"latency_s": 0.2}}
        for n in range(1, 13)
    ]  # fmt: skip
    timeline = {"seed": 1, "duration_s": 300, "phases": [], "changes": changes, "hash": ""}
    write_json(run_dir / "timeline.json", timeline)
    edit(run_dir / "manifest.json", duration_s=300, ended=T0 + 300)
    failed = [request(at, 0.5, ERROR) for at in range(200, 210)]
    found = broken_sentences(run_of(run_dir, [*steady(0, 200, 0.1), *failed, *steady(210, 300, 0.1)]))
    assert len(found) == 9
    assert "At 200 s: field: worse latency — reader-3g well again 10 s later (to within 5 s)." in found
    assert found[-1] == "And 5 more disturbances, over sooner: see Recovery."


def test_many_nodes_are_one_sentence(tmp_path: Path) -> None:
    run = RunData.load(many_nodes_run(tmp_path / "run"))
    worst, fine = worst_sentences(run)
    assert worst == (
        "phone-* (all 80 nodes) could not read for up to 12 s while “fade” held (20.50 s to 32.50 s)."
    )
    assert fine.startswith("sensor-* was always answered")
