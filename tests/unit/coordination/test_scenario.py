"""From the first role that is ready to the last moment of the scenario; ten minutes pass in milliseconds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.unit.coordination.run import FIELD, ROLES, Run, deaf, never_placed, never_ready, node
from wotemu.errors import EmulationError
from wotemu.records import Event
from wotemu.scenario import Phase, at, event, metric, when
from wotemu_runtime.coordination.coordinator import T0_LEAD_ON_ONE_MACHINE_S
from wotemu_runtime.coordination.readiness import READY_DEADLINE_PER_ROLE_S, READY_DEADLINE_S
from wotemu_runtime.engines.engine import RoleLost, Unplaced
from wotemu_runtime.roles.role import Role
from wotemu_runtime.testing import EPOCH_S, on_jumping_clock


@on_jumping_clock
async def test_t0_is_set_once_all_roles_are_ready_and_not_before(tmp_path: Path) -> None:
    run = Run(tmp_path, plays={"agent:cam-2": node(ready_s=42)})
    outcome = await run.outcome()
    assert outcome.status == "done"
    ready = {event.source: event.t - EPOCH_S for event in run.of("role.ready")}
    assert ready.keys() == ROLES
    assert ready["agent:cam-2"] == pytest.approx(42, abs=0.03)  # the recorder gathers entries for 10 ms
    assert max(ready["agent:cam-1"], ready["gateway:field"]) < 1
    (told,) = run.of("run.t0")
    assert told.t - EPOCH_S == pytest.approx(42, abs=0.03)  # the recorder gathers entries for 10 ms
    assert run.t0 == pytest.approx(told.t + T0_LEAD_ON_ONE_MACHINE_S, abs=0.01)
    order = [command["command"] for command in await run.commands()]
    assert order == ["timeline", "t0", "stop", "stop"]


@on_jumping_clock
async def test_a_role_that_never_gets_ready_fails_the_run_with_its_name(tmp_path: Path) -> None:
    run = Run(tmp_path, plays={"agent:cam-1": never_ready})
    outcome = await run.outcome()
    deadline_s = READY_DEADLINE_S + READY_DEADLINE_PER_ROLE_S * len(ROLES)
    assert outcome.status == "failed"
    assert str(outcome.error) == f"not ready after {deadline_s:g} s: agent:cam-1"
    (failed,) = run.of("run.failed")
    assert deadline_s <= failed.t - EPOCH_S < deadline_s + 0.1
    kinds = [event.kind for event in run.told]
    assert kinds.index("run.failed") < kinds.index("run.stopping") < kinds.index("run.done")
    assert outcome.t0 is None
    assert run.of("run.t0") == []


@on_jumping_clock
async def test_a_role_that_has_no_place_before_t0_fails_the_run_at_once(tmp_path: Path) -> None:
    run = Run(tmp_path, plays={"agent:cam-1": never_ready})
    asyncio.get_running_loop().call_later(
        7, run.engine.tell, Unplaced("agent:cam-1", EmulationError("no machine has the label", where="cam"))
    )
    outcome = await run.outcome()
    assert str(outcome.error) == "cam: no machine has the label"
    assert run.of("run.stopping")[0].t - EPOCH_S == pytest.approx(7, abs=0.1)


@pytest.mark.parametrize("placed", [ROLES - {"agent:cam-1"}, set()])
@on_jumping_clock
async def test_a_role_that_was_never_placed_is_not_waited_for_when_the_run_fails(
    tmp_path: Path, placed: set[str]
) -> None:
    run = Run(tmp_path, plays=dict.fromkeys(ROLES - placed, never_placed))
    no_place = Unplaced("agent:cam-1", EmulationError("no machine has the label", where="cam"))
    asyncio.get_running_loop().call_later(7, run.engine.tell, no_place)
    outcome = await run.outcome()
    assert (outcome.status, str(outcome.error)) == ("failed", "cam: no machine has the label")
    (failed,) = run.of("run.failed")
    assert failed.t - EPOCH_S == pytest.approx(7, abs=0.1)
    assert run.of("run.done")[0].t - failed.t < 2.5
    assert outcome.losses == {}


@on_jumping_clock
async def test_an_app_that_can_not_be_started_fails_the_run_and_names_its_node(tmp_path: Path) -> None:
    async def broken(role: Role, group: asyncio.TaskGroup) -> None:
        role.event("app.never_started", "it can't", error="no module named cam", where="field 'app'", hint="")
        await role.stopping.wait()

    outcome = await Run(tmp_path, plays={"agent:cam-2": broken}).outcome()
    assert outcome.error is not None
    assert (outcome.error.message, outcome.error.where) == (
        "no module named cam",
        "Node 'cam', field 'app'",
    )


@on_jumping_clock
async def test_phases_and_the_end_of_ten_minutes_come_at_their_times(tmp_path: Path) -> None:
    run = Run(tmp_path, phases=[Phase("slow", "2min"), Phase("fast", "8min")], duration="10min")
    outcome = await run.outcome()
    assert (outcome.status, outcome.error, outcome.losses) == ("done", None, {})
    phases = {event.data["phase"]: event.t - run.t0 for event in run.of("run.phase")}
    assert phases == pytest.approx({"start": 0, "slow": 120, "fast": 480})
    assert run.of("run.stopping")[0].t - run.t0 == pytest.approx(600)
    assert run.engine.calls == ["deploy", "remove"]


@on_jumping_clock
async def test_every_change_takes_hold_when_it_is_due_and_is_counted(tmp_path: Path) -> None:
    changes = [at("2min").set(FIELD, "up", latency="1s"), at("8min").restore(FIELD, "up")]
    run = Run(tmp_path, changes, duration="10min")
    await run.outcome()
    up = [
        (round(t - (run.t0 - EPOCH_S), 3), float(args[2].latency))
        for t, args in run.shaper.of("set_hop")
        if args[:2] == ("cam-1", "up")
    ]
    assert up[1:] == [(120.0, 1.0), (480.0, 0.01)]
    assert run.coordinator.totals.changes == 2
    assert run.coordinator.totals.failed_changes == 0
    assert max(run.coordinator.totals.lateness_s) < 0.001


@on_jumping_clock
async def test_a_change_that_fails_is_answered_with_its_reason_and_the_run_goes_on(tmp_path: Path) -> None:
    run = Run(tmp_path, [at(10).set(FIELD, "up", latency="1s"), at(30).restore(FIELD, "up")])

    def listen(event: Event) -> None:
        if event.kind == "run.t0":
            loop = asyncio.get_running_loop()
            loop.call_later(5, setattr, run.shaper, "broken", OSError(105, "No buffer space available"))
            loop.call_later(20, setattr, run.shaper, "broken", None)

    run.on_event = listen
    outcome = await run.outcome()
    assert (outcome.status, outcome.losses) == ("done", {})
    assert (run.coordinator.totals.changes, run.coordinator.totals.failed_changes) == (1, 1)
    (failed,) = run.of("change.failed")
    assert failed.message == "conditions of field up: OSError: [Errno 105] No buffer space available"


@on_jumping_clock
async def test_changes_that_nobody_answers_are_losses(tmp_path: Path) -> None:
    changes = [at(10).set(FIELD, latency="1s"), at(30).restore(FIELD)]
    run = Run(tmp_path, changes, plays={"gateway:field": node()})
    outcome = await run.outcome()
    count = len(run.plan.timeline.changes)
    assert (outcome.status, outcome.losses) == ("done", {("coordinator", "changes without an answer"): count})


@on_jumping_clock
async def test_a_role_that_ends_by_itself_fails_the_run_and_says_where_to_look(tmp_path: Path) -> None:
    run = Run(tmp_path, plays={"agent:cam-2": node(ends_s=20)})
    outcome = await run.outcome()
    assert outcome.status == "failed"
    assert isinstance(outcome.error, EmulationError)
    assert (outcome.error.where, outcome.error.message) == (
        "agent:cam-2",
        "it ended by itself: exit code 1",
    )
    assert "logs/_wotemu.log" in str(outcome.error.hint)
    assert run.of("run.stopping")[0].t - run.t0 == pytest.approx(20, abs=1)


@on_jumping_clock
async def test_a_role_that_says_nothing_is_told_of_and_heard_again(tmp_path: Path) -> None:
    async def pausing(role: Role, group: asyncio.TaskGroup) -> None:
        talking = group.create_task(node()(role, group))
        await asyncio.sleep(10)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(role.publisher, "put_row", lambda *_: None)
            await asyncio.sleep(20)
        await talking

    run = Run(tmp_path, plays={"agent:cam-1": pausing})
    outcome = await run.outcome()
    assert outcome.status == "done"
    assert [event.data["role"] for event in run.of("role.silent")] == ["agent:cam-1"]
    (again,) = run.of("role.heard")
    # Up to a second between samples, and one until they are sent, at either end.
    assert 20 <= again.data["silent_s"] < 24.1


@on_jumping_clock
async def test_a_role_that_is_lost_is_not_waited_for_at_the_end(tmp_path: Path) -> None:
    run = Run(tmp_path, plays={"agent:cam-1": deaf})
    asyncio.get_running_loop().call_later(
        30, run.engine.tell, RoleLost("agent:cam-1", "its machine is down", "edge-2")
    )
    outcome = await run.outcome()
    assert outcome.status == "done"
    (lost,) = run.of("role.lost")
    assert (lost.data["role"], lost.data["host"]) == ("agent:cam-1", "edge-2")
    assert run.of("run.done")[0].t - run.t0 < 63


HOT = metric("cam.uptime") >= 20


@on_jumping_clock
async def test_a_guard_fires_when_its_condition_holds_and_its_change_takes_hold(tmp_path: Path) -> None:
    run = Run(tmp_path, [when(HOT).do(at(0).set(FIELD, "up", latency="1s"))])
    outcome = await run.outcome()
    assert outcome.status == "done"
    (fired,) = run.of("guard.fired")
    assert fired.t - run.t0 == pytest.approx(20, abs=2)
    (change,) = run.coordinator.timeline.changes
    assert change.at_s == pytest.approx(fired.data["at_s"])
    (applied,) = run.of("change.applied")
    assert applied.t == pytest.approx(fired.t, abs=0.5)
    slow = [t for t, args in run.shaper.of("set_hop") if float(args[2].latency) == 1.0]
    assert slow
    assert slow == pytest.approx([applied.t - EPOCH_S] * 2, abs=0.01)


@on_jumping_clock
async def test_a_guard_that_must_fire_and_does_not_fails_the_run_at_its_deadline(tmp_path: Path) -> None:
    never = metric("cam.uptime") < 0
    run = Run(tmp_path, [when(never).do(at(0).set(FIELD, latency="1s"), within="30s", otherwise="fail")])
    outcome = await run.outcome()
    assert outcome.status == "failed"
    assert outcome.error is not None
    assert outcome.error.where == "guard"
    assert run.of("run.stopping")[0].t - run.t0 == pytest.approx(30, abs=0.1)


@on_jumping_clock
async def test_a_guard_that_may_fire_and_does_not_is_skipped_at_the_end(tmp_path: Path) -> None:
    never = metric("cam.uptime") < 0
    run = Run(tmp_path, [when(never).do(at(0).set(FIELD, latency="1s"))])
    outcome = await run.outcome()
    assert outcome.status == "done"
    (skipped,) = run.of("guard.skipped")
    assert skipped.t - run.t0 == pytest.approx(60, abs=0.1)


@on_jumping_clock
async def test_a_guard_fires_on_what_the_coordinator_itself_reports(tmp_path: Path) -> None:
    guard = when(event("role.lost")).do(at(1).set(FIELD, "up", latency="1s"))
    run = Run(tmp_path, [guard])
    lost = RoleLost("agent:cam-1", "its machine is gone", "edge")
    asyncio.get_running_loop().call_later(20, run.engine.tell, lost)
    await run.outcome()
    (fired,) = run.of("guard.fired")
    assert fired.t - run.t0 == pytest.approx(20, abs=0.5)
