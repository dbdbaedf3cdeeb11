"""Limits of nodes that a scenario sets: those of periods over those of instants."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import attrs


@attrs.frozen
class NodeLimits:
    """The cores and bytes of memory that a replica may use; None: as what lies below, or as at T0."""

    cpu: float | None = None
    mem_bytes: int | None = None

    def over(self, below: NodeLimits) -> NodeLimits:
        """These limits, and those below where they say nothing."""
        cpu = below.cpu if self.cpu is None else self.cpu
        return NodeLimits(cpu, below.mem_bytes if self.mem_bytes is None else self.mem_bytes)

    def to_dict(self) -> dict[str, Any]:
        """As a change of the timeline holds them."""
        return {"cpu": self.cpu, "mem_bytes": self.mem_bytes}


@attrs.define
class LimitLayers:
    """The limits of one replica: what instants set, and over it each period that goes on."""

    instant: NodeLimits = NodeLimits()
    periods: dict[Hashable, NodeLimits] = attrs.field(factory=dict)

    @property
    def now(self) -> NodeLimits:
        """What holds."""
        held = self.instant
        for each in self.periods.values():
            held = each.over(held)
        return held
