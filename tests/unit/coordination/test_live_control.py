"""Changes by hand take hold like scripted ones, on all hops at once, and are recorded with who made them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.unit.coordination.run import FIELD, TOPOLOGY, Run
from wotemu.errors import EmulationError, NotRunningError, ScenarioError
from wotemu.scenario import at, event, when
from wotemu.scenario.timeline import Change
from wotemu.topology.models import Node, Topology
from wotemu_runtime.control.live_changes import (
    Crash,
    Heal,
    LiveChange,
    Partition,
    Pause,
    Restart,
    SetConditions,
)
from wotemu_runtime.coordination.live_control import LEAD_S, LiveControl
from wotemu_runtime.roles.role import Role
from wotemu_runtime.testing import EPOCH_S, on_jumping_clock

FOUR = Topology([*TOPOLOGY.nodes, Node("dog", command=["true"], networks=[FIELD], scale=2)])


@asynccontextmanager
async def going(run: Run) -> AsyncIterator[LiveControl]:
    """A run whose scenario has begun; it is ended after the block, if it was not before."""
    coordinating = asyncio.create_task(run.outcome())
    await run.live.control.until_over(lambda: run.coordinator.outcome.t0 is not None)
    await asyncio.sleep(run.t0 - run.live.now())
    try:
        yield run.coordinator.control
    finally:
        run.coordinator.stop()
        await coordinating


def ups(run: Run, replica: str = "cam-1") -> list[tuple[float, float]]:
    """When the latency of a hop up changed after T0, and to what."""
    found = [(t, args[2]) for t, args in run.shaper.of("set_hop") if args[:2] == (replica, "up")]
    return [(round(t - (run.t0 - EPOCH_S), 3), float(conditions.latency)) for t, conditions in found][1:]


@on_jumping_clock
async def test_a_change_takes_hold_when_it_is_due_and_is_confirmed(tmp_path: Path) -> None:
    run = Run(tmp_path)
    async with going(run) as control:
        await asyncio.sleep(10)
        changed = await control.change(SetConditions.of("field", latency="300ms"), "me")
        assert (changed.changes, changed.failed, changed.unanswered) == (1, (), 0)
        assert changed.at_s == pytest.approx(10 + LEAD_S, abs=0.02)
        ((held_s, latency),) = ups(run)
        assert latency == 0.3
        assert held_s == pytest.approx(changed.at_s, abs=0.001)
        await asyncio.sleep(5)
    assert run.coordinator.totals.changes == 1
    certificate = run.coordinator.outcome.certificate
    assert certificate is not None and certificate.changes.planned == 1


@on_jumping_clock
async def test_it_is_recorded_with_who_and_when_and_how_a_scenario_would_write_it(tmp_path: Path) -> None:
    run = Run(tmp_path)
    async with going(run) as control:
        await asyncio.sleep(10)
        changed = await control.change(SetConditions.of("field", latency="300ms", for_s=5.0), "me")
        await asyncio.sleep(10)
    (recorded,) = run.of("control.change")
    assert recorded.message == "me: set field latency=300ms for 5s"
    assert (recorded.data["who"], recorded.data["at_s"]) == ("me", changed.at_s)
    begin, end = f"{changed.at_s:g}s", f"{changed.at_s + 5:g}s"
    assert recorded.data["source"] == f"during('{begin}', '{end}').set('field', latency='300ms')"
    assert LiveChange.from_dict(recorded.data["change"]) == SetConditions.of(
        "field", latency="300ms", for_s=5.0
    )
    assert [latency for _, latency in ups(run)] == [0.3, 0.01], "and it ended by itself"


@on_jumping_clock
async def test_later_changes_of_the_script_build_on_it(tmp_path: Path) -> None:
    run = Run(tmp_path, [at(20).set(FIELD, loss="5%"), at(30).restore(FIELD)])
    async with going(run) as control:
        await control.change(SetConditions.of("field", latency="1s"), "me")
        await asyncio.sleep(40)
    conditions = [args[2] for _, args in run.shaper.of("set_hop") if args[:2] == ("cam-1", "up")][1:]
    assert [(float(c.latency), round(float(c.loss), 9)) for c in conditions] == [
        (1.0, 0.0),
        (1.0, 0.05),
        (0.01, 0.0),
    ]


@on_jumping_clock
async def test_a_crash_by_hand_fires_the_guards_that_wait_for_it(tmp_path: Path) -> None:
    run = Run(tmp_path, [when(event("control.change")).do(at(1).set(FIELD, latency="1s"))])
    async with going(run) as control:
        await control.change(Heal(), "me")
        await asyncio.sleep(5)
        again = await control.change(SetConditions.of("field", latency="2s"), "me")
    assert again.changes == 1
    assert [latency for _, latency in ups(run)] == [1.0, 2.0]


async def refusing(role: Role, group: asyncio.TaskGroup) -> None:
    """A node whose agent can't pause it."""

    def refuse(change: Change) -> None:
        raise EmulationError(f"no {change.action} here", hint="elsewhere")

    role.ready()
    following = group.create_task(role.changes.follow(refuse))
    await role.stopping.wait()
    following.cancel()


