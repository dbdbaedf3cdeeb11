"""Settings of nodes themselves: limits, stress, a full disk, a wrong clock; periods lie over instants."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Literal, Self

import attrs

SettingKind = Literal["limit", "stress", "fill_disk", "skew_clock"]


@attrs.frozen
class NodeSetting:
    """A value that is set on a replica; its fields are None where it says nothing."""

    def over(self, below: Self) -> Self:
        """This one, and what lies below it where it says nothing."""
        given = {name: value for name, value in self.to_dict().items() if value is not None}
        return attrs.evolve(below, **given)

    def to_dict(self) -> dict[str, Any]:
        """As a change of the timeline holds it."""
        return attrs.asdict(self)


@attrs.frozen
class NodeLimits(NodeSetting):
    """The cores and bytes of memory that a replica may use; None: as at T0."""

    cpu: float | None = None
    mem_bytes: int | None = None


@attrs.frozen
class NodeStress(NodeSetting):
    """The cores and bytes of memory that another program uses in a replica; None: none."""

    cpu: float | None = None
    mem_bytes: int | None = None


@attrs.frozen
class DiskFill(NodeSetting):
    """The bytes that are left free in a replica's scratch folder; None: it is not filled."""

    leave_bytes: int | None = None


@attrs.frozen
class ClockSkew(NodeSetting):
    """The seconds that a replica's wall clock is ahead (negative: behind); 0: it is right."""

    by_s: float = 0.0


NOTHING: Mapping[SettingKind, NodeSetting] = {
    "limit": NodeLimits(),
    "stress": NodeStress(),
    "fill_disk": DiskFill(),
    "skew_clock": ClockSkew(),
}
"""The settings at T0."""


@attrs.define
class SettingLayers:
    """One setting of one replica: what instants set, and over it each period that goes on."""

    instant: NodeSetting
    periods: dict[Hashable, NodeSetting] = attrs.field(factory=dict)

    @property
    def now(self) -> NodeSetting:
        """What holds."""
        held = self.instant
        for each in self.periods.values():
            held = each.over(held)
        return held
