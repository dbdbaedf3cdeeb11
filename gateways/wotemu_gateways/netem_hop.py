"""One hop under NetEm: its qdiscs' places, the requests that make and change them, and its counters. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import attrs

from wotemu.records import Hop
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways import netem_options as options
from wotemu_gateways.hop import CLEAR, Direction
from wotemu_gateways.netem_options import NetemOptions
from wotemu_gateways.netlink import Request
from wotemu_gateways.traffic_control import ROOT, Action, Stats, htb_class, qdisc

_FIRST_LEAF = 0x1000
_HANDLE = 0x10000

QdiscStats = Mapping[tuple[int, int], Stats]
"""Counters by interface and handle."""


@attrs.frozen
class HopPlace:
    """Where a hop's parts are, by the kernel's numbers.

    Its first qdisc is a leaf of the class 1:`minor` on interface `classes`; the second is all of interface
    `line`. What bounds its queue doesn't see `unseen_bytes` of a packet.
    """

    replica: str
    direction: Direction
    minor: int
    classes: int
    line: int
    unseen_bytes: int

    @property
    def leaf(self) -> int:
        """The first qdisc's handle."""
        return (_FIRST_LEAF + self.minor) << 16


Totals = tuple[int, int, int, int, int]
"""Packets and bytes sent; packets lost at random, for want of room, and by a cut, since the start."""


_Parts = tuple[Action, bytes, NetemOptions, NetemOptions]
"""A hop's entrance, class, first and second qdisc."""


class NetemHop:
    """Knows what its qdiscs do, so that a change sends what is different and nothing else.

    `classify` gives the request for the classifier through which packets come, with `entrance` in it.
    """

    def __init__(self, place: HopPlace, seed: str, classify: Callable[[], Request]) -> None:
        self.place = place
        self._seed = seed
        self._classify = classify
        self._changes = 0
        self._made = False
        self._asked: _Parts | None = None
        self._held: _Parts | None = None
        self._drops_seen = 0
        self._lost = self._full = 0
        self._reported: Totals = (0, 0, 0, 0, 0)

    def __repr__(self) -> str:
        return f"<NetemHop {self.place.replica} {self.place.direction}>"

    @property
    def entrance(self) -> Action:
        """What bounds its queue now."""
        return self._asked[0] if self._asked is not None else options.entrance(CLEAR)

    def impose(self, conditions: NetworkConditions) -> list[Request]:
        """The requests after which these conditions hold.

        The first time they make the qdiscs, but no classifier; later they change the different parts. Until
        `confirm` says that the kernel took them all, all parts count as different.
        """
        place, before, new = self.place, self._held, not self._made
        self._held = None
        self._asked = after = (
            options.entrance(conditions, unseen_bytes=place.unseen_bytes),
            options.class_rate(conditions),
            options.serialising(conditions),
            options.propagating(conditions),
        )
        first, second = (attrs.evolve(each, seed=self._next_seed()).encode() for each in after[2:])
        parent = _HANDLE | place.minor
        parts = (
            htb_class(place.classes, place.minor, after[1], new=new),
            qdisc(place.classes, "netem", first, parent=parent, handle=place.leaf, new=new),
            qdisc(place.line, "netem", second, parent=ROOT, handle=_HANDLE, new=new),
        )
        if new:
            return list(parts)
        requests = (self._classify(), *parts)
        return [request for i, request in enumerate(requests) if before is None or before[i] != after[i]]

    def confirm(self) -> None:
        """The kernel has taken all that the last `impose` asked for."""
        self._made = True
        self._held = self._asked

    def _next_seed(self) -> int:
        """Another number for each qdisc and change, the same in every run with the same changes."""
        self._changes += 1
        text = f"{self._seed}/{self.place.replica}/{self.place.direction}/{self._changes}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")

    def row(self, t: float, network: str, qdiscs: QdiscStats, *, refused: int, cut: int) -> Hop:
        """The counters since the last call.

        `refused` and `cut` are packets, since the start, that found no room around the hop's qdiscs and that
        a cut dropped.
        """
        place = self.place
        first = qdiscs.get((place.classes, place.leaf), Stats())
        second = qdiscs.get((place.line, _HANDLE), Stats())
        self._book(first.drops)
        # What leaves the hop leaves its last qdisc: the delay on the way up, the rate down.
        last = second if place.direction == "up" else first
        counted = (last.packets, last.size_bytes, self._lost + second.drops, self._full + refused, cut)
        # Differences of counters that the kernel gave one after the other dip for a moment when packets came
        # in between. What was reported stays reported, so the way back up counts nothing twice.
        totals = tuple(map(max, counted, self._reported))
        sent, size_bytes, dropped_loss, dropped_queue, dropped_cut = (
            now - before for now, before in zip(totals, self._reported, strict=True)
        )
        self._reported = (totals[0], totals[1], totals[2], totals[3], totals[4])
        return Hop(
            t=t,
            network=network,
            node=place.replica,
            direction=place.direction,
            shaper="netem",
            sent=sent,
            sent_bytes=size_bytes,
            dropped_loss=dropped_loss,
            dropped_queue=dropped_queue,
            dropped_cut=dropped_cut,
            backlog=first.backlog_packets + second.backlog_packets,
            late_max=None,
        )

    def _book(self, drops: int) -> None:
        """Add the first qdisc's drops since the last call to what holds now: random loss, or a full queue."""
        loses = self._asked is not None and bool(self._asked[2].loss or self._asked[2].loss_model)
        new, self._drops_seen = drops - self._drops_seen, drops
        if loses:
            self._lost += new
        else:
            self._full += new

    def passed_rate(self, qdiscs: QdiscStats) -> int:
        """Packets that its first qdisc has let go."""
        return qdiscs.get((self.place.classes, self.place.leaf), Stats()).packets
