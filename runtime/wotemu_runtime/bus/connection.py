"""Connects to the bus, and redirects a client to another address."""

from __future__ import annotations

import asyncio
from typing import Any, Self, cast

import attrs
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, BusyLoadingError, RedisError

from wotemu.errors import EmulationError
from wotemu_runtime.bus.cancellable_connection import TcpConnection, UnixConnection
from wotemu_runtime.bus.client import BusClient

ANSWER_S = 5.0
"""Timeout of every command: a machine that lost its power or its network never closes a connection."""
MAX_CONNECTIONS = 16
"""Of one client, which a hundred roles may share: more commands at once wait for a connection."""
_RETRY_S = 0.02


@attrs.frozen
class BusAddress:
    """Where the bus listens: the path of a Unix socket, or a host and port; and its password.

    `anchor_s`: what its kernel, which is its clients' too, adds to CLOCK_MONOTONIC for the bus's time. None
    where clients may be on other machines: they ask the bus.
    """

    password: str = attrs.field(repr=False)
    path: str | None = None
    host: str | None = None
    port: int = 6379
    anchor_s: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As an assignment holds it."""
        return attrs.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """What `to_dict` gave."""
        return cls(**data)


async def connect(address: BusAddress, deadline_s: float = 10.0) -> BusClient:
    """Connect, and return a client whose every failure is an `OSError` or a `RedisError`.

    Raises:
        EmulationError: the bus refuses the password, or does not answer within `deadline_s`.
    """
    # No retries by redis-py: the callers know what to do about a bus that is away.
    retry = Retry(NoBackoff(), retries=0)
    common: dict[str, Any] = {
        "password": address.password,
        "protocol": 3,
        "retry": retry,
        "socket_timeout": ANSWER_S,
        "socket_connect_timeout": ANSWER_S,
    }
    if address.path is not None:
        common |= {"connection_class": UnixConnection, "path": address.path}
    else:
        common |= {
            "connection_class": TcpConnection,
            "host": address.host or "localhost",
            "port": address.port,
        }
    pool = BlockingConnectionPool(max_connections=MAX_CONNECTIONS, timeout=ANSWER_S, **common)
    client = cast(BusClient, BusClient.from_pool(pool))  # redis-py annotates it as Redis
    last: Exception | None = None
    try:
        async with asyncio.timeout(deadline_s):
            while True:
                try:
                    await client.ping()
                    return client
                except (OSError, BusyLoadingError, RedisError) as error:
                    if _is_refusal(error):
                        await client.aclose()
                        message = f"it refuses the password: {error}"
                        raise EmulationError(message, where="event bus", hint="give the bus's own") from error
                    last = error
                    await asyncio.sleep(_RETRY_S)  # a server that starts up announces itself to nobody
    except TimeoutError as error:
        await client.aclose()
        raise EmulationError(
            f"no answer within {deadline_s:g} s: {last or 'no answer at all'}", where="event bus"
        ) from error


def _is_refusal(error: BaseException | None) -> bool:
    """Whether it comes of a wrong password: redis-py 8 wraps that in a `ConnectionError`."""
    while error is not None:
        if isinstance(error, AuthenticationError | AuthorizationError):
            return True
        error = error.__cause__
    return False


async def redirect(client: Redis, address: BusAddress) -> None:
    """Have a client of a bus on TCP use another host and port from now on."""
    pool = client.connection_pool
    if (pool.connection_kwargs.get("host"), pool.connection_kwargs.get("port")) == (
        address.host,
        address.port,
    ):
        return
    pool.connection_kwargs.update(host=address.host, port=address.port)
    await pool.disconnect()
    pool.reset()  # type: ignore[no-untyped-call]
