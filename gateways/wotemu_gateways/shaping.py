"""From packets' arrivals and sizes, and a hop's conditions, to the packets' fates. Pure: no I/O, no clock.

A hop is a row of stages in the order of a link: random loss at its entrance, a bounded queue that is
serialised at the rate, then propagation with delay and jitter, which may let one packet overtake another as
in NetEm. Each stage turns a batch's instants into later ones; a packet that is dropped leaves at `NEVER`.
Batches, not packets, because in CPython a call costs more than a stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.bucket import Bucket
from wotemu_gateways.entrance import Entrance
from wotemu_gateways.losses import NEVER, Loss, losses_of
from wotemu_gateways.propagation import Propagation

_RANDOM = (
    "loss", "loss_correlation", "loss_model", "ecn",
    "duplicate", "duplicate_correlation", "corrupt", "corrupt_correlation",
)  # fmt: skip


def _randomness(conditions: NetworkConditions) -> tuple[object, ...]:
    """What loses and changes packets: processes with a memory, which other changes leave alone."""
    return tuple(getattr(conditions, name) for name in _RANDOM)


class HopShaper:
    """One hop: gives each packet its fate by the conditions that hold when it comes.

    `admit` answers when packets leave; drops are counted by their reason. `clear` says that every packet
    leaves when it comes, so that nobody needs to ask; `keeps_order`, that no packet overtakes another.
    Where there is an `entrance`, frames have to pass it before they are admitted: it duplicates and
    changes them, and loses them in `admit`'s stead.
    """

    __slots__ = (
        "_bucket", "_dropped_loss", "_losses", "_propagate", "_rng", "_shared",
        "clear", "conditions", "dropped_queue", "entrance", "keeps_order",
    )  # fmt: skip

    def __init__(self, conditions: NetworkConditions, rng: Random) -> None:
        self._rng = rng
        self._bucket = Bucket()
        self._shared: Bucket | None = None
        self._losses: tuple[Loss, ...] = ()
        self.conditions = NetworkConditions()
        self._dropped_loss = 0
        self.entrance: Entrance | None = None
        self.dropped_queue = 0
        self.change(conditions)

    def __repr__(self) -> str:
        return f"<HopShaper {self.conditions}>"

    def change(self, conditions: NetworkConditions) -> None:
        """Impose other conditions on what comes from now on; what was admitted keeps its fate."""
        before, self.conditions = self.conditions, conditions
        self._bucket.change(conditions)
        if _randomness(conditions) != _randomness(before):
            self._change_losses(conditions)
        propagation = Propagation(conditions, self._rng)
        self._propagate = propagation.apply
        self.keeps_order = propagation.keeps_order
        harmless = not (propagation.delays or self._losses or self.entrance)
        self.clear = harmless and self._bucket.unused and self._shared is None

    def _change_losses(self, conditions: NetworkConditions) -> None:
        self._dropped_loss = self.dropped_loss
        losses = losses_of(conditions, self._rng)
        needed = Entrance.is_needed(conditions)
        self._losses = () if needed else losses
        self.entrance = Entrance(conditions, losses, self._rng) if needed else None

    @property
    def dropped_loss(self) -> int:
        """Packets lost at random so far."""
        return self._dropped_loss + (self.entrance.lost if self.entrance is not None else 0)

    def share(self, bucket: Bucket) -> None:
        """Send through a bucket that other hops use as well, after the hop's own."""
        self._shared = bucket
        self.clear = False

    def admit(self, arrivals_s: Sequence[float], sizes: Sequence[int]) -> list[float]:
        """When each packet of a batch leaves, `NEVER` if it is dropped; arrivals are in order."""
        instants = arrivals_s
        if self._losses:
            for loss in self._losses:
                instants = loss.strike(instants)
            self._dropped_loss += instants.count(NEVER)
        if not self._bucket.unused:
            instants = self._queue(self._bucket, instants, sizes)
        if self._shared is not None:
            instants = self._queue(self._shared, instants, sizes)
        return self._propagate(instants)

    def _queue(self, bucket: Bucket, instants: Sequence[float], sizes: Sequence[int]) -> list[float]:
        sent = bucket.send(instants, sizes)
        self.dropped_queue += sent.count(NEVER) - instants.count(NEVER)
        return sent
