"""The swarm engine's watching of tasks, on a Docker client that fails."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from wotemu.errors import EmulationError
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.engines.swarm.engine import SwarmEngine
from wotemu_runtime.engines.swarm.specs import ROLE_LABEL

BUS = BusAddress("secret", host="10.0.0.1")


class Nodes:
    """Docker's nodes: the answers in turn, of which an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)

    async def list(self) -> Any:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def engine_on(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch, tasks: Sequence[dict[str, Any]] = ()
) -> SwarmEngine:
    """An engine that has deployed, and watches these tasks."""

    async def all_tasks(*_: object) -> list[dict[str, Any]]:
        return list(tasks)

    async def closed() -> None:
        return None

    monkeypatch.setattr("wotemu_runtime.engines.swarm.engine.objects_of", all_tasks)
    monkeypatch.setattr("wotemu_runtime.engines.swarm.engine.WATCH_EVERY_S", 0)
    engine = SwarmEngine()
    engine._docker = SimpleNamespace(nodes=nodes, close=closed)  # type: ignore[assignment]
    engine._watch_tasks(SimpleNamespace(replicas=()), BUS)  # type: ignore[arg-type]
    return engine


async def test_watching_that_breaks_ends_the_run_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_on(Nodes([], KeyError("Status")), monkeypatch)
    with pytest.raises(EmulationError, match=r"can't be watched any more: KeyError\('Status'\)"):
        async with asyncio.timeout(5):
            await anext(engine.news())
    await engine.remove()


async def test_a_daemon_that_is_away_for_a_while_and_a_machine_that_joins_break_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    joining = {"ID": "n1", "Status": {"State": "unknown"}}
    engine = engine_on(Nodes(OSError("away"), [joining], KeyError("the end")), monkeypatch)
    with pytest.raises(EmulationError, match="the end"):
        async with asyncio.timeout(5):
            await anext(engine.news())
    await engine.remove()


async def test_removing_ends_the_watching(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_on(Nodes([]), monkeypatch)
    await asyncio.sleep(0)
    await engine.remove()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "tasks"]


@pytest.mark.parametrize(
    ("state", "error", "reported"),
    [
        ("failed", "task: non-zero exit (1)", "can't run on one: task: non-zero exit (1)"),
        ("complete", "", "has ended: complete"),
    ],
)
async def test_a_bus_that_does_not_start_is_reported_without_waiting_for_the_deadline(
    monkeypatch: pytest.MonkeyPatch, state: str, error: str, reported: str
) -> None:
    task = {
        "ID": "t1",
        "CreatedAt": "2026-01-01T00:00:00Z",
        "Slot": 1,
        "NodeID": "n1",
        "Spec": {"ContainerSpec": {"Labels": {ROLE_LABEL: "bus"}}},
        "Status": {"State": state, "Err": error},
    }
    node = {"ID": "n1", "Status": {"State": "ready"}, "Description": {"Hostname": "one"}}
    engine = engine_on(Nodes([node]), monkeypatch, [task])
    with pytest.raises(EmulationError, match=r"service bus: it " + re.escape(reported)):
        async with asyncio.timeout(5):
            await engine._bus_placed()
    await engine.remove()
