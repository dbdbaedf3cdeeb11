"""Duplication, corruption and ECN marks, which change packets themselves. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.impairments.loss import Chance, Loss
from wotemu_gateways.packets.ethernet import ETHERNET_BYTES, flip_bit, mark_congestion


class Alteration:
    """Turns each frame into none, one or two, each lost, marked or corrupted independently of the other.

    `offset` is where a frame's IPv4 header begins.
    """

    __slots__ = ("_corrupted", "_duplicated", "_ecn", "_losses", "_offset", "_rng", "lost")

    def __init__(
        self,
        conditions: NetworkConditions,
        losses: tuple[Loss, ...],
        rng: Random,
        *,
        offset: int = ETHERNET_BYTES,
    ) -> None:
        self._losses = losses
        self._ecn = conditions.ecn
        self._duplicated = Chance(conditions.duplicate, conditions.duplicate_correlation, rng)
        self._corrupted = Chance(conditions.corrupt, conditions.corrupt_correlation, rng)
        self._rng = rng
        self._offset = offset
        self.lost = 0

    @staticmethod
    def is_needed(conditions: NetworkConditions) -> bool:
        """Whether conditions do anything to packets but delay and lose them."""
        return bool(conditions.duplicate or conditions.corrupt or (conditions.ecn and conditions.mean_loss))

    def alter(self, frames: Sequence[bytes]) -> list[list[bytes]]:
        """The copies of each frame that are left."""
        return [self._copies(frame) for frame in frames]

    def _copies(self, frame: bytes) -> list[bytes]:
        copies = [self._copy(frame) for _ in range(1 + self._duplicated())]
        return [copy for copy in copies if copy is not None]

    def _copy(self, frame: bytes) -> bytes | None:
        # Every process steps for every copy, lost already or not: their states must not depend on each other.
        if True in [loss.loses_next() for loss in self._losses]:
            marked = mark_congestion(frame, self._offset) if self._ecn else None
            if marked is None:
                self.lost += 1
                return None
            frame = marked
        if self._corrupted() and len(frame) > self._offset:
            return flip_bit(frame, self._rng.randrange(self._offset * 8, len(frame) * 8))
        return frame
