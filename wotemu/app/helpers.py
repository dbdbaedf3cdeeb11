"""What an app on WoTPy may import: its surroundings (`Conf`) and helpers.

An app is ``async def app(wot, conf, loop, **params)``. It needs nothing from here to be measured; the
helpers also work outside of WoTemu, so that production code can keep its calls.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from numbers import Real
from typing import Any, Self

import attrs

from wotemu.app.agent_socket import AgentSocket, connect
from wotemu.app.catalogue import Catalogue, session
from wotemu.errors import WotemuError
from wotemu.topology.models import Ports

__all__ = [
    "Conf",
    "NodeNotReadyError",
    "Ports",
    "ThingNotFoundError",
    "consume_from_catalogue",
    "wait_node",
    "write_metric",
]

ATTEMPT_TIMEOUT_S = 8.0
"""Seconds for one try at a catalogue: enough for a TCP handshake that lost packets on a slow link."""
FIRST_BACKOFF_S = 0.1
MAX_BACKOFF_S = 2.0
NAG_EVERY_S = 10.0
"""Seconds between two warnings about a node that still does not answer."""
LONG_WAIT_S = 5.0
"""Seconds after which a wait is worth an event: ``app.waiting``."""

_logger = logging.getLogger(__name__)


class NodeNotReadyError(WotemuError, TimeoutError):
    """A node's catalogue did not answer, or did not hold the Things, before the deadline."""


class ThingNotFoundError(WotemuError, LookupError):
    """A catalogue answered, but holds no such Thing."""


def _hosts(value: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(replicas) for name, replicas in value.items()}


@attrs.frozen(kw_only=True)
class Conf:
    """Where an app runs: what it is called, its ports, its broker, and the other nodes.

    `node` is the topology's name, `replica` this one of its replicas, `hostname` what its Things' forms
    say. `hosts` maps each node's name to its replicas' host names. `seed` is the scenario's: random
    choices that derive from it (and from `replica`) repeat with it. `restarts` is how often the app was
    started before in this run.
    """

    node: str
    replica: str
    hostname: str
    ports: Ports = attrs.field(factory=Ports)
    broker_url: str | None = None
    hosts: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, converter=_hosts, hash=False)
    run_name: str = ""
    seed: int = 0
    restarts: int = 0

    @property
    def port_http(self) -> int:
        """The port of this node's HTTP server, if it has one."""
        return self.ports.http

    @property
    def port_ws(self) -> int:
        """The port of this node's WebSocket server, if it has one."""
        return self.ports.ws

    @property
    def port_coap(self) -> int:
        """The UDP port of this node's CoAP server, if it has one."""
        return self.ports.coap

    @property
    def port_mqtt(self) -> int:
        """The port that brokers listen on."""
        return self.ports.mqtt

    @property
    def port_catalogue(self) -> int:
        """The port that nodes which expose Things list them on."""
        return self.ports.catalogue

    @property
    def mqtt_url(self) -> str | None:
        """The same as `broker_url`."""
        return self.broker_url

    def replicas_of(self, name: str) -> tuple[str, ...]:
        """The host names that `name` stands for: a node's replicas, else `name` itself."""
        return self.hosts.get(name) or (name,)

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {**attrs.asdict(self), "hosts": {name: list(hosts) for name, hosts in self.hosts.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(**{**data, "ports": Ports(**data["ports"])})


async def wait_node(
    conf: Conf, name: str, thing_ids: Iterable[str] | None = None, timeout: float | None = None
) -> None:
    """Wait until every replica of the node `name` answers with its catalogue, and holds the Things.

    `thing_ids` are ids or titles of Things. Tries again after at most two seconds, for at most `timeout`
    seconds (None: without end, with a warning every ten seconds). Raises `NodeNotReadyError`.
    """
    wanted = frozenset(thing_ids or ())
    try:
        async with asyncio.timeout(timeout), asyncio.TaskGroup() as group:
            for host in conf.replicas_of(name):
                group.create_task(_wait_host(host, conf.ports.catalogue, wanted))
    except TimeoutError as error:
        raise NodeNotReadyError(
            f"no catalogue{_holding(wanted)} on port {conf.ports.catalogue} within {timeout:g} s",
            where=f"node {name!r}",
            hint="is it on a network of this node's, and does its app serve http, ws, coap or mqtt?",
        ) from error


async def consume_from_catalogue(
    wot: Any,
    port_catalogue: int | None = None,
    servient_host: str = "",
    thing_id: str = "",
    *,
    conf: Conf | None = None,
    timeout: float = 20.0,
) -> Any:
    """WoTPy's ConsumedThing of the Thing with this id or title in the catalogue of `servient_host`.

    The catalogue's port is `port_catalogue`, else the one of `conf`, else WoTPy's default, 9090. Raises
    `ThingNotFoundError` where the catalogue does not hold the Thing, OSError (or TimeoutError, which is
    one) where it can't be reached, ValueError where it is none.
    """
    if not servient_host or not thing_id:
        raise TypeError("consume_from_catalogue needs servient_host=... and thing_id=...")
    port = port_catalogue or (conf.ports if conf else Ports()).catalogue
    async with asyncio.timeout(timeout), session(timeout) as client:
        catalogue = Catalogue(client, servient_host, port)
        await catalogue.load()
        title = await catalogue.title_of(thing_id)
        if title is not None:
            return wot.consume(json.dumps(_usable(await catalogue.description(title))))
    raise ThingNotFoundError(
        f"no Thing has the id or title {thing_id!r}; there are {_listed(catalogue.paths)}",
        where=f"catalogue of {servient_host}:{port}",
        hint="wait for it with wait_node(conf, name, thing_ids=[...])",
    )


async def _wait_host(host: str, port: int, wanted: frozenset[str]) -> None:
    what = f"{host}:{port}{_holding(wanted)}"
    waiting = _Waiting(what)
    for pause in _backoffs():
        async with session(ATTEMPT_TIMEOUT_S) as client:
            missing = await _missing(Catalogue(client, host, port), wanted)
        if missing is None:
            waiting.over()
            return
        waiting.still(missing)
        await asyncio.sleep(pause)


class _Waiting:
    """Warns of a wait that becomes long, every now and then; whoever runs the app hears of it once."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began_s = time.monotonic()
        self._nag_at_s = self._began_s + NAG_EVERY_S
        self._is_told = False

    def still(self, missing: str) -> None:
        """It is not over, for this reason."""
        now_s = time.monotonic()
        if now_s >= self._nag_at_s:
            _logger.warning("still waiting for %s: %s", self._what, missing)
            self._nag_at_s += NAG_EVERY_S
        if now_s - self._began_s >= LONG_WAIT_S and not self._is_told:
            self._is_told = True
            _wait_sink(self._what, now_s - self._began_s, missing)

    def over(self) -> None:
        """What was waited for is there."""
        if self._is_told:
            _wait_sink(self._what, time.monotonic() - self._began_s, None)


WaitSink = Callable[[str, float, str | None], None]
"""Takes what is waited for, since how many seconds, and why in vain until now; None: the wait is over."""


def _nobody(what: str, waited_s: float, missing: str | None) -> None:
    pass


_wait_sink: WaitSink = _nobody


def connect_waits(sink: WaitSink | None) -> None:
    """Say who hears of waits that become long (None: nobody). For whoever runs the app, not for apps."""
    global _wait_sink  # as with metrics, there is one for the process
    _wait_sink = sink or _nobody


async def _missing(catalogue: Catalogue, wanted: frozenset[str]) -> str | None:
    """Why the host isn't ready yet; None where it is."""
    try:
        await catalogue.load()
        missing = [name for name in sorted(wanted) if await catalogue.title_of(name) is None]
    except (OSError, TimeoutError, ValueError) as error:
        return f"{type(error).__name__} {error}".strip()
    return f"it has {_listed(catalogue.names())}" if missing else None


def _backoffs() -> Iterator[float]:
    pause = FIRST_BACKOFF_S
    while True:
        yield pause
        pause = min(pause * 1.5, MAX_BACKOFF_S)


def _usable(description: dict[str, Any]) -> dict[str, Any]:
    """Without the null that WoTPy's catalogue gives as the base of a servient without servers."""
    return {key: value for key, value in description.items() if key != "base" or value is not None}


def _holding(wanted: Iterable[str]) -> str:
    return f" with {_listed(wanted)}" if wanted else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names))) or "none"


