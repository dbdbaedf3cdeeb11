"""redis-py's connections, faster, and without lost cancellations.

redis-py sends with `asyncio.wait_for`, which before Python 3.12 keeps a cancellation to itself where it comes
just when the sending is done (bpo-37658): a task that is cancelled once then goes on for good. It also makes
a task for each sending, and packs commands in Python. All commands pass here, also those of pipelines and
scripts.
"""

from __future__ import annotations

import asyncio
from typing import Any

import hiredis
from redis.asyncio import Connection, UnixDomainSocketConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError


class _Cancellable:
    """Mixed into a connection: packs and sends commands."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """A command as bytes; the words of its name, as of ``CLIENT SETNAME``, are arguments of their own."""
        name = args[0].encode() if isinstance(args[0], str) else args[0]
        try:
            return [hiredis.pack_command((*name.split(), *args[1:]))]
        except TypeError as error:
            raise DataError(str(error)) from error

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: ARG002 (redis-py's signature)
        """See redis-py; the answer to what was sent will not be read after a cancellation."""
        connection: Any = self
        if not connection.is_connected:
            await connection.connect()
        try:
            async with asyncio.timeout(connection.socket_timeout):
                await connection._send_packed_command([command] if isinstance(command, bytes) else command)
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if isinstance(error, TimeoutError):
                raise RedisTimeoutError("Timeout writing to socket") from error
            # A RuntimeError is uvloop's, for a connection that was closed in this moment.
            if isinstance(error, OSError | RuntimeError):
                raise RedisConnectionError(str(error)) from error
            raise

    async def read_responses(self, count: int) -> None:
        """Read the answers to `count` commands.

        Raises:
            ResponseError: one of them was an error.
        """
        connection: Any = self
        failure: ResponseError | None = None
        try:
            async with asyncio.timeout(connection.socket_timeout):
                for _ in range(count):
                    answer = await connection._parser.read_response()
                    if isinstance(answer, ResponseError):
                        failure = failure or answer
        except BaseException as error:  # an answer that was not read would be taken for the next one's
            await connection.disconnect(nowait=True)
            if isinstance(error, TimeoutError):
                raise RedisTimeoutError("Timeout reading from socket") from error
            if isinstance(error, OSError | RuntimeError):
                raise RedisConnectionError(str(error)) from error
            raise
        if failure is not None:
            raise failure


class TcpConnection(_Cancellable, Connection):
    """A connection to a host and port."""


class UnixConnection(_Cancellable, UnixDomainSocketConnection):
    """A connection to a Unix socket."""


__all__ = ["TcpConnection", "UnixConnection"]
