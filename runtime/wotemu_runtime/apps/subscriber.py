"""Subscribes to a remote Thing's events and observes its properties."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from wotemu.app import Conf
from wotemu_runtime.apps._consumer import Failures, chosen_names, find_thing

FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 5.0

_logger = logging.getLogger(__name__)


class SubscriptionEndedError(Exception):
    """The remote Thing's side completed a subscription that should go on."""


async def app(
    wot: Any,
    conf: Conf,
    loop: asyncio.AbstractEventLoop,
    servient_host: str,
    thing_id: str,
    events: list[str] | None = None,
    properties: list[str] | None = None,
    silence: float = 10.0,
) -> None:
    """Follow `events` (else all) and `properties` (else the observable ones) of the Thing `thing_id`.

    The Thing is on the node `servient_host`. A subscription that fails, ends, or delivers nothing for
    `silence` seconds (0: however long) is renewed, after a pause that grows from half a second to five;
    each such failure is logged and counted (metric ``subscription_failures``). A cut network says
    nothing, so silence is the only sign of it.
    """
    thing = await find_thing(wot, conf, servient_host, thing_id)
    observable = [name for name in thing.properties if thing.properties[name].observable]
    names = chosen_names(observable, properties, "observable property")
    interactions = {f"property {name}": thing.properties[name] for name in names}
    names = chosen_names(thing.events, events, "event")
    interactions |= {f"event {name}": thing.events[name] for name in names}
    failures = Failures("subscription_failures")
    async with asyncio.TaskGroup() as group:
        for what, interaction in interactions.items():
            group.create_task(_follow(interaction, what, silence or None, failures))


async def _follow(interaction: Any, what: str, silence: float | None, failures: Failures) -> None:
    backoff = FIRST_BACKOFF_S
    while True:
        subscription = _Subscription(interaction, what)
        try:
            error = await subscription.failure(silence)
        finally:
            subscription.dispose()
        failures.add(what, error)
        backoff = FIRST_BACKOFF_S if subscription.items else min(backoff * 2, MAX_BACKOFF_S)
        await asyncio.sleep(backoff)


class _Subscription:
    """One subscription, and its items and failure."""

    def __init__(self, interaction: Any, what: str) -> None:
        self._what = what
        self._news = asyncio.Event()
        self._error: Exception | None = None
        self.items = 0
        try:
            self._disposable = interaction.subscribe(
                on_next=self._next, on_error=self._failed, on_completed=self._completed
            )
        except Exception as error:  # WoTPy has no base class for what it raises
            self._disposable = None
            self._failed(error)

    async def failure(self, silence: float | None) -> Exception:
        """Wait until it fails, or delivers nothing for `silence` seconds."""
        while self._error is None:
            self._news.clear()
            try:
                async with asyncio.timeout(silence):
                    await self._news.wait()
            except TimeoutError:
                return TimeoutError(f"nothing came for {silence:g} s")
        return self._error

    def dispose(self) -> None:
        """Unsubscribe."""
        if self._disposable is not None:
            self._disposable.dispose()

    def _next(self, item: Any) -> None:
        self.items += 1
        self._news.set()
        _logger.debug("%s: %s", self._what, item.data)

    def _failed(self, error: Exception) -> None:
        self._error = error
        self._news.set()

    def _completed(self) -> None:
        self._failed(SubscriptionEndedError("the other side ended it"))
