"""Checks what ``.block(...)`` is given, and makes its steps."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, get_args

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.blocks import WITH_PORTS, Block, Heading, Protocol
from wotemu.scenario.state import State
from wotemu.scenario.timeline import Change
from wotemu.scenario.vocabulary.actions import Step
from wotemu.scenario.vocabulary.targets import NodeTarget, replicas, reusable
from wotemu.suggestions import did_you_mean


@attrs.frozen
class WantedBlock:
    """A block as it is written, whose nodes are not looked up yet."""

    where: str
    nodes: NodeTarget
    others: NodeTarget | None
    protocol: Protocol | None
    port: int | None
    heading: Heading | None

    def begin(self, key: Hashable) -> Step:
        """A step that begins it, or replaces the one with this key."""

        def step(state: State, at_us: int) -> Iterator[Change]:
            return state.block(at_us, key, self._block(state), self.where)

        return step

    def end(self, key: Hashable) -> Step:
        """A step that ends it."""
        return lambda state, at_us: state.block(at_us, key, None, self.where)

    def _block(self, state: State) -> Block:
        nodes = tuple(replicas(self.nodes, state.topology, self.where))
        others = () if self.others is None else tuple(replicas(self.others, state.topology, self.where))
        if twice := set(nodes).intersection(others):
            raise ScenarioError(f"{min(twice)!r} is on both sides", where=self.where)
        return Block(nodes, others, self.protocol, self.port, self.heading)


def wanted_block(
    where: str, nodes: NodeTarget, others: NodeTarget | None, protocol: Any, port: Any, direction: Any
) -> WantedBlock:
    """A block of what a word was given.

    Raises:
        ScenarioError: A value can't be.
    """
    if protocol is not None and protocol not in get_args(Protocol):
        hint = did_you_mean(str(protocol), get_args(Protocol))
        raise ScenarioError(f"{protocol!r} is no protocol", where=where, field="protocol", hint=hint)
    if port is not None and (isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 1 << 16):
        raise ScenarioError(
            f"{port!r} is no port", where=where, field="port", hint="write a number up to 65535"
        )
    if port is not None and protocol not in (None, *WITH_PORTS):
        raise ScenarioError(f"{protocol} has no ports", where=where, field="port", hint="leave out port")
    if direction is not None and direction not in get_args(Heading):
        raise ScenarioError(
            f"{direction!r} is no direction of a block",
            where=where,
            field="direction",
            hint='write "out" (from the first nodes), "in" (to them), or None for both',
        )
    sides = reusable(nodes), None if others is None else reusable(others)
    return WantedBlock(where, *sides, protocol, port, direction)
