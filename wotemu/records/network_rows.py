"""Rows about what passes networks and their gateways."""

from __future__ import annotations

from typing import ClassVar, Self

import attrs

from wotemu.records.record import Record


@attrs.frozen
class Flow(Record):
    """Packets of one flow that crossed one node's hop in one second.

    `direction` is the hop's: ``up`` counts what the node sent, ``down`` what was delivered to it. `src`
    and `dst` are replica names where the address is a replica's, else the address. `protocol` is what the
    topology's ports say (http, ws, coap, mqtt, catalogue), else "".
    """

    TABLE: ClassVar[str] = "flows"
    t: float
    node: str
    network: str
    direction: str
    transport: str
    protocol: str
    src: str
    dst: str
    sport: int
    dport: int
    packets: int
    bytes: int


@attrs.frozen
class Hop(Record):
    """One hop's counters over one second.

    `sent` and `sent_bytes` left the hop; the drops say why packets did not: random loss, a full queue, a
    cut (partition or crash), or a gateway without memory left to hold them. `backlog` counts packets still
    held. Probes are left out; under NetEm, which does not say whose lost packets are, they count as lost as
    often as all others.

    `late_max` is how long at most after its due time a packet left (seconds; null where none did, or where
    the shaper can't tell). `late_bins` and `late_counts` are the histogram of all packets' lateness, probes'
    included: each bin that is not empty, by its number in `wotemu.percentiles.BOUNDS_S`, and its packets.

    `busy` is for how long (seconds) packets waited for the hop's rate or were being sent at it since the row
    before, and `served_bytes` what the rate let go meanwhile, on the wire: with overhead, in whole cells,
    before loss. Both are null where the shaper can't tell. A shared network's rate has rows of its own, whose
    `node` is "" and whose `direction` is ``shared``; of them only `busy` and `served_bytes` count.
    """

    TABLE: ClassVar[str] = "hops"
    t: float
    network: str
    node: str
    direction: str
    shaper: str
    sent: int
    sent_bytes: int
    dropped_loss: int
    dropped_queue: int
    dropped_cut: int
    backlog: int
    late_max: float | None
    late_bins: list[int] = attrs.field(factory=list)
    late_counts: list[int] = attrs.field(factory=list)
    busy: float | None = None
    served_bytes: int | None = None
    dropped_memory: int = 0

    @classmethod
    def of_shared_rate(cls, t: float, network: str, shaper: str, busy: float, served_bytes: int) -> Self:
        """The row of a shared network's rate."""
        return cls(
            t=t,
            network=network,
            node="",
            direction="shared",
            shaper=shaper,
            sent=0,
            sent_bytes=0,
            dropped_loss=0,
            dropped_queue=0,
            dropped_cut=0,
            backlog=0,
            late_max=None,
            busy=busy,
            served_bytes=served_bytes,
        )


@attrs.frozen
class ProbeSent(Record):
    """One agent handed a probe to its interface, between `t` and `t + took`. Only travels: see `Probe`."""

    TABLE: ClassVar[str] = "probes_sent"
    t: float
    network: str
    node: str
    peer: str
    id: int
    took: float


@attrs.frozen
class ProbeArrived(Record):
    """A probe came to `node`'s interface at `t`. Only travels: see `Probe`."""

    TABLE: ClassVar[str] = "probes_arrived"
    t: float
    network: str
    node: str
    id: int


@attrs.frozen
class Probe(Record):
    """One probe's fate: a small datagram from `node`'s agent to `peer`'s, over both their hops.

    `expected` is the delay that the conditions then in force give it where nothing else is queued (seconds,
    the median where there is jitter; null while the peer was cut off), `measured` the delay that it had
    (null where it never came), `spread` the standard deviation that jitter gives it. `state` is "" where the
    two can be compared, else why they can't: ``changing`` (the way was cut or restored meanwhile), ``loaded``
    (it may have waited behind the apps' packets), ``changed`` (the expected delay changed meanwhile),
    ``outage`` (a rate was 0), ``cut``, or ``ending`` (the run ended before it could come).
    """

    TABLE: ClassVar[str] = "probes"
    t: float
    network: str
    node: str
    peer: str
    expected: float | None
    measured: float | None
    lost: bool
    state: str
    spread: float | None = None


@attrs.frozen
class GatewayLoad(Record):
    """One gateway's CPU time in the `interval` seconds before `t`, and what it carried in them.

    `cpu` is the CPU time of its process in seconds, of all its threads, to the microsecond; `packets` are
    those that its members' up hops passed on or dropped, probes included. With the ``tun`` shaper the
    process moves each packet; with ``netem`` the kernel does, and `cpu` is of changes and counters alone.
    """

    TABLE: ClassVar[str] = "gateways"
    t: float
    network: str
    shaper: str
    interval: float
    cpu: float
    packets: int
