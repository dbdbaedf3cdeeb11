"""When a run was disturbed, and when its requests were back in the band that they had before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wotemu.records import Record
from wotemu.scenario.timeline import Change
from wotemu_report.queries.disturbances import disturbances, worsening
from wotemu_report.queries.recovery import Mark, Recovery, Window, recoveries, recovery
from wotemu_report.recorded.run_data import RunData

from .synthetic import request, write_json, write_table

WELL = Window(100.0, 0.0)
SLOW = Window(300.0, 0.0)
FAILING = Window(None, 1.0)


def series(*each: Window | None) -> dict[int, Window]:
    """Windows of 5 s from T0 on; None: no request ended in it."""
    return {number: window for number, window in enumerate(each) if window is not None}


def judged(figures: dict[int, Window], *at_s: float, end_s: float = 60.0) -> list[Recovery]:
    return recoveries(figures, [Mark(each) for each in at_s], 5.0, end_s)


def test_the_figures_are_back_when_latency_and_errors_are_in_the_former_band() -> None:
    (found,) = judged(series(WELL, WELL, SLOW, FAILING, SLOW, WELL, WELL), 10, end_s=35)
    assert found == Recovery("recovered", 150.0, 0.0, 300.0, 1.0, took_s=15.0)


def test_the_band_is_half_as_much_again_as_the_median_and_ten_milliseconds_at_least() -> None:
    former = [Window(80.0, 0.0), Window(1000.0, 0.02), Window(100.0, 0.0)]
    (found,) = judged(series(*former, Window(150.0, 0.02), WELL), 15, end_s=25)
    assert (found.limit_ms, found.limit_errors, found.state) == (150.0, 0.02, "unaffected")
    (found,) = judged(series(Window(2.0, 0.0), Window(12.1, 0.0)), 5, end_s=10)
    assert (found.limit_ms, found.state) == (12.0, "not recovered")


def test_one_good_window_among_bad_ones_is_no_recovery() -> None:
    (found,) = judged(series(WELL, SLOW, WELL, SLOW, WELL, WELL), 5, end_s=30)
    assert found.took_s == 15.0


def test_not_recovered_unaffected_and_no_data_are_told_apart() -> None:
    assert judged(series(WELL, SLOW, FAILING), 5, end_s=15)[0].state == "not recovered"
    assert judged(series(WELL, WELL, WELL), 5, end_s=15)[0] == Recovery(
        "unaffected", 150.0, 0.0, 100.0, 0.0, took_s=0.0
    )
    nothing_before = judged(series(None, SLOW, WELL), 5, end_s=15)[0]
    assert nothing_before == Recovery("no data")
    assert judged({}, 5)[0] == Recovery("no data")
    assert judged(series(WELL, WELL), 10, end_s=10)[0] == Recovery("no data")  # the run's last instant
    seldom = judged(series(WELL, None, WELL, None, None), 15, end_s=25)[0]
    assert (seldom.state, seldom.limit_ms) == ("no data", 150.0)


def test_silence_is_trouble_where_there_was_none_before() -> None:
    (found,) = judged(series(WELL, WELL, None, None, WELL, WELL), 10, end_s=30)
    assert (found.state, found.took_s, found.worst_ms) == ("recovered", 10.0, None)
    assert judged(series(WELL, WELL, None, None), 10, end_s=20)[0].state == "not recovered"


def test_a_disturbance_amid_trouble_keeps_the_band_of_the_time_before_it() -> None:
    both = judged(series(WELL, WELL, SLOW, SLOW, FAILING, WELL, WELL, WELL), 10, 20, end_s=40)
    assert [(each.limit_ms, each.took_s) for each in both] == [(150.0, 15.0), (150.0, 5.0)]


def test_after_a_recovery_the_band_is_that_of_the_time_since() -> None:
    fast = Window(50.0, 0.0)
    figures = series(WELL, SLOW, fast, fast, Window(90.0, 0.0), Window(90.0, 0.0))
    assert [(each.state, each.limit_ms) for each in judged(figures, 5, 20, end_s=30)] == [
        ("recovered", 150.0),
        ("not recovered", 75.0),
    ]


def test_a_disturbance_within_a_window_counts_from_its_own_instant() -> None:
    (found,) = judged(series(WELL, WELL, SLOW, SLOW, WELL, WELL), 12.0, end_s=30)
    assert (found.limit_ms, found.took_s) == (150.0, 8.0)


def test_an_instant_that_disturbs_nothing_is_judged_by_the_trouble_that_goes_on_then() -> None:
    figures = series(WELL, WELL, SLOW, SLOW, SLOW, WELL, WELL)
    heal, quiet = Mark(20, disturbs=False), Mark(5, disturbs=False)
    found = recoveries(figures, [heal, Mark(10), quiet], 5.0, 35.0)
    assert [(each.state, each.took_s) for each in found] == [
        ("recovered", 5.0),
        ("recovered", 15.0),
        ("unaffected", 0.0),
    ]


def test_figures_that_are_back_at_once_are_so_at_the_instant() -> None:
    figures = series(WELL, WELL, SLOW, SLOW, WELL, WELL, SLOW, WELL, WELL)
    found = recoveries(figures, [Mark(10), Mark(20, disturbs=False), Mark(30)], 5.0, 45.0)
    assert [(each.state, each.took_s) for each in found] == [
        ("recovered", 10.0),
        ("unaffected", 0.0),
        ("recovered", 5.0),
    ]


def change(action: Any, before: Any, after: Any) -> Change:
    return Change(
        1,
        5.0,
        action,
        "field",
        "phone" if action in ("app", "cut", "skew_clock") else None,
        None,
        before,
        after,
    )


@pytest.mark.parametrize(
    ("planned", "what"),
    [
        (change("conditions", {"latency_s": 0.1, "loss": 0}, {"latency_s": 0.2, "loss": 0.1}),
         "field: worse latency, loss"),
        (change("conditions", {"latency_s": 0.2}, {"latency_s": 0.1}), ""),
        (change("conditions", {"rate_bps": None}, {"rate_bps": 1e6}), "field: worse rate"),
        (change("conditions", {"rate_bps": 1e6}, {"rate_bps": None}), ""),
        (change("partition", [], [["phone"], ["thing"]]), "field: cut phone | thing"),
        (change("partition", [["phone"], ["thing"]], []), ""),
        # One of two partitions heals: nothing is cut that was not before.
        (change("partition", [["phone"], ["thing"], ["sensor"]], [["phone"], ["thing"]]), ""),
        (change("partition", [["phone"]], [["phone"], ["thing"]]), ""),
        (change("partition", [["phone"], ["thing"]], [["phone"]]), "field: cut phone | all others"),
        (change("cut", False, True), "phone cut off from field"),
        (change("app", "running", "crashed"), "phone crashed"),
        (change("app", "crashed", "running"), ""),
        (change("skew_clock", {"by_s": 0.0}, {"by_s": -90.0}), "phone: wall clock 90s behind"),
        (change("skew_clock", {"by_s": -90.0}, {"by_s": 0.0}), ""),
    ],
)  # fmt: skip
def test_only_what_gets_worse_disturbs(planned: Change, what: str) -> None:
    assert worsening(planned) == what


def test_the_steps_of_a_ramp_are_one_disturbance(run_dir: Path) -> None:
    steps = [
        {"id": n, "at_s": 5.0 + n, "action": "conditions", "network": "field", "node": None,
         "direction": None, "before": {"latency_s": n / 10}, "after": {"latency_s": (n + 1) / 10}}
        for n in range(10)
    ]  # fmt: skip
    write_json(
        run_dir / "timeline.json", {"seed": 1, "duration_s": 60, "phases": [], "changes": steps, "hash": ""}
    )
    assert disturbances(RunData.load(run_dir)).rows() == [
        (5.0, 14.0, "field: worse latency"),
        (34.0, 34.0, "reader-3g-1 crashed"),
    ]


def test_what_is_followed_within_a_window_is_judged_by_the_next_whole_one() -> None:
    """Cut at 12 s, and worse from 15 s on: the first whole window after the cut is the one from 15 s on."""
    figures = series(WELL, WELL, WELL, FAILING, FAILING, WELL, WELL)
    cut, worse = recoveries(figures, [Mark(12), Mark(15)], 5.0, 35.0)
    assert (cut.state, cut.took_s) == ("recovered", 13.0)
    assert (worse.state, worse.took_s) == ("recovered", 10.0)


def test_targets_of_which_the_same_is_said_are_named_together(run_dir: Path) -> None:
    changes = [
        {"id": n, "at_s": 5.0, "action": "conditions", "network": "field", "node": node, "direction": way,
         "before": {"latency_s": 0.1}, "after": {"latency_s": 0.3, **more}}
        for n, (node, way, more) in enumerate(
            [("a", "up", {}), ("a", "down", {}), ("b", "up", {}), ("c", "up", {"loss": 0.1})]
        )
    ]  # fmt: skip
    timeline = {"seed": 1, "duration_s": 60, "phases": [], "changes": changes, "hash": ""}
    write_json(run_dir / "timeline.json", timeline)
    first = disturbances(RunData.load(run_dir))["what"][0]
    assert first == "a@field, b@field up: worse latency, and 1 more"


def test_a_runs_disturbances_are_followed_for_each_node(run_dir: Path) -> None:
    """A request each second and node; those over 3G fail or take long from the fade until 40 s."""

    def answered(node: str, second: int) -> Record:
        troubled = node == "reader-3g-1" and 15 <= second < 40
        error = "OSError: cut" if troubled and second >= 30 else ""
        return request(second, 0.9 if troubled else 0.1, error, node=node)

    rows = [answered(node, second) for node in ("reader-3g-1", "reader-wifi-1") for second in range(60)]
    write_table(run_dir, "interactions", rows)
    run = RunData.load(run_dir)
    found = recovery(run, ["group"]).select("s", "group", "limit_ms", "worst_errors", "state", "took_s")
    assert found.rows() == [
        (15.0, "reader-3g", pytest.approx(150.0), 1.0, "recovered", 25.0),
        (15.0, "reader-wifi", pytest.approx(150.0), 0.0, "unaffected", 0.0),
        (20.0, "reader-3g", pytest.approx(150.0), 1.0, "recovered", 20.0),
        (20.0, "reader-wifi", pytest.approx(150.0), 0.0, "unaffected", 0.0),
        (30.0, "reader-3g", pytest.approx(150.0), 1.0, "recovered", 10.0),
        (30.0, "reader-wifi", pytest.approx(150.0), 0.0, "unaffected", 0.0),
        (34.0, "reader-3g", pytest.approx(150.0), 1.0, "recovered", 6.0),
        (34.0, "reader-wifi", pytest.approx(150.0), 0.0, "unaffected", 0.0),
    ]
