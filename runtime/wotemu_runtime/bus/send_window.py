"""Credit for bytes that are sent over the bus: on their way until the other end has taken them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

SEND_WINDOW = 256 * 1024
"""Bytes that may be on their way: what an end that does not read costs the bus and the other end."""
SEND_CHUNK = 32 * 1024
"""Bytes of a single entry or line."""


class SendWindow:
    """What a sender may send before the other end has taken more."""

    def __init__(self) -> None:
        self.room = SEND_WINDOW
        """Bytes that may be sent now."""
        self._is_over = False
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"SendWindow(room={self.room}{', over' if self._is_over else ''})"

    def grant(self, taken: int) -> None:
        """Take that the other end has taken so many bytes."""
        self.room += taken
        self._changed.set()

    def close(self) -> None:
        """The other end has ended: what it has not taken is dropped."""
        self._is_over = True
        self._changed.set()

    async def parts(self, data: bytes) -> AsyncIterator[bytes]:
        """Parts of `data` in order, each once it may be sent; none once the other end has ended."""
        rest = memoryview(data)
        while rest and not self._is_over:
            if size := min(len(rest), self.room, SEND_CHUNK):
                self.room -= size
                yield bytes(rest[:size])
                rest = rest[size:]
            else:
                await self._change()

    async def all_taken(self) -> None:
        """Wait until the other end has taken all that was sent, or has ended."""
        while self.room < SEND_WINDOW and not self._is_over:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
