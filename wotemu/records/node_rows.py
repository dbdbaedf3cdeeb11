"""Rows about nodes: what their apps do, use and print."""

from __future__ import annotations

from typing import ClassVar

import attrs

from wotemu.records.record import Record


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
class Log(Record):
    """One line that a node's app printed. Lines go to ``logs/``, not to a table."""

    TABLE: ClassVar[str] = "logs"
    t: float
    node: str
    stream: str
    line: str
