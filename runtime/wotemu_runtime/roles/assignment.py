"""The assignment that a role is started with: its name, the bus, and the data of its kind."""

from __future__ import annotations

from typing import Any, Self

import attrs

from wotemu_runtime.bus import BusAddress


@attrs.frozen(kw_only=True)
class Assignment:
    """What one role of an emulation has to serve.

    Attributes:
        name: ``agent:REPLICA`` or ``gateway:NETWORK``.
        stack: Name of the emulation.
        bus: Address of the bus.
        data: What the role's kind needs, as JSON.
    """

    name: str
    stack: str
    bus: BusAddress
    data: dict[str, Any]

    @property
    def subject(self) -> str:
        """Name of the replica or the network that the role serves."""
        return self.name.partition(":")[2]

    def to_dict(self) -> dict[str, Any]:
        """The assignment as JSON."""
        return attrs.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The assignment of what `to_dict` returned."""
        return cls(**{**data, "bus": BusAddress.from_dict(data["bus"])})
