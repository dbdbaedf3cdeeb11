"""Shared by the built-in apps that use a remote Thing: finding it, pacing, and counting failures."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

from wotemu.app import Conf, consume_from_catalogue, wait_node, write_metric
from wotemu.errors import InputError

FIND_AGAIN_S = 1.0
"""Seconds between two tries to fetch a Thing's description."""

GRACE_S = 1.0
"""Seconds beyond a request's timeout, so that WoTPy's own timeout comes first where the binding has one."""

_logger = logging.getLogger(__name__)


def seeded(conf: Conf) -> random.Random:
    """Random numbers that repeat with the scenario's seed, different for each replica and each start."""
    start = f"/{conf.restarts}" if conf.restarts else ""
    return random.Random(f"{conf.seed}/{conf.replica}{start}")  # noqa: S311  # repeatable on purpose


def gaps(
    conf: Conf, interval: float | None, rate: float | None, lambd: float | None, default_s: float = 1.0
) -> Iterator[float]:
    """Seconds from the start of one round to the next.

    One of: `interval` seconds, `rate` rounds a second, or exponentially distributed with a mean of
    1/`lambd` seconds. Raises InputError where more than one is given, or one isn't above zero.
    """
    given = {"interval": interval, "rate": rate, "lambd": lambd}
    chosen = {name: value for name, value in given.items() if value is not None} or {"interval": default_s}
    (name, value), *others = chosen.items()
    if others or not float(value) > 0:
        listed = ", ".join(f"{name}={value!r}" for name, value in chosen.items())
        raise InputError(f"{listed}: give one of interval, rate and lambd, above zero")
    return _gaps(seeded(conf), name, float(value))


def _gaps(numbers: random.Random, name: str, value: float) -> Iterator[float]:
    while True:
        if name == "lambd":
            yield numbers.expovariate(value)
        else:
            yield value if name == "interval" else 1.0 / value


async def rounds(every: Iterator[float]) -> AsyncIterator[None]:
    """Yield once for each gap, on time. Rounds that a slow one overran are skipped."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    for gap in every:
        yield
        due = max(due + gap, loop.time())
        await asyncio.sleep(due - loop.time())


async def find_thing(wot: Any, conf: Conf, servient_host: str, thing_id: str) -> Any:
    """Wait for a remote Thing and consume it, however long its node and the network take."""
    while True:
        await wait_node(conf, servient_host, thing_ids=[thing_id])
        try:
            return await consume_from_catalogue(
                wot, servient_host=servient_host, thing_id=thing_id, conf=conf
            )
        except (OSError, LookupError, ValueError) as error:
            _logger.warning("%s on %s can't be consumed yet: %s", thing_id, servient_host, error)
            await asyncio.sleep(FIND_AGAIN_S)


class Failures:
    """Logs and counts failures; the count is the app's metric `key`."""

    def __init__(self, key: str) -> None:
        self._key = key
        self.count = 0

    def add(self, what: str, error: BaseException) -> None:
        """Count one failure."""
        self.count += 1
        _logger.warning("%s: %s", what, f"{type(error).__name__} {error}".strip())
        write_metric(self._key, self.count)


async def attempt(awaitable: Awaitable[Any], what: str, timeout: float, failures: Failures) -> Any:
    """The result; None where it raised or took much longer than `timeout` seconds, which counts as a failure.

    WoTPy's own timeout does not include the time to connect over WebSockets and MQTT, so this adds one.
    """
    try:
        async with asyncio.timeout(timeout + GRACE_S):
            return await awaitable
    except Exception as error:  # WoTPy raises bare Exception for what a remote Thing answers
        failures.add(what, error)
        return None


def chosen_names(known: Any, wanted: list[str] | None, what: str) -> list[str]:
    """The names of `wanted`, by default all. Raises InputError where the Thing has no such affordance."""
    names = list(known)
    for name in wanted or ():
        if name not in names:
            raise InputError(f"the Thing has no {what} {name!r}; it has {', '.join(names) or 'none'}")
    return names if wanted is None else wanted
