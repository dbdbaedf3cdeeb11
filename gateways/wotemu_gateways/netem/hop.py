"""One hop under NetEm: where its qdiscs are, the requests that make and change them, its counters. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import attrs

from wotemu.records import Hop
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.compose import CLEAR
from wotemu_gateways.netem import options
from wotemu_gateways.netem.options import NetemOptions
from wotemu_gateways.netem.rate_stage import QdiscStats, RateStage, StagePlace
from wotemu_gateways.netlink.request_socket import CREATE, EXCL, REPLACE, Request
from wotemu_gateways.netlink.tc import ROOT, Stats, qdisc

_HANDLE = 0x10000
"""The qdisc 1: of a hop's air."""

ActionStats = Mapping[int, Stats]
"""KernelCounters by an action's index."""


@attrs.frozen
class HopPlace:
    """Where a hop's parts are, by the kernel's numbers.

    Attributes:
        stage: Its part of the rate stage.
        air: The interface with the NetEm that delays.
        to_serial: Index of the redirect to the stage's NetEm.
        to_air: Index of the redirect to `air`.
        bucket: Index of the redirect to a shared network's bucket; None where there is none.
    """

    replica: str
    direction: Direction
    stage: StagePlace
    air: int
    to_serial: int
    to_air: int
    bucket: int | None


@attrs.frozen
class KernelCounters:
    """What the kernel has counted since everything was made, in the order in which it was read.

    Attributes:
        before: The redirects, read before the qdiscs.
        redirects: The same, read after them.
        drops: The counting drops.
    """

    before: ActionStats
    qdiscs: QdiscStats
    redirects: ActionStats
    drops: ActionStats


@attrs.frozen
class _Totals:
    """Packets and bytes since the start: what was sent, and what was dropped, by reason."""

    sent: int = 0
    sent_bytes: int = 0
    lost: int = 0
    full: int = 0
    cut: int = 0
    memory: int = 0

    def not_below(self, other: _Totals) -> _Totals:
        """The larger of each."""
        return _Totals(*map(max, attrs.astuple(self), attrs.astuple(other)))


class RandomLosses:
    """Counts the packets that one NetEm loses at random; `total` never falls.

    NetEm's drops are those and the packets that it had no room for. It counts packets that it marks as drops,
    too (sch_netem.c, netem_enqueue). Then the losses are what came and has neither left nor waits; duplicates
    make that too small. Counters are read one after the other, which makes both too small while packets pass;
    the next call catches up.
    """

    def __init__(self) -> None:
        self.total = 0
        self._counted = self._drops = self._missing = 0

    def __repr__(self) -> str:
        return f"<RandomLosses {self.total}>"

    def count(self, stats: Stats, came: int, refused: int, *, marks: bool, doubles: bool) -> None:
        """Update the total.

        Args:
            stats: Counters of the NetEm.
            came: Packets that were redirected to it.
            refused: Those of them that found no room.
            marks: Whether it marked packets since the last call.
            doubles: Whether it duplicated packets since the last call.
        """
        drops = stats.drops - refused
        missing = came - refused - stats.packets - stats.backlog_packets
        self._counted += missing - self._missing if marks else drops - self._drops
        self._drops, self._missing = drops, missing
        if marks and doubles:
            self._counted = max(self._counted, self.total)
        self.total = max(self.total, self._counted)


class ProbeSubtraction:
    """Takes probes, which are no app's packets, out of one hop's counters.

    The kernel counts all packets of a hop together and does not say whose the lost ones are: as large a share
    of the probes as of all packets counts as lost.

    Args:
        direction: Probes are seen where they come to the hop up, and where they have left the hop down.
    """

    def __init__(self, direction: Direction) -> None:
        self._is_up = direction == "up"
        self._packets = self._bytes = 0
        self._lost = 0.0

    def __repr__(self) -> str:
        return f"<ProbeSubtraction {self._packets} to subtract, {self._lost:.1f} lost>"

    def subtract(self, row: Hop, packets: int, size_bytes: int) -> Hop:
        """The row without probes.

        Args:
            row: Counters since the last call.
            packets: Probes that were seen since the last call.
            size_bytes: Their bytes.
        """
        of = row.sent + row.dropped_loss if self._is_up else row.sent
        self._lost += packets * row.dropped_loss / of if of else 0.0
        self._packets, self._bytes = self._packets + packets, self._bytes + size_bytes
        lost = min(int(self._lost), row.dropped_loss)
        self._lost -= lost
        if self._is_up and self._packets:
            lost_bytes = self._bytes * min(lost, self._packets) // self._packets
            self._packets, self._bytes = self._packets - min(lost, self._packets), self._bytes - lost_bytes
        # They are seen a little later than qdiscs count them: some belong to the next row.
        sent, sent_bytes = min(self._packets, row.sent), min(self._bytes, row.sent_bytes)
        self._packets, self._bytes = self._packets - sent, self._bytes - sent_bytes
        return attrs.evolve(
            row,
            sent=row.sent - sent,
            sent_bytes=row.sent_bytes - sent_bytes,
            dropped_loss=row.dropped_loss - lost,
        )