@on_jumping_clock
async def test_a_change_by_hand_that_a_role_refuses_does_not_speak_against_the_run(tmp_path: Path) -> None:
    run = Run(tmp_path, plays={"agent:cam-1": refusing})
    async with going(run) as control:
        await asyncio.sleep(5)
        changed = await control.change(Pause(targets="cam-1"), "me")
        assert changed.failed == ("pause of cam-1: no pause here (elsewhere)",)
        await asyncio.sleep(10)
        later = await control.change(SetConditions.of("field", latency="300ms"), "me")
        assert (later.changes, later.failed) == (1, ())
        await asyncio.sleep(5)
    certificate = run.coordinator.outcome.certificate
    assert certificate is not None
    assert [each.what for each in certificate.reasons if each.what.startswith("change")] == []
    assert certificate.changes.refused_by_hand == 1
    assert "no pause here" in run.of("change.failed")[0].message


@on_jumping_clock
async def test_a_change_of_the_script_that_a_role_refuses_makes_the_run_invalid(tmp_path: Path) -> None:
    run = Run(tmp_path, [at(5).pause("cam-1")], plays={"agent:cam-1": refusing})
    async with going(run) as control:
        await asyncio.sleep(10)
        await control.change(SetConditions.of("field", latency="300ms"), "me")
        await asyncio.sleep(5)
    certificate = run.coordinator.outcome.certificate
    assert certificate is not None and certificate.verdict == "INVALID"
    assert "change_failed" in [each.what for each in certificate.reasons]
    assert certificate.changes.refused_by_hand == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            SetConditions.of("feild", latency="1s"),
            "set feild latency=1s: there is no network or attached node",
        ),
        (Crash(targets="cam-9"), "crash cam-9: there is no node 'cam-9'"),
        (Partition(groups=[["cam-1"], ["dog"]]), r"partition \[cam-1\] \[dog\]: there is no node 'dog'"),
        (Heal(for_s=3.0), "heal for 3s: it does not end by itself"),
        (Heal(name="fence"), "heal fence: no partition or block is called 'fence'"),
    ],
)
@on_jumping_clock
async def test_what_is_not_possible_changes_nothing_and_the_run_goes_on(
    tmp_path: Path, change: LiveChange, message: str
) -> None:
    run = Run(tmp_path)
    async with going(run) as control:
        with pytest.raises(ScenarioError, match=message):
            await control.change(change, "me")
        changed = await control.change(SetConditions.of("field", latency="2s"), "me")
    assert changed.changes == 1
    assert run.coordinator.totals.changes == 1
    assert [command["command"] for command in await run.commands()] == [
        "timeline",
        "t0",
        "changes",
        "stop",
        "stop",
    ]


@on_jumping_clock
async def test_a_change_that_makes_a_later_one_of_the_script_impossible_is_refused(tmp_path: Path) -> None:
    run = Run(tmp_path, [at(30).partition(["dog-1"], ["dog-2"])], topology=FOUR)
    async with going(run) as control:
        with pytest.raises(ScenarioError, match=r"then a later change is not possible: .*would reach"):
            await control.change(Partition(groups=["cam-1", "cam-2"]), "me")
        assert (await control.change(Heal(), "me")).changes == 0