MetricSink = Callable[[str, float], None]


class _Metrics:
    """Where metrics go: to the sink that was connected, else over the agent's socket, else nowhere.

    A program that is no NodeApp, and a process that an app started, find the socket by their environment.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sink: MetricSink | None = None
        self._looked = False

    def connect(self, sink: MetricSink | None) -> None:
        with self._lock:
            self._sink, self._looked = sink, False

    def write(self, key: str, value: float) -> None:
        sink = self._sink or self._look(key)
        if sink is not None:
            sink(key, value)

    def _look(self, key: str) -> MetricSink | None:
        """Look for the agent's socket, once; warn where there is none."""
        with self._lock:
            if self._looked:
                return self._sink
            self._looked = True
            why = "not inside of WoTemu"
            try:
                connection = connect()
            except OSError as error:
                connection, why = None, f"this node's agent can't be reached ({error})"
            if connection is not None:
                self._sink = AgentSocket(connection).metric
            else:
                _logger.warning("%s: write_metric(%r, ...) and others go nowhere", why, key)
            return self._sink


_metrics = _Metrics()


def connect_metrics(sink: MetricSink | None) -> None:
    """Say where `write_metric` sends numbers to (None: nowhere). For whoever runs the app, not for apps."""
    _metrics.connect(sink)


def write_metric(key: str, value: float) -> None:
    """Report a number of the app's own; it gets its row in the run's ``app`` table.

    From any thread, at any time, in apps on WoTPy, their child processes and any other Python program of a
    node. Outside of WoTemu it does nothing but warn once.
    Raises TypeError where `key` is no string or `value` no real number, ValueError where `key` is empty
    or `value` not finite.
    """
    if not isinstance(key, str):
        raise TypeError(f"the metric's key {key!r} is not a string")
    if not key:
        raise ValueError("the metric's key is empty")
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"metric {key!r}: {value!r} is not a number")
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError(f"metric {key!r}: {value!r} is too large") from error
    if not math.isfinite(number):
        raise ValueError(f"metric {key!r}: {value!r} is not finite")
    _metrics.write(key, number)
