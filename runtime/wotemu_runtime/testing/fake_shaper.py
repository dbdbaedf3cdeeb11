"""A shaper that imposes nothing and remembers what it was asked for, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from wotemu.records import Hop, Record
from wotemu.scenario.blocks import Block
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions


class FakeShaper:
    """`calls` has the loop's time, the method and its arguments; while `broken`, every change raises it."""

    name = "fake"

    def __init__(self) -> None:
        self.calls: list[tuple[float, str, Any]] = []
        self.broken: Exception | None = None
        self.losses: dict[str, int] = {}

    def _call(self, method: str, *args: Any) -> None:
        self.calls.append((asyncio.get_running_loop().time(), method, args))
        if self.broken is not None:
            raise self.broken

    def of(self, method: str) -> list[tuple[float, Any]]:
        """When a method was called, and with which arguments."""
        return [(t, args) for t, name, args in self.calls if name == method]

    def set_hop(self, replica: str, direction: Direction, conditions: NetworkConditions) -> None:
        """See `Shaper`."""
        self._call("set_hop", replica, direction, conditions)

    def set_shared_bucket(self, conditions: NetworkConditions | None) -> None:
        """See `Shaper`."""
        self._call("set_shared_bucket", conditions)

    def cut(self, replica: str, is_cut: bool) -> None:
        """See `Shaper`."""
        self._call("cut", replica, is_cut)

    def partition(self, groups: Iterable[Collection[str]]) -> None:
        """See `Shaper`."""
        self._call("partition", [sorted(group) for group in groups])

    def block(self, blocks: Sequence[Block]) -> None:
        """See `Shaper`."""
        self._call("block", list(blocks))

    def drain(self, t: float) -> Iterator[Record]:
        """A row for each hop that was set, without a packet."""
        hops = {args[:2] for _, method, args in self.calls if method == "set_hop"}
        return (
            Hop(t, "field", node, way, self.name, *(0,) * 5, backlog=0, late_max=None) for node, way in hops
        )

    def close(self) -> None:
        """See `Shaper`."""
        self.calls.append((asyncio.get_running_loop().time(), "close", ()))


__all__ = ["FakeShaper"]