@on_jumping_clock
async def test_a_change_that_can_not_be_applied_says_why(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.shaper.broken = None
    async with going(run) as control:
        run.shaper.broken = OSError(105, "No buffer space available")
        changed = await control.change(SetConditions.of("field", latency="2s"), "me")
    assert changed.failed == ("conditions of field up: OSError: [Errno 105] No buffer space available",)
    assert changed.late_s is None


@on_jumping_clock
async def test_what_holds_already_is_no_change(tmp_path: Path) -> None:
    async with going(Run(tmp_path)) as control:
        changed = await control.change(SetConditions.of("field", latency="10ms"), "me")
    assert (changed.changes, changed.late_s) == (0, None)


@on_jumping_clock
async def test_nothing_can_be_changed_before_t0_or_after_the_end(tmp_path: Path) -> None:
    run = Run(tmp_path, duration="10s")
    change = Restart(targets="cam")
    with pytest.raises(NotRunningError, match="its scenario has not begun"):
        await run.coordinator.control.change(change, "me")
    async with going(run) as control:
        await asyncio.sleep(run.t0 + 9.99 - run.live.now())
        with pytest.raises(NotRunningError, match="over before it could take hold"):
            await control.change(change, "me")
        await asyncio.sleep(5)
    with pytest.raises(NotRunningError, match="the run is over"):
        await control.change(change, "me")
    assert run.coordinator.outcome.status == "done"


@on_jumping_clock
async def test_who_leaves_while_a_change_is_made_leaves_no_half_of_it(tmp_path: Path) -> None:
    run = Run(tmp_path)
    async with going(run) as control:
        making = asyncio.create_task(control.change(SetConditions.of("field", latency="2s"), "me"))
        await asyncio.sleep(0)
        making.cancel()
        await asyncio.sleep(1)
    assert making.cancelled()
    assert len(run.of("control.change")) == len(ups(run)) == 1


@on_jumping_clock
async def test_who_takes_over_has_the_changes_by_hand_and_gives_them_the_same_ids(tmp_path: Path) -> None:
    events = [at(50).restore(FIELD)]
    first = Run(tmp_path, events)
    coordinating = asyncio.create_task(first.outcome())
    await asyncio.sleep(10)
    await first.coordinator.control.change(SetConditions.of("field", latency="1s"), "me")
    first.engine.leave()
    coordinating.cancel()
    await asyncio.wait([coordinating])
    second = Run(tmp_path, events, bus=first.bus, engine=first.engine, resume=True)
    second.shaper = first.shaper
    async with going(second) as control:
        changed = await control.change(SetConditions.of("field", latency="2s"), "you")
        assert changed.changes == 1
        await asyncio.sleep(50)
    assert [latency for _, latency in ups(second)] == [1.0, 2.0, 0.01]
    assert [each.message for each in second.of("control.change")] == ["you: set field latency=2s"]
    assert second.coordinator.outcome.losses == {}


@on_jumping_clock
async def test_status_and_conditions_say_what_holds_now(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run.coordinator.control.status().doing == "deploying"
    async with going(run) as control:
        await control.change(SetConditions.of("cam@field", None, "down", latency="90ms"), "me")
        await control.change(Crash(targets="cam-2"), "me")
        status, now = control.status(), control.conditions()
    assert (status.name, status.doing, status.nodes, status.networks) == ("test", "running", 2, 1)
    assert status.now_s is not None and 0 < status.now_s < 7
    hops = {(hop.replica, hop.direction): (hop.conditions["latency_s"], hop.is_cut) for hop in now.hops}
    assert hops[("cam-1", "up")] == (0.01, False)
    assert hops[("cam-2", "down")] == (0.09, True)
    assert now.apps == {"cam-1": "running", "cam-2": "crashed"}
    assert control.status().doing == "over"


@on_jumping_clock
async def test_events_come_from_any_point_on_and_end_with_the_run(tmp_path: Path) -> None:
    run = Run(tmp_path, duration="20s")
    async with going(run) as control:
        known = [each async for each in control.events((), after=0, follow=False)]
        assert [each.number for each in known] == list(range(1, len(known) + 1))
        following = asyncio.create_task(_all(control, ("run.*", "role.done"), known[-1].number))
        now = asyncio.create_task(_all(control, ("run.*",), None))
        await asyncio.sleep(30)
    assert await now == ["run.stopping", "run.certified", "run.done"]
    kinds = await following
    assert kinds.count("role.done") == 3
    assert [kind for kind in kinds if kind.startswith("run")][-3:] == [
        "run.stopping",
        "run.certified",
        "run.done",
    ]


async def _all(control: LiveControl, kinds: tuple[str, ...], after: int | None) -> list[str]:
    return [each.event.kind async for each in control.events(kinds, after=after, follow=True)]


@on_jumping_clock
async def test_a_slow_listener_slows_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, duration="20s")
    async with going(run) as control:
        events = control.events((), after=0, follow=True)
        first = await anext(events)
        await asyncio.sleep(30)
        assert run.coordinator.outcome.status == "done"
        rest = [each.number async for each in events]
    assert rest == list(range(first.number + 1, run.recorder.counts["events"] + 1))