class NetemHop:
    """One hop's qdiscs: it remembers their options, so that a change sends only what is different."""

    def __init__(self, place: HopPlace, held: int, seed: str) -> None:
        self.place = place
        self.stage = RateStage(place.stage, held, self._next_seed)
        self._held_packets = held
        self._random_seed = seed
        self._changes = 0
        self._made = False
        self._asked: NetemOptions | None = None
        self._held: NetemOptions | None = None
        self._air_losses, self._serial_losses = RandomLosses(), RandomLosses()
        self._since_drain = [CLEAR]
        self._reported = _Totals()
        self.probes = ProbeSubtraction(place.direction)

    def __repr__(self) -> str:
        return f"<NetemHop {self.place.replica} {self.place.direction}>"

    def impose(self, conditions: NetworkConditions) -> list[Request]:
        """The requests that impose conditions.

        The first time they make the qdiscs, later they change what is different. Until `confirm`, everything
        counts as different: the kernel may have refused some of it.
        """
        requests = self.stage.impose(conditions)
        self._since_drain.append(conditions)
        after = options.propagating(conditions, limit=self._held_packets)
        before, self._held, self._asked = self._held, None, after
        if before != after:
            flags = REPLACE if self._made else CREATE | EXCL
            encoded = attrs.evolve(after, seed=self._next_seed()).encode()
            requests.append(qdisc(self.place.air, "netem", encoded, handle=_HANDLE, parent=ROOT, flags=flags))
        return requests

    def confirm(self) -> None:
        """Note that the kernel has carried out all requests of the last `impose`."""
        self.stage.confirm()
        self._made = True
        self._held = self._asked

    def _next_seed(self) -> int:
        """A seed for each qdisc and change, the same in every run with the same changes."""
        self._changes += 1
        text = f"{self._random_seed}/{self.place.replica}/{self.place.direction}/{self._changes}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")

    # KernelCounters

    def row(self, t: float, network: str, counters: KernelCounters, *, cut: int) -> Hop:
        """The counters since the last call; `cut` are packets that a cut dropped since the start."""
        place = self.place
        queue, line = self.stage.queue_stats(counters.qdiscs), self.stage.serial_stats(counters.qdiscs)
        last = counters.qdiscs.get((place.air, _HANDLE), Stats())
        redirects = counters.redirects
        self._count_losses(line, last, counters)
        full = queue.drops + (redirects[place.bucket].overlimits if place.bucket is not None else 0)
        counted = _Totals(
            sent=last.packets,
            sent_bytes=last.size_bytes,
            lost=self._serial_losses.total + self._air_losses.total,
            full=full,
            cut=cut,
            memory=redirects[place.to_serial].overlimits + redirects[place.to_air].overlimits,
        )
        # Differences of counters that the kernel gave one after the other are too small while packets pass.
        # What was reported stays reported, so they are caught up on later, and nothing is counted twice.
        totals = counted.not_below(self._reported)
        reported, self._reported = self._reported, totals
        busy_s, served_bytes = self.stage.take_service()
        return Hop(
            t=t,
            network=network,
            node=place.replica,
            direction=place.direction,
            shaper="netem",
            sent=totals.sent - reported.sent,
            sent_bytes=totals.sent_bytes - reported.sent_bytes,
            dropped_loss=totals.lost - reported.lost,
            dropped_queue=totals.full - reported.full,
            dropped_cut=totals.cut - reported.cut,
            backlog=queue.backlog_packets + line.backlog_packets + last.backlog_packets,
            late_max=None,
            dropped_memory=totals.memory - reported.memory,
            busy=busy_s,
            served_bytes=served_bytes,
        )

    def _count_losses(self, line: Stats, air: Stats, counters: KernelCounters) -> None:
        marks = any(each.ecn for each in self._since_drain)
        doubles = any(each.duplicate for each in self._since_drain)
        del self._since_drain[:-1]
        for losses, stats, index, copies in (
            (self._serial_losses, line, self.place.to_serial, False),
            (self._air_losses, air, self.place.to_air, doubles),
        ):
            came, refused = counters.before[index].packets, counters.redirects[index].overlimits
            losses.count(stats, came, refused, marks=marks, doubles=copies)
