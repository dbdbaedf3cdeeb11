"""`wait_node`: waits until a node's catalogue answers and lists the Things that an app needs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator

from wotemu.app.catalogue import Catalogue, quoted, session
from wotemu.app.conf import Conf
from wotemu.errors import WotemuError

ATTEMPT_TIMEOUT_S = 8.0
"""Seconds for one request to a catalogue: enough for a TCP handshake that lost packets on a slow link."""
FIRST_BACKOFF_S = 0.1
MAX_BACKOFF_S = 2.0
WARN_EVERY_S = 10.0
"""Seconds between two warnings about a node that does not answer."""
LONG_WAIT_S = 5.0
"""Seconds after which a wait is reported as the event ``app.waiting``."""

_logger = logging.getLogger(__name__)


class NodeNotReadyError(WotemuError, TimeoutError):
    """A node's catalogue did not answer, or did not list the Things, before the deadline."""


async def wait_node(
    conf: Conf, name: str, thing_ids: Iterable[str] | None = None, timeout: float | None = None
) -> None:
    """Wait until the catalogue of every replica of a node answers and lists the Things.

    Args:
        conf: the app's surroundings.
        name: the node's name, or any host name.
        thing_ids: ids or titles of Things that the catalogue must list; None to wait for the catalogue alone.
        timeout: seconds; None to wait without end, with a warning in the log every ten seconds.

    Raises:
        NodeNotReadyError: `timeout` has expired.
    """
    wanted = frozenset(thing_ids or ())
    try:
        async with asyncio.timeout(timeout), asyncio.TaskGroup() as group:
            for host in conf.replicas_of(name):
                group.create_task(_wait_host(host, conf.ports.catalogue, wanted))
    except TimeoutError as error:
        raise NodeNotReadyError(
            f"no catalogue{_with_things(wanted)} on port {conf.ports.catalogue} within {timeout:g} s",
            where=f"node {name!r}",
            hint="is it on a network of this node's, and does its app serve http, ws, coap or mqtt?",
        ) from error


async def _wait_host(host: str, port: int, wanted: frozenset[str]) -> None:
    report = _WaitReport(f"{host}:{port}{_with_things(wanted)}")
    for pause_s in _backoffs():
        async with session(ATTEMPT_TIMEOUT_S) as client:
            missing = await _missing(Catalogue(client, host, port), wanted)
        if missing is None:
            report.over()
            return
        report.still_waiting(missing)
        await asyncio.sleep(pause_s)


def _backoffs() -> Iterator[float]:
    pause_s = FIRST_BACKOFF_S
    while True:
        yield pause_s
        pause_s = min(pause_s * 1.5, MAX_BACKOFF_S)


async def _missing(catalogue: Catalogue, wanted: frozenset[str]) -> str | None:
    """Why the host is not ready; None where it is."""
    try:
        await catalogue.load()
        missing = [name for name in sorted(wanted) if await catalogue.title_of(name) is None]
    except (OSError, TimeoutError, ValueError) as error:
        return f"{type(error).__name__} {error}".strip()
    return f"it has {quoted(catalogue.names())}" if missing else None


def _with_things(wanted: Iterable[str]) -> str:
    return f" with {quoted(wanted)}" if wanted else ""


class _WaitReport:
    """Reports one wait that becomes long: in the log every `WARN_EVERY_S`, and once to the wait listener."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._began_s = time.monotonic()
        self._warn_at_s = self._began_s + WARN_EVERY_S
        self._is_reported = False

    def still_waiting(self, missing: str) -> None:
        """An attempt failed, for this reason."""
        now_s = time.monotonic()
        if now_s >= self._warn_at_s:
            _logger.warning("still waiting for %s: %s", self._what, missing)
            self._warn_at_s += WARN_EVERY_S
        if now_s - self._began_s >= LONG_WAIT_S and not self._is_reported:
            self._is_reported = True
            _on_long_wait(self._what, now_s - self._began_s, missing)

    def over(self) -> None:
        """The wait has succeeded."""
        if self._is_reported:
            _on_long_wait(self._what, time.monotonic() - self._began_s, None)


OnLongWait = Callable[[str, float, str | None], None]
"""Called with what an app waits for, for how many seconds, and why it still does; None: the wait is over."""


def _ignore(what: str, waited_s: float, missing: str | None) -> None:
    pass


_on_long_wait: OnLongWait = _ignore


def report_long_waits(listener: OnLongWait | None) -> None:
    """Report waits longer than `LONG_WAIT_S` to `listener`, if any. For code that runs apps, not for apps."""
    global _on_long_wait  # `wait_node` has no argument for it, as it also runs outside of WoTemu
    _on_long_wait = listener or _ignore
