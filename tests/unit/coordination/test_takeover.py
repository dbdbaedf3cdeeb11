"""A coordinator goes on where another one died, and only one coordinates at a time."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.coordination.run import FIELD, STREAMS, Run
from wotemu.scenario import Phase, at
from wotemu.topology.models import Node, Topology
from wotemu_runtime.bus.codec import pack
from wotemu_runtime.recording.run_directory import RunDirectory
from wotemu_runtime.testing import EPOCH_S, MemoryBus, on_jumping_clock


async def begun(bus: MemoryBus, timeline: dict[str, Any], t0: float) -> None:
    """What a coordinator that died had told the roles."""
    for command in ({"command": "timeline", "timeline": timeline}, {"command": "t0", "t0": t0}):
        await bus.xadd(STREAMS.commands, pack({**command, "id": str(command["command"])}))


@on_jumping_clock
async def test_a_resumed_coordinator_takes_over_t0_and_ends_when_the_first_would_have(tmp_path: Path) -> None:
    run = Run(tmp_path, resume=True)
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
    second = Run(tmp_path, events, phases, bus=first.bus, engine=first.engine, resume=True, trims=trims)
    outcome = await second.outcome()
    assert (outcome.status, outcome.t0, outcome.losses) == ("done", first.t0, {})
    assert [event.data["phase"] for event in first.of("run.phase")] == ["start", "slow"]
    assert [event.data["phase"] for event in second.of("run.phase")] == ["fast"]
    assert second.coordinator.totals.changes == 2
    sent = sum(event.data["records"].get("app", 0) for event in second.of("role.done"))
    assert second.recorder.counts["app"] == sent > 100


@on_jumping_clock
async def test_published_ports_are_taken_over_with_their_counts_where_they_are_free(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    cam = Node("cam", command=["true"], networks=[FIELD], publish={port: 80})

    async def run(before: Run | None, held: socket.socket | None = None) -> Run:
        """A coordinator that dies after 45 s."""
        bus, engine = (MemoryBus(), None) if before is None else (before.bus, before.engine)
        made = Run(
            tmp_path,
            duration="5min",
            topology=Topology([cam]),
            bus=bus,
            engine=cast(Any, engine),
            resume=before is not None,
        )
        coordinating = asyncio.create_task(made.outcome())
        await asyncio.sleep(5)
        if held is None:  # no agent of this engine answers: the connection is refused
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b""
            writer.close()
        await asyncio.sleep(40)
        made.engine.leave()
        coordinating.cancel()
        await asyncio.wait([coordinating])
        return made

    first = await run(None)
    with socket.create_server(("127.0.0.1", port)) as held:
        second = await run(first, held)
    third = await run(second)
    assert [each.data["port"] for each in first.of("port.published") + third.of("port.published")] == [80, 80]
    (unavailable,) = second.of("port.unavailable")
    assert f"port {port} is taken" in unavailable.message
    rows = [each for table, rows in RunDirectory(tmp_path).stored() if table == "published" for each in rows]
    assert rows[-1][1:6] == ["cam", port, 80, 0, 2]


@on_jumping_clock
async def test_who_takes_over_a_run_that_was_being_stopped_ends_it(tmp_path: Path) -> None:
    run = Run(tmp_path, resume=True)
    await begun(run.bus, run.plan.timeline.to_dict(), EPOCH_S)
    await run.bus.xadd(STREAMS.commands, pack({"command": "stop", "id": "stop"}))
    await asyncio.sleep(20)
    outcome = await run.outcome()
    assert outcome.status == "interrupted"
    assert asyncio.get_running_loop().time() < 25


@on_jumping_clock
async def test_a_coordinator_with_another_timeline_leaves_the_roles_alone(tmp_path: Path) -> None:
    run = Run(tmp_path, resume=True)
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
    second = Run(tmp_path / "second", bus=first.bus, resume=True)
    outcome = await second.outcome()
    assert "it is coordinated by process" in str(outcome.error)
    assert "leave" in second.engine.calls
    assert (await coordinating).status == "done"


@on_jumping_clock
async def test_who_takes_over_waits_until_the_lease_of_the_one_before_has_expired(tmp_path: Path) -> None:
    run = Run(tmp_path, resume=True)
    await begun(run.bus, run.plan.timeline.to_dict(), EPOCH_S)
    await run.bus.set(STREAMS.lease, "the one before", px=4000)
    outcome = await run.outcome()
    assert outcome.status == "done"
    assert run.of("run.resumed")[0].t - EPOCH_S == pytest.approx(4, abs=0.25)
