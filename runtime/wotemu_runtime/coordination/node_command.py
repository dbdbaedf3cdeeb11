"""The coordinator's end of a command that runs in a node: what `agent.node_commands` relays."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
from collections.abc import AsyncGenerator, Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu.errors import EmulationError
from wotemu_runtime.bus import Consumer, Streams
from wotemu_runtime.bus.send_window import SendWindow
from wotemu_runtime.control.requests import Exited, InputRead, Printed

END_S = 10.0
"""After the run, what its agent ends is waited for so long."""


class NodeCommand:
    """One command, by its number on the bus.

    Args:
        is_going: whether the run goes on.
        ends_with_run: whether its agent ends it by itself when the run is over, and says so.
    """

    def __init__(
        self,
        client: Redis,
        streams: Streams,
        number: str,
        is_going: Callable[[], bool],
        *,
        ends_with_run: bool = False,
    ) -> None:
        self._is_going = is_going
        self._wait_s = END_S if ends_with_run else 0.0
        self._client = client
        self._input = streams.command_input(number)
        self._output = streams.command_output(number)
        self._window = SendWindow()
        self._has_ended = False
        self._lost: Exception | None = None
        """Why input, a signal or credit did not reach the bus: the command may wait for it for ever."""

    def __repr__(self) -> str:
        return f"NodeCommand({self._output!r})"

    @property
    def input_room(self) -> int:
        """Bytes of input that it takes now, so that `write` does not wait."""
        return self._window.room

    async def output(self) -> AsyncGenerator[Printed | InputRead | Exited, None]:
        """What it prints and reads, then how it ended. Leaving it early kills the command.

        Raises:
            EmulationError: the run ended before the command did, or the bus did not take its input.
        """
        loop, over_since = asyncio.get_running_loop(), math.inf
        try:
            async for entries in Consumer(self._client, [self._output]).batches():
                for _, _, fields in entries:
                    if b"status" in fields:
                        self._has_ended = True
                        yield Exited(os.waitstatus_to_exitcode(int(fields[b"status"])))
                        return
                    if b"read" in fields:
                        self._window.grant(int(fields[b"read"]))
                        yield InputRead(int(fields[b"read"]))
                    else:
                        yield Printed(int(fields[b"fd"]), fields[b"data"])
                        await self._give(credit=1)
                if self._lost is not None:
                    raise EmulationError(f"the bus did not take its input: {self._lost}")
                if entries:
                    with contextlib.suppress(OSError, RedisError):  # the next one trims as much
                        await self._client.xtrim(
                            self._output, minid=entries[-1][1].decode(), approximate=False
                        )
                if not self._is_going():
                    over_since = min(over_since, loop.time())
                if not entries and loop.time() >= over_since + self._wait_s:
                    raise EmulationError("the run ended before the command did")
        finally:
            self._window.close()
            with contextlib.suppress(OSError, RedisError):
                if not self._has_ended:
                    await self.kill(signal.SIGKILL)
                await self._client.delete(self._output, *([self._input] if self._has_ended else []))

    async def write(self, data: bytes) -> None:
        """Give it input. Returns when all but `SEND_WINDOW` bytes are read, or the command has ended.

        Only `output` learns that the command reads: a task has to read that meanwhile.
        """
        async for part in self._window.parts(data):
            await self._give(data=part)

    async def end_input(self) -> None:
        """Close its standard input; of a terminal, write its end-of-file character instead."""
        await self._give(eof=1)

    async def kill(self, number: int) -> None:
        """Send its process group a signal."""
        await self._give(signal=int(number))

    async def resize(self, rows: int, columns: int) -> None:
        """Set the size of its terminal."""
        await self._give(size=f"{rows} {columns}")

    async def _give(self, **fields: Any) -> None:
        if self._has_ended:
            return  # or the stream would be there again, for ever
        try:
            await self._client.xadd(self._input, fields)  # type: ignore[arg-type]
        except (OSError, RedisError) as error:
            self._lost = error
            raise
