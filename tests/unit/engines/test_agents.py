"""Which nodes share a process of agents, and what is said when these raise."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from wotemu_runtime.bus import BusAddress
from wotemu_runtime.engines.engine import RoleEnded
from wotemu_runtime.engines.local.agents import ServedNode, groups, note_raised
from wotemu_runtime.engines.local.plan_demand import NODES_PER_AGENT_PROCESS
from wotemu_runtime.engines.local.sandbox_process import SandboxProcess
from wotemu_runtime.processes.channel import AsyncChannel
from wotemu_runtime.roles.assignment import Assignment


def node(number: int) -> ServedNode:
    assignment = Assignment(name=f"agent:n-{number}", stack="test", bus=BusAddress(""), data={})
    return ServedNode(assignment, number, Mock())


@pytest.mark.parametrize(
    ("count", "sizes"),
    [
        (0, []),
        (1, [1]),
        (NODES_PER_AGENT_PROCESS, [NODES_PER_AGENT_PROCESS]),
        (NODES_PER_AGENT_PROCESS + 1, [NODES_PER_AGENT_PROCESS, 1]),
    ],
)
def test_each_node_is_in_one_group_and_no_group_is_too_large(count: int, sizes: list[int]) -> None:
    nodes = [node(number) for number in range(count)]
    found = groups(nodes)
    assert [len(group) for group in found.values()] == sizes
    assert [each for group in found.values() for each in group] == nodes
    assert list(found) == [f"agents:{i + 1}" for i in range(len(sizes))]


async def news_of(folder: Path, raised: dict[str, str] | None) -> RoleEnded:
    """What the coordinator gets where the first process of a node says that it ended."""
    process = SandboxProcess(folder / "_wotemu.log")
    ours, theirs = await AsyncChannel.pair()
    how = {"status": "exit code 0", "errno": 0, "raised": raised}
    theirs.send({"event": "exited", "role": "agent:n-2", **how})
    theirs.close()
    await process._listen(ours)
    ours.close()
    found = process.news.get_nowait()
    assert isinstance(found, RoleEnded)
    return found


def test_the_end_of_any_node_names_the_first_exception_of_an_agent(tmp_path: Path) -> None:
    note = tmp_path / "raised"
    note_raised("agent:n-1", ExceptionGroup("", [ExceptionGroup("", [ValueError("boom"), KeyError()])]), note)
    note_raised("agent:n-3", ExceptionGroup("", [OSError("later")]), note)
    found = asyncio.run(news_of(tmp_path, json.loads(note.read_text())))
    assert found.role == "agent:n-2"
    assert str(found.cause) == "agent:n-1: its agent raised ValueError: boom"
    assert "_wotemu.log" in ((found.cause and found.cause.hint) or "")


def test_the_end_of_a_node_whose_agent_raised_nothing_has_no_cause(tmp_path: Path) -> None:
    assert asyncio.run(news_of(tmp_path, None)).cause is None
