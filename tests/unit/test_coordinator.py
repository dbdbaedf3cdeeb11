"""Whole runs' coordination on an engine of tasks and a bus in memory; ten minutes pass in milliseconds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from wotemu.errors import EmulationError, HostError
from wotemu.records import App, Event
from wotemu.scenario import Phase, Resolver, Scenario, at, metric, when
from wotemu.scenario.events import Event as ScenarioEvent
from wotemu.topology.models import Network, NetworkConditions, Node, Topology
from wotemu_runtime.bus import Streams
from wotemu_runtime.bus.codec import pack, unpack
from wotemu_runtime.checkpoint import Checkpoint
from wotemu_runtime.coordinator import (
    READY_DEADLINE_PER_ROLE_S,
    READY_DEADLINE_S,
    T0_LEAD_S,
    Coordinator,
    Outcome,
)
from wotemu_runtime.engines.engine import RoleLost, Unplaced
from wotemu_runtime.gateway_role import Gateway, NetworkState, serve_network
from wotemu_runtime.plan import Plan, make_plan
from wotemu_runtime.recorder import Recorder
from wotemu_runtime.role import Role
from wotemu_runtime.testing import (
    EPOCH_S,
    FakeEngine,
    FakeShaper,
    MemoryBus,
    Play,
    loop_clock,
    on_jumping_clock,
)

FIELD = Network("field", NetworkConditions(latency="10ms"))
TOPOLOGY = Topology([Node("cam", command=["true"], networks=[FIELD], scale=2)])
ROLES = {"agent:cam-1", "agent:cam-2", "gateway:field"}
STREAMS = Streams("test")


def node(*, ready_s: float = 0.0, ends_s: float | None = None) -> Play:
    """A node that is ready after `ready_s`, then reports its uptime each second until the end."""

    async def play(role: Role, group: asyncio.TaskGroup) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ready_s):
                await role.stopping.wait()
        role.ready()
        began = role.now()
        while not role.stopping.is_set() and (ends_s is None or role.now() < began + ends_s):
            await asyncio.sleep(1)
            up_s = round(role.now() - began)
            role.publisher.put(App(role.now(), role.assignment.subject, "uptime", float(up_s)))
        if not role.stopping.is_set():
            raise RuntimeError("the agent broke")

    return play


async def deaf(role: Role, group: asyncio.TaskGroup) -> None:
    """A role that is ready and never ends, whatever it is told."""
    role.ready()
    await asyncio.Event().wait()


async def never_ready(role: Role, group: asyncio.TaskGroup) -> None:
    await role.stopping.wait()


@attrs.define
class Run:
    """One run, and what is to be seen of it. `plays` has what certain roles do; the others are well."""

    run_dir: Path
    events: Sequence[ScenarioEvent] = ()
    phases: Sequence[Phase] = ()
    duration: str = "1min"
    plays: dict[str, Play] = attrs.field(factory=dict)
    bus: MemoryBus = attrs.field(factory=MemoryBus)
    shaper: FakeShaper = attrs.field(factory=FakeShaper)
    told: list[Event] = attrs.field(factory=list)
    on_event: Callable[[Event], None] = lambda _: None
    anew: bool = True
    keep: bool = False
    trims: bool = True
    """Whether the bus forgets what is recorded."""
    engine: FakeEngine = attrs.field(default=None)
    recorder: Recorder = attrs.field(init=False)
    coordinator: Coordinator = attrs.field(init=False)
    plan: Plan = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        resolver = Resolver(
            TOPOLOGY, Scenario(phases=self.phases, events=self.events, duration=self.duration)
        )
        self.plan = make_plan(TOPOLOGY, resolver.timeline, stack="test", root=Path("/"))
        self.engine = self.engine or FakeEngine(self.bus, self.play)
        self.recorder = Recorder(self.run_dir)
        self.coordinator = Coordinator(
            self.plan,
            self.engine,
            self.recorder,
            self.listen,
            resolver,
            anew=self.anew,
            keep=self.keep,
            kept=lambda: None if self.trims else Checkpoint(run="elsewhere"),
            connect_to=self.engine.connect,
            clock=loop_clock(),
        )

    def play(self, role: str) -> Play:
        return self.plays.get(role) or (self.gateway if role.startswith("gateway:") else node())

    async def gateway(self, role: Role, group: asyncio.TaskGroup) -> None:
        await serve_network(role, group, Gateway(role, self.shaper, NetworkState(role.assignment.data)))

    def listen(self, event: Event) -> None:
        self.told.append(event)
        self.on_event(event)

    async def outcome(self) -> Outcome:
        try:
            return await self.coordinator.run()
        finally:
            self.recorder.close()

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.told if event.kind == kind]

    @property
    def t0(self) -> float:
        assert self.coordinator.outcome.t0 is not None
        return self.coordinator.outcome.t0

    async def commands(self) -> list[dict[str, Any]]:
        return [unpack(fields) for _, fields in await self.bus.xrange(STREAMS.commands)]


@pytest.fixture(autouse=True)
def no_real_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No role looks at this machine's load, nor at its own process's."""

    async def nothing(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("wotemu_runtime.coordinator.report_host", nothing)
    monkeypatch.setattr("wotemu_runtime.gateway_role.watch_stalls", nothing)
    monkeypatch.setattr("wotemu_runtime.gateway_role.tell_drops", lambda *_, **__: None)
    monkeypatch.setattr("wotemu_runtime.gateway_role.be_prompt", lambda: True)


# The beginning


@on_jumping_clock
async def test_t0_is_set_once_all_roles_are_ready_and_not_before(tmp_path: Path) -> None:
    run = Run(tmp_path, plays={"agent:cam-2": node(ready_s=42)})
    outcome = await run.outcome()
    assert outcome.status == "done"
    ready = {event.source: event.t - EPOCH_S for event in run.of("role.ready")}
    assert ready.keys() == ROLES
    assert ready["agent:cam-2"] == pytest.approx(42, abs=0.01)
    assert max(ready["agent:cam-1"], ready["gateway:field"]) < 1
    (told,) = run.of("run.t0")
    assert told.t - EPOCH_S == pytest.approx(42, abs=0.01)
    assert run.t0 == pytest.approx(told.t + T0_LEAD_S, abs=0.01)
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
    assert deadline_s <= run.of("run.stopping")[0].t - EPOCH_S < deadline_s + 0.1
    assert failed.t >= run.of("run.stopping")[0].t
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


# The scenario


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
    assert run.coordinator.counters.changes == 2
    assert run.coordinator.counters.failed_changes == 0
    assert max(run.coordinator.counters.lateness_s) < 0.001


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
    assert (run.coordinator.counters.changes, run.coordinator.counters.failed_changes) == (1, 1)
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
    assert again.data["silent_s"] == pytest.approx(20, abs=2)


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


# The end


@on_jumping_clock
async def test_a_deployment_that_fails_fails_the_run_and_is_removed(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.engine.broken["deploy"] = HostError("user namespaces are off", where="this machine")
    outcome = await run.outcome()
    assert (outcome.status, outcome.deployed, outcome.t0) == ("failed", None, None)
    assert isinstance(outcome.error, HostError)
    assert run.engine.calls == ["deploy", "remove"]


@on_jumping_clock
async def test_what_can_not_be_removed_is_told_and_the_run_is_as_it_was(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.engine.broken["remove"] = EmulationError("2 processes are left")
    outcome = await run.outcome()
    assert (outcome.status, str(outcome.error)) == ("done", "2 processes are left")
    assert [event.message for event in run.of("run.left")] == ["2 processes are left"]
    del run.engine.broken["remove"]
    await run.engine.remove()


@on_jumping_clock
async def test_a_run_that_is_stopped_while_it_deploys_waits_for_no_deployment(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.engine.deploy_s = 100
    asyncio.get_running_loop().call_later(5, run.coordinator.stop)
    outcome = await run.outcome()
    assert (outcome.status, outcome.error, outcome.deployed) == ("interrupted", None, None)
    assert asyncio.get_running_loop().time() == pytest.approx(5)
    assert run.engine.calls == ["deploy", "remove"]


@on_jumping_clock
async def test_a_stop_after_the_end_changes_nothing_of_how_the_run_went(tmp_path: Path) -> None:
    async def slow(role: Role, group: asyncio.TaskGroup) -> None:
        role.ready()
        await role.stopping.wait()
        await asyncio.sleep(5)

    run = Run(tmp_path, plays={"agent:cam-1": slow})
    asyncio.get_running_loop().call_later(62, run.coordinator.stop)
    outcome = await run.outcome()
    assert (outcome.status, outcome.losses) == ("done", {})
    assert "agent:cam-1" in {event.source for event in run.of("role.done")}


@on_jumping_clock
async def test_a_run_that_is_cancelled_removes_all_that_it_started(tmp_path: Path) -> None:
    run = Run(tmp_path)
    running = asyncio.create_task(run.outcome())
    await asyncio.sleep(30)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert run.coordinator.outcome.status == "interrupted"
    assert run.engine.calls == ["deploy", "remove"]
    assert [task.get_name() for task in asyncio.all_tasks() if ":" in task.get_name()] == []


@pytest.mark.parametrize(
    ("stop_s", "plays", "t0"),
    [
        (0.0, {}, False),
        (10.0, {"agent:cam-1": node(ready_s=42)}, False),
        (30.0, {}, True),
        (59.9, {}, True),
    ],
)
@on_jumping_clock
async def test_a_run_that_is_stopped_ends_cleanly_at_any_stage(
    tmp_path: Path, stop_s: float, plays: dict[str, Play], t0: bool
) -> None:
    run = Run(tmp_path, plays=plays)
    loop = asyncio.get_running_loop()
    loop.call_later(stop_s, run.coordinator.stop) if stop_s else run.coordinator.stop()
    outcome = await run.outcome()
    assert (outcome.status, outcome.error, dict(outcome.losses)) == ("interrupted", None, {})
    assert (outcome.t0 is not None) == t0
    assert stop_s <= loop.time() < stop_s + 3
    assert run.engine.calls == ["deploy", "remove"]
    assert run.told[-1].kind == "run.done"
    assert {task.get_name() for task in asyncio.all_tasks()} == {asyncio.current_task().get_name()}  # type: ignore[union-attr]


@on_jumping_clock
async def test_who_stops_at_once_waits_for_no_role(tmp_path: Path) -> None:
    run = Run(tmp_path, plays={"agent:cam-1": deaf})
    loop = asyncio.get_running_loop()
    loop.call_later(30, run.coordinator.stop)
    loop.call_later(31, lambda: run.coordinator.stop(at_once=True))
    outcome = await run.outcome()
    assert outcome.status == "interrupted"
    assert loop.time() == pytest.approx(31, abs=0.1)
    assert outcome.certificate is None


@on_jumping_clock
async def test_a_role_that_does_not_end_is_given_up_and_its_missing_count_is_a_loss(tmp_path: Path) -> None:
    run = Run(tmp_path, plays={"agent:cam-1": deaf})
    outcome = await run.outcome()
    assert outcome.status == "done"
    assert outcome.losses == {("agent:cam-1", "count of its records, which it did not send at its end"): 1}
    assert 12 < run.of("run.done")[0].t - run.t0 - 60 < 60


@on_jumping_clock
async def test_records_that_a_role_counted_and_that_never_came_are_losses(tmp_path: Path) -> None:
    async def forgetful(role: Role, group: asyncio.TaskGroup) -> None:
        send = role.publisher._client.xadd
        lost = 0

        async def xadd(stream: Any, entry: Any) -> Any:
            nonlocal lost
            if stream == STREAMS.metrics("app") and lost < 2:  # confirmed, and forgotten
                lost += 1
                return b"0-0"
            return await send(stream, entry)

        role.publisher._client = attrs.make_class("Forgetful", ["xadd"])(xadd)
        await node()(role, group)

    run = Run(tmp_path, plays={"agent:cam-1": forgetful}, duration="10s")
    outcome = await run.outcome()
    assert outcome.status == "done"
    assert outcome.losses == {("agent:cam-1", "app records that the bus had and lost"): 2}


@on_jumping_clock
async def test_the_last_records_of_a_role_that_never_came_are_losses(tmp_path: Path) -> None:
    async def forgetful(role: Role, group: asyncio.TaskGroup) -> None:
        account = role.done
        role.done = lambda records: account({**records, "app": records["app"] + 3})  # type: ignore[method-assign]
        await node()(role, group)

    run = Run(tmp_path, plays={"agent:cam-1": forgetful}, duration="10s")
    outcome = await run.outcome()
    assert outcome.losses == {("agent:cam-1", "app records that never came"): 3}


@on_jumping_clock
async def test_gateways_are_stopped_after_all_nodes_have_ended(tmp_path: Path) -> None:
    async def slow(role: Role, group: asyncio.TaskGroup) -> None:
        role.ready()
        await role.stopping.wait()
        await asyncio.sleep(5)

    run = Run(tmp_path, plays={"agent:cam-1": slow})
    await run.outcome()
    ended = {event.source: event.t - run.t0 for event in run.of("role.done")}
    assert ended["agent:cam-2"] < 62
    assert ended["agent:cam-1"] == pytest.approx(65, abs=0.1)
    assert ended["gateway:field"] >= ended["agent:cam-1"]


@on_jumping_clock
async def test_nodes_that_are_kept_go_on_unrecorded(tmp_path: Path) -> None:
    run = Run(tmp_path, keep=True, duration="10s")
    outcome = await run.outcome()
    assert (outcome.status, outcome.losses) == ("done", {})
    assert {event.source for event in run.of("role.muted")} == ROLES
    assert [command["command"] for command in await run.commands()] == ["timeline", "t0", "mute"]


@on_jumping_clock
async def test_a_bus_that_is_away_for_a_while_costs_no_record(tmp_path: Path) -> None:
    run = Run(tmp_path)
    loop = asyncio.get_running_loop()
    loop.call_later(20, setattr, run.bus, "is_away", True)
    loop.call_later(40, setattr, run.bus, "is_away", False)
    outcome = await run.outcome()
    assert (outcome.status, outcome.error, outcome.losses) == ("done", None, {})
    assert [event.data["role"] for event in run.of("role.lost")] == ["bus"]
    assert [event.data["role"] for event in run.of("role.back")] == ["bus"]
    assert run.of("role.silent") == []


@on_jumping_clock
async def test_a_bus_that_does_not_come_back_fails_the_run(tmp_path: Path) -> None:
    run = Run(tmp_path)
    asyncio.get_running_loop().call_later(20, setattr, run.bus, "is_away", True)
    outcome = await run.outcome()
    assert outcome.status == "failed"
    assert outcome.error is not None
    assert outcome.error.where == "event bus"


# Guards

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


# Taking over


async def begun(bus: MemoryBus, timeline: dict[str, Any], t0: float) -> None:
    """What a coordinator that died had told the roles."""
    for command in ({"command": "timeline", "timeline": timeline}, {"command": "t0", "t0": t0}):
        await bus.xadd(STREAMS.commands, pack({**command, "id": str(command["command"])}))


@on_jumping_clock
async def test_a_resumed_coordinator_takes_over_t0_and_ends_when_the_first_would_have(tmp_path: Path) -> None:
    run = Run(tmp_path, anew=False)
    await begun(run.bus, run.plan.timeline.to_dict(), EPOCH_S + 1)
    await asyncio.sleep(20)
    outcome = await run.outcome()
    assert (outcome.status, outcome.error, outcome.t0) == ("done", None, EPOCH_S + 1)
    (resumed,) = run.of("run.resumed")
    assert resumed.message == "another coordinator takes over 19.0 s after T0"
    assert run.of("run.t0") == []
    assert run.of("run.stopping")[0].t - EPOCH_S == pytest.approx(61, abs=0.01)
    assert [command["command"] for command in await run.commands()] == ["timeline", "t0", "stop", "stop"]


@pytest.mark.parametrize("trims", [True, False])
@on_jumping_clock
async def test_who_takes_over_with_the_run_directory_goes_on_where_the_first_was(
    tmp_path: Path, trims: bool
) -> None:
    events = [at(5).set(FIELD, "up", latency="1s"), at(50).restore(FIELD, "up")]
    phases = [Phase("slow", 10), Phase("fast", 40)]
    first = Run(tmp_path, events, phases, trims=trims)
    coordinating = asyncio.create_task(first.outcome())
    await asyncio.sleep(30)
    first.engine.leave()
    coordinating.cancel()
    await asyncio.wait([coordinating])
    await asyncio.sleep(5)
    second = Run(tmp_path, events, phases, bus=first.bus, engine=first.engine, anew=False, trims=trims)
    outcome = await second.outcome()
    assert (outcome.status, outcome.t0, outcome.losses) == ("done", first.t0, {})
    assert [event.data["phase"] for event in first.of("run.phase")] == ["start", "slow"]
    assert [event.data["phase"] for event in second.of("run.phase")] == ["fast"]
    assert second.coordinator.counters.changes == 2
    sent = sum(event.data["records"].get("app", 0) for event in second.of("role.done"))
    assert second.recorder.counts["app"] == sent > 100


@on_jumping_clock
async def test_who_takes_over_a_run_that_was_being_stopped_ends_it(tmp_path: Path) -> None:
    run = Run(tmp_path, anew=False)
    await begun(run.bus, run.plan.timeline.to_dict(), EPOCH_S)
    await run.bus.xadd(STREAMS.commands, pack({"command": "stop", "id": "stop"}))
    await asyncio.sleep(20)
    outcome = await run.outcome()
    assert outcome.status == "interrupted"
    assert asyncio.get_running_loop().time() < 25


@on_jumping_clock
async def test_a_coordinator_with_another_timeline_leaves_the_roles_alone(tmp_path: Path) -> None:
    run = Run(tmp_path, anew=False)
    await begun(run.bus, Run(tmp_path / "other", duration="5s").plan.timeline.to_dict(), EPOCH_S)
    outcome = await run.outcome()
    assert "the roles follow another timeline" in str(outcome.error)
    assert "leave" in run.engine.calls
    assert len(await run.commands()) == 2


@on_jumping_clock
async def test_only_one_coordinates_at_a_time(tmp_path: Path) -> None:
    first = Run(tmp_path / "first")
    coordinating = asyncio.create_task(first.outcome())
    await asyncio.sleep(20)
    second = Run(tmp_path / "second", bus=first.bus, anew=False)
    outcome = await second.outcome()
    assert "it is coordinated by process" in str(outcome.error)
    assert "leave" in second.engine.calls
    assert (await coordinating).status == "done"


@on_jumping_clock
async def test_who_takes_over_waits_until_the_lease_of_the_one_before_has_expired(tmp_path: Path) -> None:
    run = Run(tmp_path, anew=False)
    await begun(run.bus, run.plan.timeline.to_dict(), EPOCH_S)
    await run.bus.set(STREAMS.lease, "the one before", px=4000)
    outcome = await run.outcome()
    assert outcome.status == "done"
    assert run.of("run.resumed")[0].t - EPOCH_S == pytest.approx(4, abs=0.25)
