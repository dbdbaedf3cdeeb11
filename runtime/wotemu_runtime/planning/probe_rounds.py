"""`Rounds`: one replica's probes on one network, as its assignment holds them."""

from __future__ import annotations

from typing import Any, Self

import attrs


@attrs.frozen(kw_only=True)
class Rounds:
    """One replica's probes on one network: to `peers` in turn, every `every_s`, beginning `phase_s` after T0.

    Each member is `number` of its network. All go through their peers with the same step each time, so
    every member gets one probe a round.
    """

    network: str
    number: int
    peers: tuple[str, ...]
    every_s: float
    phase_s: float

    def to_dict(self) -> dict[str, Any]:
        """As an assignment holds it."""
        return attrs.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """What `to_dict` gave."""
        return cls(**{**data, "peers": tuple(data["peers"])})
