"""A queue and a rate under NetEm: of one hop, or of all nodes of a shared network. Pure.

On the interface `rate`, an HTB class > a gate (TBF) > a fifo; on the interface `serial`, an HTB class without
a rate > a NetEm. See `options` for what each does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.netem import options
from wotemu_gateways.netem.options import Fifo, NetemOptions
from wotemu_gateways.netem.service_counters import ServiceCounters
from wotemu_gateways.netlink import tc
from wotemu_gateways.netlink.request_socket import CREATE, EXCL, REPLACE, Request
from wotemu_gateways.netlink.tc import Stats

_CLASSES = 0x10000
_GATES = _SERIALS = 0x1000
_FIFOS: Mapping[str, int] = {"bfifo": 0x5000, "pfifo": 0x9000}
MAX_STAGES = 0x3FFF
"""Stages that can share an interface: handles of qdiscs have 16 bits, and each kind a range of its own."""

QdiscStats = Mapping[tuple[int, int], Stats]
"""Counters by interface and handle."""


@attrs.frozen
class StagePlace:
    """Where a stage's parts are: on the interfaces `rate` and `serial`, in the class 1:`minor` of each."""

    minor: int
    rate: int
    serial: int

    def __attrs_post_init__(self) -> None:
        if not 0 < self.minor <= MAX_STAGES:
            raise ValueError(f"a network with the `netem` shaper has at most {MAX_STAGES} nodes")

    @property
    def gate(self) -> int:
        """The gate's handle."""
        return (_GATES + self.minor) << 16

    @property
    def serialiser(self) -> int:
        """The handle of the NetEm qdisc."""
        return (_SERIALS + self.minor) << 16


@attrs.frozen
class _Parts:
    """The options of a stage's qdiscs."""

    in_class: bytes
    fifo: Fifo
    is_open: bool
    serialising: NetemOptions


class RateStage:
    """One stage's qdiscs: it remembers their options, so that a change sends only what is different.

    Args:
        held: How many packets its NetEm may hold.
        seed: Returns the seed of the next NetEm or change of one.

    Attributes:
        opens: Whether the last `impose` opened the gate.
    """

    def __init__(self, place: StagePlace, held: int, seed: Callable[[], int]) -> None:
        self.place = place
        self._held_packets = held
        self._seed = seed
        self._rate: NetworkConditions | None = None
        self._made = False
        self._asked: _Parts | None = None
        self._held: _Parts | None = None
        self.opens = False
        self.service = ServiceCounters()

    def __repr__(self) -> str:
        return f"<RateStage {self.place.minor}{'' if self._asked and self._asked.is_open else ' closed'}>"

    def impose(self, conditions: NetworkConditions) -> list[Request]:
        """The requests that impose the rate and queue of conditions.

        At rate 0 the class keeps the rate from before: HTB knows no such rate, and a low one would make a
        packet owe minutes.
        """
        outage = options.is_outage(conditions)
        if not outage:
            self._rate = conditions
        rate = self._rate if self._rate is not None else attrs.evolve(conditions, rate=None)
        after = _Parts(
            options.class_rate(rate),
            options.fifo(conditions),
            not outage,
            options.serialising(self._serialised(conditions, rate), limit=self._held_packets),
        )
        before, self._held, self._asked = self._held, None, after
        self.opens = self._made and after.is_open and (before is None or not before.is_open)
        return self._changed(before, after) if self._made else self._new(after)

    @staticmethod
    def _serialised(conditions: NetworkConditions, rate: NetworkConditions) -> NetworkConditions:
        """Conditions with the rate, burst, overhead and cells of others."""
        return attrs.evolve(
            conditions,
            rate=rate.rate,
            burst=rate.burst,
            overhead=rate.overhead,
            cell_size=rate.cell_size,
            cell_overhead=rate.cell_overhead,
        )

    def confirm(self) -> None:
        """Note that the kernel has carried out all requests of the last `impose`."""
        self._made = True
        self._held = self._asked

    def _new(self, parts: _Parts) -> list[Request]:
        place = self.place
        new = CREATE | EXCL
        return [
            tc.htb_class(place.rate, place.minor, parts.in_class, new=True),
            self._gate(parts, new),
            self._fifo(parts.fifo, CREATE | REPLACE),
            tc.htb_class(place.serial, place.minor, options.class_rate(NetworkConditions()), new=True),
            self._serialiser(parts, new),
        ]

    def _changed(self, before: _Parts | None, after: _Parts) -> list[Request]:
        requests = []
        if before is None or before.fifo.kind != after.fifo.kind:
            self.service.queue_replaced()
        if before is None or before.fifo != after.fifo:
            requests.append(self._fifo(after.fifo, CREATE | REPLACE))
        paced = []
        if before is None or before.in_class != after.in_class:
            paced.append(tc.htb_class(self.place.rate, self.place.minor, after.in_class))
        if before is None or before.serialising != after.serialising:
            paced.append(self._serialiser(after, REPLACE))
        # No packet may meet the lower rate in the NetEm after the higher one in the class: it would keep that
        # rate, and all others behind it would wait for it.
        raised = before is None or before.serialising.rate_bytes < after.serialising.rate_bytes
        requests += reversed(paced) if raised else paced
        if before is None or before.is_open != after.is_open:
            requests.append(self._gate(after, REPLACE))
        return requests

    def _gate(self, parts: _Parts, flags: int) -> Request:
        place = self.place
        gate = tc.gate(parts.fifo.limit, is_open=parts.is_open)
        parent = _CLASSES | place.minor
        return tc.qdisc(place.rate, "tbf", gate, parent=parent, handle=place.gate, flags=flags)

    def _fifo(self, fifo: Fifo, flags: int) -> Request:
        place = self.place
        parent, handle = place.gate | 1, (_FIFOS[fifo.kind] + place.minor) << 16
        limit = tc.fifo(fifo.limit)
        return tc.qdisc(place.rate, fifo.kind, limit, parent=parent, handle=handle, flags=flags)

    def _serialiser(self, parts: _Parts, flags: int) -> Request:
        place = self.place
        seeded = attrs.evolve(parts.serialising, seed=self._seed())
        parent, handle = _CLASSES | place.minor, place.serialiser
        return tc.qdisc(place.serial, "netem", seeded.encode(), parent=parent, handle=handle, flags=flags)

    def observe(self, t: float, qdiscs: QdiscStats) -> None:
        """Take the counters that were read at `t`, in seconds."""
        overhead = self._rate.overhead if self._rate is not None else 0
        self.service.observe(t, self.queue_stats(qdiscs), overhead=overhead)

    def take_service(self) -> tuple[float, int] | tuple[None, None]:
        """Seconds in which packets certainly waited since the last call, and the bytes served on the wire.

        None where packets are sent in cells, which the kernel does not count.
        """
        taken = self.service.take()
        return (None, None) if self._rate is not None and self._rate.cell_size else taken

    def queue_stats(self, qdiscs: QdiscStats) -> Stats:
        """The counters of the queue: packets that left it, were refused, and wait."""
        return qdiscs.get((self.place.rate, self.place.gate), Stats())

    def serial_stats(self, qdiscs: QdiscStats) -> Stats:
        """The counters of the NetEm behind the rate."""
        return qdiscs.get((self.place.serial, self.place.serialiser), Stats())
