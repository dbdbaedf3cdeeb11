"""One replica's place in a `netem` gateway: interfaces, and the numbers of what it has there. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from wotemu.scenario.timeline import Direction
from wotemu_gateways.netem.hop import HopPlace, NetemHop
from wotemu_gateways.netem.rate_stage import StagePlace
from wotemu_gateways.netlink import tc
from wotemu_gateways.netlink.request_socket import Attributes
from wotemu_gateways.shaper import Member

TO_SERIAL, TO_BUCKET, UNKNOWN_ADDRESS = 1 << 17, 1 << 18, 1 << 20
NOT_IPV4 = UNKNOWN_ADDRESS + 1
"""Indices of actions, each kind in a range of its own.

Those of replica n's hops are 2n (up) and 2n + 1 (down): the counting drops of a cut, and the redirects to the
air. From TO_SERIAL on there are the redirects to the packet's own time on the line. TO_BUCKET + n is the
redirect to a shared network's bucket. UNKNOWN_ADDRESS and NOT_IPV4 are counting drops.
"""

Pair = tuple[int, int]
"""Interface numbers of the ends of a veth pair: where packets go in, and where they come out."""


@attrs.frozen
class StageInterfaces:
    """The veth pairs of all rate stages of one kind, see `RateStage`."""

    rate: Pair
    serial: Pair

    def place(self, minor: int) -> StagePlace:
        """Where one node's part of it is."""
        return StagePlace(minor, self.rate[0], self.serial[0])


@attrs.frozen
class GatewayInterfaces:
    """The gateway's interfaces by their numbers.

    Attributes:
        eth: The one on the emulated network.
        segment: Where packets are segmented and taken off their senders' accounts.
        airs: The ifbs of each member's `up` and `down` air.
        last_name: The name of the end at which packets leave the rate stages of `down`.
    """

    eth: int
    segment: Pair
    up: StageInterfaces
    down: StageInterfaces
    bucket: StageInterfaces | None
    airs: Sequence[tuple[int, int]]
    last_name: str

    @property
    def stages(self) -> tuple[StageInterfaces, ...]:
        """All rate stages."""
        return (self.up, self.down, *([self.bucket] if self.bucket is not None else []))

    @property
    def routed_from(self) -> int:
        """The interface from which the gateway's namespace routes packets."""
        return (self.bucket or self.up).serial[1]


class WiredNode:
    """One replica in the wiring.

    Args:
        number: From 1 on; the kernel's numbers of its classes, classifiers and actions follow from it.
        interfaces: Those of the gateway.
        held_packets: How many packets each of its delays may hold.
        seed: Seed of its NetEm qdiscs.

    Attributes:
        cut: Whether it is cut off the network.
        chain: The chain of its group in a partition; None where it is in none.
        blocked: The chain of the blocks of what it sends; None where there are none.
    """

    def __init__(
        self, number: int, member: Member, interfaces: GatewayInterfaces, held_packets: int, seed: str
    ) -> None:
        self.number = number
        self.member = member
        self.up = NetemHop(self._place(interfaces, "up"), held_packets, seed)
        self.down = NetemHop(self._place(interfaces, "down"), held_packets, seed)
        self.cut = False
        self.chain: int | None = None
        self.blocked: int | None = None

    def _place(self, at: GatewayInterfaces, direction: Direction) -> HopPlace:
        stage, which = (at.up, 0) if direction == "up" else (at.down, 1)
        index = self.index(direction)
        return HopPlace(
            replica=self.member.replica,
            direction=direction,
            stage=stage.place(self.number),
            air=at.airs[self.number - 1][which],
            to_serial=TO_SERIAL + index,
            to_air=index,
            bucket=TO_BUCKET + self.number if at.bucket is not None and direction == "up" else None,
        )

    def __repr__(self) -> str:
        return f"<WiredNode {self.number} {self.member.replica}{' cut' if self.cut else ''}>"

    def index(self, direction: Direction) -> int:
        """The index of the hop's counting drop, and of its redirect to the air."""
        return 2 * self.number + (direction == "down")

    def receiver_keys(self, *, by_mac: bool) -> Attributes:
        """Keys of packets for it: by their destination's MAC, or by its IPv4 address."""
        return tc.to_mac(self.member.mac) if by_mac else tc.to_address(self.member.ipv4)
