"""The protocol of shapers: conditions in, records out. Both kinds of gateway are run through it alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

import attrs

from wotemu.records import Record
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions


@attrs.frozen
class Member:
    """A replica on the network: its name, dotted IPv4 address and MAC (six bytes)."""

    replica: str
    ipv4: str
    mac: bytes


class Shaper(Protocol):
    """Imposes conditions on one network. Every change is in place; what is under way keeps its fate."""

    @property
    def name(self) -> str:
        """``tun`` or ``netem``."""
        ...

    def set_hop(self, replica: str, direction: Direction, conditions: NetworkConditions) -> None:
        """Impose other conditions on one hop. `KeyError`: no such replica here."""
        ...

    def set_shared_bucket(self, conditions: NetworkConditions | None) -> None:
        """Send what all nodes put on the network through one bucket with these conditions' rate and queue."""
        ...

    def cut(self, replica: str, is_cut: bool) -> None:
        """Let nothing into or out of a replica, or let it again."""
        ...

    def partition(self, groups: Iterable[Collection[str]]) -> None:
        """Keep sets of replicas from reaching each other; a single one is kept from all others."""
        ...

    def drain(self, t: float) -> Iterator[Record]:
        """Rows for each hop, and each flow with packets, since the last drain, stamped `t`.

        The counts are taken at once, so rows may be asked for one by one, with other work between them.
        """
        ...

    @property
    def losses(self) -> dict[str, int]:
        """What was not forwarded or not counted by itself, by reason, since the start."""
        ...

    def close(self) -> None:
        """Stop, and give everything back."""
        ...


__all__ = ["Member", "Shaper"]
