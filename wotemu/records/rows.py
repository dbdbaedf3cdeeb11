"""Every record that a run leaves, declared once: its fields, their units and the schema version.

Times (`t`, `due`, `applied`) are seconds since the epoch on the bus's clock; durations are seconds;
sizes are bytes. `node` is the name of one replica (``reader-2``, or ``reader`` where there is one).
Records are values: the bus moves them, the recorder stores them, the report reads them.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, ClassVar, Self

import attrs

SCHEMA_VERSION = 6


@attrs.frozen
class Record:
    """One row of a table; `TABLE` names the table."""

    TABLE: ClassVar[str]


@attrs.frozen
class Event(Record):
    """Something that happened. `kind` is dotted (``app.crashed``), `source` is the role that reports it."""

    TABLE: ClassVar[str] = "events"
    t: float
    kind: str
    source: str
    message: str
    data: dict[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class System(Record):
    """One agent's sample of its node's app: CPU in percent of one core, memory resident.

    `mem_peak_bytes` is the most so far: of a limited node by its control group's account, with page cache, of
    others that of the samples or of one process by the kernel's account.
    `throttled_periods` and `throttled` (s) say how often and for how long the CPU limit held the app back,
    and like the bytes of storage and of the node's interfaces and like `retransmitted` (TCP segments that the
    node sent again) they count what came since the row before that has them. Of an idle node only each tenth
    row has them; they are null, too, where the machine does not say.
    """

    TABLE: ClassVar[str] = "system"
    t: float
    node: str
    cpu_percent: float
    cpu_limit_percent: float | None
    mem_bytes: int
    mem_limit_bytes: int | None
    processes: int
    mem_peak_bytes: int | None = None
    threads: int | None = None
    open_files: int | None = None
    throttled_periods: int | None = None
    throttled: float | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    received_bytes: int | None = None
    sent_bytes: int | None = None
    retransmitted: int | None = None


@attrs.frozen
class Processes(Record):
    """One process of a node's app in one sample: the few that used most CPU, where the app has several."""

    TABLE: ClassVar[str] = "processes"
    t: float
    node: str
    pid: int
    name: str
    cpu_percent: float
    mem_bytes: int
    threads: int


@attrs.frozen
class Connections(Record):
    """A node's TCP connections with one peer at one port of a server, as the kernel has them every 5 s.

    While a node uses no CPU time, nothing of them changes, and there are no rows.

    `port` is the node's own where it listens there, else the peer's. `rtt` is the mean of the smoothed round
    trips, `rtt_min` the least one of the last minutes, in seconds. `sent` and `retransmitted` count segments
    since the row before; those of connections that came and went between two rows are in `system` alone.
    """

    TABLE: ClassVar[str] = "connections"
    t: float
    node: str
    peer: str
    port: int
    connections: int
    rtt: float
    rtt_min: float
    sent: int
    retransmitted: int


@attrs.frozen
class Host(Record):
    """One sample of a machine that runs roles: its load, the CPU time that was stolen from it, and its clock.

    `clock_offset` is what was to be added to its clock to get the bus's, and `clock_error` by how much that
    may be wrong at most.
    """

    TABLE: ClassVar[str] = "host"
    t: float
    host: str
    cpu_percent: float
    steal_percent: float
    mem_used_bytes: int
    mem_total_bytes: int
    clock_offset: float
    clock_error: float


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


OK, FAILED, CANCELLED, UNFINISHED = "ok", "failed", "cancelled", "unfinished"
"""The outcomes of an `Interaction`."""
APP, LIBRARY = "app", "library"
"""The origins of an `Interaction`: the app, or WoTPy by itself."""


@attrs.frozen
class Interaction(Record):
    """One Web of Things operation, or one item that a subscription delivered.

    `role` is consumer or producer; `affordance` is property, action or event; `op` is the W3C operation
    (readproperty, writeproperty, observeproperty, invokeaction, subscribeevent); `stage` is ``request``
    (a read, write or invocation), ``subscribe``, ``next`` (an item came) or ``end``. `t` is when it
    began, or at ``end`` when the subscription ended. `duration` is the request's, or at ``end`` the
    subscription's life; null elsewhere. `bytes` is the payload's size as JSON.

    `status` is ``ok``; ``failed``, with the exception's type and message in `error` (``timeout`` where a
    deadline that the app had set, such as `asyncio.timeout`, expired); or ``cancelled``: the app itself gave
    the request up, as it does with the slower of two hedged ones, so it has neither succeeded nor failed;
    or ``unfinished``: it was under way when its node was stopped, `duration` after it began.

    `code` is the answer's status: HTTP's (``404``), CoAP's (``4.04``), or the number of a WebSocket error; ""
    without one. `peer` is the replica at the other end of the connection (over MQTT the broker's), or its
    address where it is none; "" where no connection came about. `origin` is ``library`` for what WoTPy does
    by itself, which is nothing that the app asked for: at a producer the further long polls of an HTTP
    subscription, at a consumer a CoAP notification that is delivered once more; else ``app``. `digest` is the
    CRC-32 of a delivered item's JSON, null elsewhere; see `Emission`.
    """

    TABLE: ClassVar[str] = "interactions"
    t: float
    node: str
    role: str
    thing: str
    affordance: str
    name: str
    op: str
    stage: str
    binding: str
    duration: float | None
    bytes: int | None
    status: str
    error: str
    code: str = ""
    peer: str = ""
    origin: str = APP
    digest: int | None = None


