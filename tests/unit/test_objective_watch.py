"""Objectives that end a run: when they are judged, and when a count is hopeless; and the exit codes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from wotemu import EmulationError, Network, Node, NodeApp, Phase, Scenario, ScenarioError, Topology
from wotemu.emulation import objective_watch
from wotemu.emulation.objective_watch import JUDGE_EVERY_S, SETTLE_S, HopelessObjectives, ObjectiveWatch
from wotemu.emulation.reported_run import Result
from wotemu.records import Event
from wotemu.scenario import errors, expect, failures, http, node, p95, requests, resolve
from wotemu.scenario.timeline import Timeline
from wotemu_report.objectives.outcome import Outcome, Outcomes, State

TOPOLOGY = Topology([Node("edge", NodeApp("a.py:b"), networks=[Network("net")], scale=2)])


def timeline(*objectives: Any) -> Timeline:
    phases = [Phase("calm", 0), Phase("fade", "15s"), Phase("heal", "40s")]
    return resolve(TOPOLOGY, Scenario(duration="60s", phases=phases, expect=objectives))[0]


def restart(at_s: float, replica: str = "edge-2") -> tuple[float, Event]:
    return at_s, Event(at_s, "app.restarted", f"agent:{replica}", "")


def test_a_phase_is_judged_once_after_its_end() -> None:
    hopeless = HopelessObjectives(
        timeline(
            expect(errors() < "1%", abort=True).during("fade"),
            expect(errors() < "1%").during("calm"),
            expect(p95(), abort=True).recovers(within="5s").after("heal"),
        )
    )
    assert len(hopeless) == 2
    assert hopeless.due(40.0 + SETTLE_S - 0.1) == []
    assert hopeless.due(40.0 + SETTLE_S) == [0]
    assert hopeless.due(49.0) == []
    assert hopeless.due(50.0 + SETTLE_S) == [2]  # two windows more than it may take


@pytest.mark.parametrize(
    ("objective", "times", "hopeless_after"),
    [
        (expect(node("edge").restarts == 0, abort=True), [5.0], 1),
        (expect(node("edge").restarts < 2, abort=True), [5.0, 6.0], 2),
        (expect(node("edge").restarts <= 1, abort=True), [5.0, 6.0], 2),
        (expect(node("edge").restarts == 0, abort=True).during("fade"), [5.0, 14.9, 15.0], 3),
        (expect(node("edge-1").restarts == 0, abort=True), [5.0, 6.0], None),
        (expect(node("edge").crashes == 0, abort=True), [5.0], None),
    ],
)
def test_a_count_above_its_limit_is_hopeless_at_once(
    objective: Any, times: list[float], hopeless_after: int | None
) -> None:
    hopeless, found = HopelessObjectives(timeline(objective)), None
    for number, at_s in enumerate(times, 1):
        hopeless.take(*restart(at_s))
        if hopeless.exceeded() is not None and found is None:
            found = number
    assert found == hopeless_after


@attrs.define
class FakeRun:
    """A run at some moment, and who ended it."""

    timeline: Timeline
    now_s: float | None = None
    t0: float | None = 0.0
    ended_by: str = ""

    @property
    def control(self) -> FakeRun:
        return self

    def stop(self, *, at_once: bool, who: str) -> None:
        assert not at_once
        self.ended_by = who


def outcome(state: State, number: int = 0) -> Outcome:
    return Outcome(number, "errors of requests", state, 0.5, "share", "<", 0.01)


@pytest.mark.parametrize(("state", "ends"), [("failed", True), ("no verdict", True), ("no data", False)])
async def test_a_failed_objective_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, state: State, ends: bool
) -> None:
    monkeypatch.setattr(objective_watch, "LOOK_EVERY_S", 0.001)
    objectives = timeline(expect(errors() < "1%", abort=True).during("calm"), expect(errors() < "1%"))
    run, judged = FakeRun(objectives), asyncio.Event()

    async def judge() -> Outcomes:
        judged.set()
        return Outcomes((outcome(state), outcome("failed", 1)))  # the second does not end the run

    watch = ObjectiveWatch(run, judge)  # type: ignore[arg-type]  # all of a run that it uses
    watching = asyncio.create_task(watch.run())
    await asyncio.sleep(0.01)
    assert not judged.is_set()
    run.now_s = 15.0 + SETTLE_S
    await judged.wait()
    watch.close()
    await watching
    assert bool(run.ended_by) is ends
    assert watch.ended_by == (
        "errors of requests 50 %, limit < 1 % (failed)" if state == "failed" else watch.ended_by
    )


async def test_a_restart_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objective_watch, "LOOK_EVERY_S", 0.001)
    run = FakeRun(timeline(expect(node("edge").restarts == 0, abort=True)), now_s=5.0)

    async def judge() -> Outcomes:
        raise AssertionError("a count needs no tables")

    watch = ObjectiveWatch(run, judge)  # type: ignore[arg-type]  # all of a run that it uses
    watch.take(restart(4.0)[1])
    await watch.run()
    assert run.ended_by == "an objective that is not met: restarts of edge"


@pytest.mark.parametrize(("state", "ends"), [("failed", True), ("no data", False), ("no verdict", False)])
async def test_too_many_failures_end_the_run_within_their_window(
    monkeypatch: pytest.MonkeyPatch, state: State, ends: bool
) -> None:
    monkeypatch.setattr(objective_watch, "LOOK_EVERY_S", 0.001)
    wanted = [expect(failures(http()) == 0, abort=True), expect(requests() >= 3, abort=True).during("calm")]
    run, judged = FakeRun(timeline(*wanted), now_s=JUDGE_EVERY_S - 0.1), asyncio.Event()

    async def judge() -> Outcomes:
        judged.set()
        return Outcomes((outcome(state), outcome("failed", 1)))  # the second may still become true

    watch = ObjectiveWatch(run, judge)  # type: ignore[arg-type]  # all of a run that it uses
    watching = asyncio.create_task(watch.run())
    await asyncio.sleep(0.01)
    assert not judged.is_set()
    run.now_s = JUDGE_EVERY_S
    await judged.wait()
    watch.close()
    await watching
    assert bool(run.ended_by) is ends


def test_a_number_of_requests_may_end_a_run_where_it_is_limited_from_above() -> None:
    expect(requests(http()) < 3, abort=True).check()
    with pytest.raises(ScenarioError, match="only at the run's end"):
        expect(requests(http()) >= 3, abort=True).check()


async def test_a_run_without_such_objectives_is_not_watched() -> None:
    watch = ObjectiveWatch(FakeRun(timeline(expect(errors() < "1%"))), None)  # type: ignore[arg-type]
    await watch.run()


INVALID: Any = SimpleNamespace(verdict="INVALID")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"objectives": Outcomes((outcome("passed"),))}, 0),
        ({"objectives": Outcomes((outcome("passed"), outcome("failed")))}, 1),
        ({"objectives": Outcomes((outcome("no data"),))}, 1),
        ({"objectives": Outcomes((outcome("no verdict"),))}, 1),
        ({"objectives": Outcomes((outcome("failed"),)), "certificate": INVALID}, 1),
        ({"objectives": Outcomes((outcome("failed"),)), "certificate": INVALID, "strict": True}, 4),
        ({"objectives": Outcomes((outcome("failed"),)), "status": "interrupted"}, 130),
        ({"objectives": Outcomes((outcome("failed"),)), "status": "interrupted", "ended_by": "errors"}, 1),
        ({"objectives": Outcomes((outcome("failed"),)), "report_error": EmulationError("no page")}, 3),
        ({"objectives": Outcomes((outcome("failed"),)), "error": EmulationError("broken")}, 3),
        ({"status": "failed"}, 3),
    ],
)
def test_the_exit_code_of_a_result(changes: dict[str, Any], code: int) -> None:
    given: dict[str, Any] = {"status": "done", "report": None, "error": None, **changes}
    assert Result(run_dir=Path("runs/x"), **given).exit_code == code
