"""How runs end: when they are over, stopped, cancelled, or fail."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

from tests.unit.coordination.run import ROLES, STREAMS, Run, deaf, node, slow
from wotemu.errors import EmulationError, HostError
from wotemu_runtime.bus.client import NewEntry
from wotemu_runtime.bus.codec import pack
from wotemu_runtime.roles.role import Role
from wotemu_runtime.testing import Play, on_jumping_clock


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
        send = role.publisher._client.add_entries
        lost = 0

        async def add_entries(entries: Sequence[NewEntry]) -> None:
            nonlocal lost
            for stream, fields in entries:
                if stream == STREAMS.metrics("app") and lost < 2:  # confirmed, and forgotten
                    lost += 1
                else:
                    await send([(stream, fields)])

        role.publisher._client = attrs.make_class("Forgetful", ["add_entries"])(add_entries)
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


@on_jumping_clock
@pytest.mark.parametrize("image", [None, "wotemu:latest"])
async def test_a_node_of_another_version_fails_the_run_with_what_to_do(
    tmp_path: Path, image: str | None
) -> None:
    async def stranger(role: Role, group: asyncio.TaskGroup) -> None:
        for _ in range(3):
            await role.session.client.xadd(STREAMS.metrics("app"), pack([99, "app", []]))  # type: ignore[arg-type]
        await node()(role, group)

    run = Run(tmp_path, plays={"agent:cam-1": stranger})
    run.engine.image = image
    outcome = await run.outcome()
    assert outcome.status == "failed"
    text = str(outcome.error)
    if image is None:
        assert text.startswith("event bus: a node runs another version of WoTemu: records of schema 99")
    else:
        assert text.startswith("swarm: the image wotemu:latest is of another version of WoTemu")
        assert outcome.error is not None and "docker build -t wotemu:latest ." in str(outcome.error.hint)
