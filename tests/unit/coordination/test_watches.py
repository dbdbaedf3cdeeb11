"""What becomes of the roles fails the run, or is recorded, by when it happens."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.unit.coordination.run import Run
from wotemu.errors import EmulationError
from wotemu_runtime.coordination.watches import take_news, watch_silence
from wotemu_runtime.engines.engine import RoleEnded, RoleLost, Unplaced
from wotemu_runtime.recording.liveness import SILENT_AFTER_S
from wotemu_runtime.testing import on_jumping_clock


@on_jumping_clock
async def test_a_role_that_ends_by_itself_fails_a_run_that_is_running(tmp_path: Path) -> None:
    run = Run(tmp_path).live
    take_news(run, RoleEnded("agent:cam-1", "exit code 1"))
    assert isinstance(run.control.failure, EmulationError)
    assert str(run.control.failure) == "agent:cam-1: it ended by itself: exit code 1"
    assert "_wotemu.log" in str(run.control.failure.hint)
    assert run.state.over == {"agent:cam-1"}


@on_jumping_clock
async def test_a_plain_service_that_ends_by_itself_is_named_as_the_user_wrote_it(tmp_path: Path) -> None:
    run = Run(tmp_path).live
    take_news(run, RoleEnded("service:db", "complete"))
    assert str(run.control.failure) == "service db: it ended by itself: complete"
    assert "docker run" in str(run.control.failure and run.control.failure.hint)


@on_jumping_clock
async def test_a_role_that_ends_when_the_run_is_over_is_just_over(tmp_path: Path) -> None:
    run = Run(tmp_path).live
    run.outcome.status = "done"
    take_news(run, RoleEnded("agent:cam-1", "exit code 0"))
    assert run.control.failure is None
    assert run.state.over == {"agent:cam-1"}


@on_jumping_clock
async def test_a_role_without_a_place_fails_the_run_before_t0_and_not_after(
    tmp_path: Path,
) -> None:
    case, news = Run(tmp_path), Unplaced("agent:cam-1", EmulationError("no machine has the label"))
    run = case.live
    run.begin_at(run.now())
    take_news(run, news)
    assert run.control.failure is None
    (event,) = case.of("role.unplaced")
    assert event.message == "agent:cam-1 has no place: no machine has the label"
    run.outcome.t0 = None
    take_news(run, news)
    assert run.control.failure is news.error


@on_jumping_clock
async def test_a_lost_role_is_recorded_until_the_recording_drains(tmp_path: Path) -> None:
    case = Run(tmp_path)
    take_news(case.live, RoleLost("agent:cam-1", "its machine is gone", "edge"))
    assert case.live.recorder.ingest.lost == {"agent:cam-1"}
    case.live.recorder.draining = True
    take_news(case.live, RoleLost("agent:cam-2", "its machine is gone", "edge"))
    assert [event.data["role"] for event in case.of("role.lost")] == ["agent:cam-1"]


@on_jumping_clock
async def test_silence_is_looked_for_from_t0_to_the_end(tmp_path: Path) -> None:
    case = Run(tmp_path)
    run = case.live
    ingest = run.recorder.ingest
    ingest._liveness.ready("agent:cam-1", run.now())

    async def answer() -> None:
        while True:
            ingest.bus_answered(run.now())
            await asyncio.sleep(0.5)

    bus = asyncio.create_task(answer())
    watching = asyncio.create_task(watch_silence(run))
    await asyncio.sleep(100)
    assert case.of("role.silent") == []
    run.begin_at(run.now())
    await asyncio.sleep(SILENT_AFTER_S)
    assert [event.data["role"] for event in case.of("role.silent")].count("agent:cam-1") == 1
    run.outcome.status = "done"
    await asyncio.wait([watching], timeout=2)
    assert watching.done()
    bus.cancel()
