"""What a role is told when it starts: who it is, where the bus is, what it does."""

from __future__ import annotations

from typing import Any, Self

import attrs

from wotemu_runtime.bus import BusAddress


@attrs.frozen(kw_only=True)
class Assignment:
    """One role's orders. `name` is ``agent:REPLICA`` or ``gateway:NETWORK``; `data` is the role's own."""

    name: str
    stack: str
    bus: BusAddress
    data: dict[str, Any]

    @property
    def subject(self) -> str:
        """What the role serves: a replica's or a network's name."""
        return self.name.partition(":")[2]

    def to_dict(self) -> dict[str, Any]:
        """As JSON and messages hold it."""
        return attrs.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """What `to_dict` gave."""
        return cls(**{**data, "bus": BusAddress.from_dict(data["bus"])})
