"""redis-py's connections, with cancellation that is never lost, and errors that are redis-py's.

They send with `asyncio.wait_for`, which before Python 3.12 keeps a cancellation to itself where it comes just
when the sending is done (bpo-37658). A task that is cancelled once then goes on for good. All commands pass
here, also those of pipelines and scripts.
"""

from __future__ import annotations

import asyncio
from typing import Any

from redis.asyncio import Connection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError


class _Cancellable:
    """Mixed into a connection: raises the cancellation that it would lose, and no `RuntimeError`."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """See redis-py; the answer to what was sent will not be read after a cancellation."""
        task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        try:
            await super().send_packed_command(command, check_health)  # type: ignore[misc]
        except RuntimeError as error:  # uvloop's, for a connection that was closed in this moment
            raise RedisConnectionError(str(error)) from error
        if task is not None and task.cancelling() > before:
            await self.disconnect(nowait=True)  # type: ignore[attr-defined]
            raise asyncio.CancelledError


class TcpConnection(_Cancellable, Connection):
    """A connection to a host and port."""


class UnixConnection(_Cancellable, UnixDomainSocketConnection):
    """A connection to a Unix socket."""


__all__ = ["TcpConnection", "UnixConnection"]
