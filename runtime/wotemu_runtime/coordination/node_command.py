"""The coordinator's end of a command that runs in a node: what `agent.node_commands` relays."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu.errors import EmulationError
from wotemu_runtime.bus import Consumer, Streams
from wotemu_runtime.control.requests import Exited, Printed


class NodeCommand:
    """One command, by its number on the bus.

    Args:
        is_going: whether the run goes on.
    """

    def __init__(self, client: Redis, streams: Streams, number: str, is_going: Callable[[], bool]) -> None:
        self._is_going = is_going
        self._client = client
        self._input = streams.command_input(number)
        self._output = streams.command_output(number)

    def __repr__(self) -> str:
        return f"NodeCommand({self._output!r})"

    async def output(self) -> AsyncGenerator[Printed | Exited, None]:
        """What it prints, then how it ended. Leaving it early kills the command.

        Raises:
            EmulationError: the run ended before the command did.
        """
        ended = False
        try:
            async for entries in Consumer(self._client, [self._output]).batches():
                for _, _, fields in entries:
                    if b"status" in fields:
                        ended = True
                        yield Exited(os.waitstatus_to_exitcode(int(fields[b"status"])))
                        return
                    yield Printed(int(fields[b"fd"]), fields[b"data"])
                    await self._give(credit=1)
                if not entries and not self._is_going():
                    raise EmulationError("the run ended before the command did", where="exec")
        finally:
            with contextlib.suppress(OSError, RedisError):
                if not ended:
                    await self.kill(signal.SIGKILL)
                await self._client.delete(self._output, *([self._input] if ended else []))

    async def write(self, data: bytes) -> None:
        """Give it input."""
        await self._give(data=data)

    async def end_input(self) -> None:
        """Close its standard input."""
        await self._give(eof=1)

    async def kill(self, number: int) -> None:
        """Send its process group a signal."""
        await self._give(signal=int(number))

    async def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal."""
        await self._give(size=f"{rows} {columns}")

    async def _give(self, **fields: Any) -> None:
        await self._client.xadd(self._input, fields)  # type: ignore[arg-type]
