"""The protocol of shapers: conditions in, records out. Both kinds of gateway are run through it alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Protocol

import attrs

from wotemu.records import Record
from wotemu.scenario.blocks import Block
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions


@attrs.frozen
class Member:
    """A replica on the network: its name, dotted IPv4 address and MAC (six bytes)."""

    replica: str
    ipv4: str
    mac: bytes


class Shaper(Protocol):
    """Imposes conditions on one network. Every change is in place, and drops no packet.

    A packet that has been delayed or lost keeps that fate when conditions change.
    """

    @property
    def name(self) -> str:
        """``tun`` or ``netem``."""
        ...

    def set_hop(self, replica: str, direction: Direction, conditions: NetworkConditions) -> None:
        """Impose conditions on one hop.

        Raises:
            KeyError: The network has no such replica.
        """
        ...

    def set_shared_bucket(self, conditions: NetworkConditions | None) -> None:
        """Send all nodes' packets through one queue and rate, behind each node's own; None lifts the rate."""
        ...

    def cut(self, replica: str, is_cut: bool) -> None:
        """Cut a replica off the network, or end the cut."""
        ...

    def partition(self, groups: Iterable[Collection[str]]) -> None:
        """Keep sets of replicas from reaching each other, see `partition_of`; no set heals the network."""
        ...

    def block(self, blocks: Sequence[Block]) -> None:
        """Drop the traffic of these blocks, and count it as cut; none ends all blocks before."""
        ...

    def drain(self, t: float) -> Iterator[Record]:
        """Rows of each hop, and of each flow with packets, since the last drain, stamped `t`.

        The counts are taken at once; rows are made as they are iterated, with other work in between.
        """
        ...

    @property
    def losses(self) -> dict[str, int]:
        """Frames that were not forwarded, or not counted by flow, since the start, by reason."""
        ...

    def close(self) -> None:
        """Stop, and free all descriptors and interfaces."""
        ...


__all__ = ["Member", "Shaper"]
