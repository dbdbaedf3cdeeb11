"""What holds on a network after each change of its timeline."""

from __future__ import annotations

from typing import Any

import pytest

from wotemu.errors import EmulationError
from wotemu.scenario.timeline import Change, Direction, HopKey
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.network_state import NetworkSetup, NetworkState
from wotemu_gateways.conditions.partition import partition_of

CLEAR = NetworkConditions()
NODES = {"cam-1": "cam", "cam-2": "cam", "hub": "hub"}


def state(*, shared: bool = False, network: NetworkConditions = CLEAR) -> NetworkState:
    hops: dict[HopKey, NetworkConditions] = {("field", None, "up"): network, ("field", None, "down"): CLEAR}
    for node in ("cam", "hub"):
        hops |= {("field", node, "up"): CLEAR, ("field", node, "down"): CLEAR}
    return NetworkState(NetworkSetup(name="field", shared=shared, nodes=NODES, hops=hops))


def change(action: Any, after: Any, node: str | None = None, direction: Direction | None = None) -> Change:
    return Change(1, 0.0, action, "field", node, direction, None, after)


def test_a_change_of_a_node_touches_its_replicas_and_of_the_network_all() -> None:
    slow = NetworkConditions(latency="20ms").to_dict()
    field = state()
    assert field.apply(change("conditions", slow, "cam", "down")) == ["cam-1", "cam-2"]
    assert field.apply(change("conditions", slow, None, "up")) == ["cam-1", "cam-2", "hub"]
    assert float(field.hop("cam-1", "down").latency) == 0.02
    assert float(field.hop("hub", "down").latency) == 0.0
    assert float(field.hop("hub", "up").latency) == 0.02


def test_a_shared_networks_rate_is_its_buckets_and_no_hops() -> None:
    limited = NetworkConditions(rate="1mbit")
    field = state(shared=True, network=limited)
    assert field.bucket == limited
    assert field.hop("hub", "up").rate is None
    assert state(network=limited).bucket is None


def test_cuts_and_partitions_hold_until_they_end() -> None:
    field = state()
    assert field.apply(change("cut", True, "hub")) == []
    assert field.apply(change("partition", [["hub", "elsewhere"]])) == []
    assert field.cuts == {"hub"}
    assert field.partition == (frozenset({"hub"}), frozenset({"cam-1", "cam-2"}))
    field.apply(change("cut", False, "hub"))
    field.apply(change("partition", []))
    assert not field.cuts
    assert not field.partition


def test_what_no_gateway_applies_is_refused() -> None:
    with pytest.raises(EmulationError, match="can't apply 'app'"):
        state().apply(change("app", "crashed", "hub"))
    with pytest.raises(EmulationError, match="there is no hop 'moon' up"):
        state().apply(change("conditions", CLEAR.to_dict(), "moon", "up"))


def test_a_partition_that_is_complete_is_left_as_it_is() -> None:
    once = partition_of(NODES, [["hub"]])
    assert partition_of(NODES, once) == once