@attrs.frozen
class Emission(Record):
    """An event that a Thing emitted, or a change of an observable property, whoever subscribed to it.

    `op` is the operation that delivers it (subscribeevent, observeproperty). `bytes` is the payload's size as
    JSON and `digest` the CRC-32 of it: an item with the same digest may be this one's delivery.
    """

    TABLE: ClassVar[str] = "emissions"
    t: float
    node: str
    thing: str
    affordance: str
    name: str
    op: str
    bytes: int | None
    digest: int | None


@attrs.frozen
class WireRequest(Record):
    """A request of HTTP or CoAP that passed a node's interfaces in the clear, whatever program it is of.

    What WoTPy's apps measure themselves is not here: it is in `interactions`. A request between two nodes has
    a row of each: `side` is ``client`` at the node that asked and ``server`` at the one that answered, so
    totals are of clients' rows, and of servers' those whose `peer` is no node.

    `stage` is ``request``, or ``next`` for a notification that followed from a CoAP observation, whose
    `method` and `path` are the registration's. `path` has no query. `code` is the answer's status; "" where
    none came. `duration` is the time from the first packet of the request to the first of its answer, as the
    node's interface passed them: at a client it includes the network, at a server it does not. `port` is the
    server's.
    """

    TABLE: ClassVar[str] = "requests"
    t: float
    node: str
    side: str
    protocol: str
    stage: str
    method: str
    path: str
    code: str
    duration: float | None
    peer: str
    port: int

    @property
    def has_failed(self) -> bool:
        """Whether its status is an error's, or none came."""
        return self.code[:1] in ("", "4", "5")


@attrs.frozen
class App(Record):
    """A number that an app reported, with `wotemu.app.write_metric` or as a line of StatsD.

    A StatsD counter's value is its total so far.
    """

    TABLE: ClassVar[str] = "app"
    t: float
    node: str
    key: str
    value: float


@attrs.frozen
class Broker(Record):
    """A figure that an MQTT broker published under ``$SYS``."""

    TABLE: ClassVar[str] = "broker"
    t: float
    node: str
    key: str
    value: float


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
class Stall(Record):
    """A role that moves packets did not run for `duration` seconds when it had to; it ran again at `t`."""

    TABLE: ClassVar[str] = "stalls"
    t: float
    source: str
    duration: float


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


@attrs.frozen
class Captured(Record):
    """What is stored of one node's packets by `t`; all counts are since the run began.

    `left_out` are packets that came when the capture had its full size or its disk took no more; `dropped`
    those for which the kernel's buffer had no room.
    """

    TABLE: ClassVar[str] = "captures"
    t: float
    node: str
    packets: int
    bytes: int
    left_out: int
    dropped: int


@attrs.frozen
class Published(Record):
    """What went over a port of this machine that leads to a node's; all counts are since the run began.

    `received` and `sent` are as the node sees them.
    """

    TABLE: ClassVar[str] = "published"
    t: float
    node: str
    port: int
    target: int
    connections: int
    refused: int
    received: int
    sent: int


@attrs.frozen
class UplinkTraffic(Record):
    """What has come into the emulation by an uplink, and gone out; all counts are since the run began."""

    TABLE: ClassVar[str] = "uplinks"
    t: float
    node: str
    packets_in: int
    bytes_in: int
    packets_out: int
    bytes_out: int


@attrs.frozen
class Change(Record):
    """One atomic change of the timeline: when it was due and when it took hold."""

    TABLE: ClassVar[str] = "changes"
    id: int
    due: float
    applied: float
    action: str
    target: str
    before: str
    after: str
    ok: bool
    error: str


@attrs.frozen
class Log(Record):
    """One line that a node's app printed. Lines go to ``logs/``, not to a table."""

    TABLE: ClassVar[str] = "logs"
    t: float
    node: str
    stream: str
    line: str


TABLES: dict[str, type[Record]] = {
    kind.TABLE: kind
    for kind in (
        Event, System, Processes, Connections, Host, Flow, Interaction, Emission, WireRequest, App, Broker,
        Hop, ProbeSent, ProbeArrived, Probe, Stall, GatewayLoad, Captured, Published, UplinkTraffic, Change,
        Log,
    )
}  # fmt: skip
"""Every record type by its table's name."""

TRANSIENT_TABLES = frozenset({ProbeSent.TABLE, ProbeArrived.TABLE})
"""Tables whose records travel and are never stored."""


def fields(kind: type[Record]) -> list[str]:
    """The record's field names in the order in which they travel and are stored."""
    return [field.name for field in attrs.fields(kind)]


_VALUES: dict[str, Callable[[Record], tuple[Any, ...]]] = {
    table: attrgetter(*fields(kind)) for table, kind in TABLES.items()
}


def to_row(record: Record) -> list[Any]:
    """The record's values in the order of `fields`."""
    return list(_VALUES[record.TABLE](record))
