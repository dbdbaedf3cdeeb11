"""Shared by the built-in apps that subscribe: a subscription that is renewed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from wotemu_runtime.apps._consumer import Failures

FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 5.0

_logger = logging.getLogger(__name__)


class SubscriptionEndedError(Exception):
    """The remote Thing's side completed a subscription that should go on."""


async def follow(
    interaction: Any,
    what: str,
    silence: float | None,
    failures: Failures,
    on_item: Callable[[Any], None] | None = None,
) -> None:
    """Subscribe, and renew the subscription whenever it fails, ends, or is silent.

    Args:
        interaction: An event or observable property of a consumed Thing.
        what: Its name in the log.
        silence: Seconds without an item after which it is renewed; None: however long.
        failures: Counts what failed.
        on_item: Called with each item, as WoTPy delivers it.
    """
    backoff = FIRST_BACKOFF_S
    while True:
        subscription = _Subscription(interaction, what, on_item)
        try:
            error = await subscription.failure(silence)
        finally:
            subscription.dispose()
        failures.add(what, error)
        backoff = FIRST_BACKOFF_S if subscription.items else min(backoff * 2, MAX_BACKOFF_S)
        await asyncio.sleep(backoff)


class _Subscription:
    """One subscription, and its items and failure."""

    def __init__(self, interaction: Any, what: str, on_item: Callable[[Any], None] | None) -> None:
        self._what = what
        self._on_item = on_item
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
        if self._on_item is not None:
            self._on_item(item)

    def _failed(self, error: Exception) -> None:
        self._error = error
        self._news.set()

    def _completed(self) -> None:
        self._failed(SubscriptionEndedError("the other side ended it"))
