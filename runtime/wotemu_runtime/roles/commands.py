"""Reads the coordinator's commands and hands each, once, to the roles of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Protocol

from redis.asyncio import Redis

from wotemu_runtime.bus import Consumer, Streams
from wotemu_runtime.bus.codec import unpack
from wotemu_runtime.bus.consumer import MAX_ENTRIES


class CommandHandler(Protocol):
    """A role, as the reader of commands sees it."""

    stopping: asyncio.Event
    """Set once the role has been commanded to stop."""

    async def handle(self, command: dict[str, Any]) -> None:
        """Carry a command out; ``command`` and ``id`` are its kind and its number."""


class CommandReader:
    """Reads the command stream from its beginning, so that a role that starts late gets all of it."""

    def __init__(self, client: Redis, streams: Streams) -> None:
        self._client = client
        self._streams = streams
        self._handled: set[str] = set()
        self.caught_up = asyncio.Event()
        """Set once all commands have been handled that were given before this process started."""

    def __repr__(self) -> str:
        return f"CommandReader({len(self._handled)} commands, caught_up={self.caught_up.is_set()})"

    async def run(self, handlers: Collection[CommandHandler]) -> None:
        """Hand every command to every handler until all of them are stopping."""
        consumer = Consumer(self._client, [self._streams.commands])
        async for entries in consumer.batches():
            for _, _, fields in entries:
                await self._dispatch(unpack(fields), handlers)
            # A full batch means that there may be more; an empty one while the bus is away means nothing.
            if not consumer.is_away and len(entries) < MAX_ENTRIES:
                self.caught_up.set()
            if all(handler.stopping.is_set() for handler in handlers):
                return

    async def _dispatch(self, command: dict[str, Any], handlers: Collection[CommandHandler]) -> None:
        # The coordinator sends a command again where the bus confirmed it too late.
        if command["id"] in self._handled:
            return
        self._handled.add(command["id"])
        for handler in handlers:
            await handler.handle(command)


__all__ = ["CommandHandler", "CommandReader"]
