"""Which nodes share a process of agents."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from wotemu_runtime.bus import BusAddress
from wotemu_runtime.engines.local.agents import ServedNode, groups
from wotemu_runtime.engines.local.plan_demand import NODES_PER_AGENT_PROCESS
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
