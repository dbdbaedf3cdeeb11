"""Health of a container's role: its event loop answers on a socket, and the container's health check asks.

The socket's name is abstract and so belongs to the network namespace: it needs no writable file system, and
is gone with the role. Only a role whose event loop hangs, or that has ended, is unhealthy. One that has lost
its bus is healthy: it stores its records until the bus is back, and a restart would lose them.

The check starts every few seconds in every container, without the package, so this module imports very
little.
"""

from __future__ import annotations

import socket
import sys

TYPE_CHECKING = False  # `typing` takes as long to import as all the rest
if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

SOCKET = "\0wotemu-health"
BUS_PORT = 6379  # a copy of the one in roles.container_environment, which can't be imported here
DEADLINE_S = 2.0
_BUS_NAMES = ("redis-server", "valkey-server")


def serve_health(role: str) -> AbstractAsyncContextManager[None]:
    """Answer health checks on the running event loop, with the role's name, until the block is left."""
    from contextlib import asynccontextmanager

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del reader
        writer.write(f"{role} lives\n".encode())
        writer.close()

    @asynccontextmanager
    async def serve() -> AsyncIterator[None]:
        import asyncio

        server = await asyncio.start_unix_server(answer, SOCKET)
        try:
            yield
        finally:
            server.close()

    return serve()


def query_role(address: str = SOCKET) -> str:
    """The role's answer to a health check.

    Raises:
        OSError: There is none within `DEADLINE_S`.
    """
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE_S)
        client.connect(address)
        return client.recv(1024).decode().strip()


def query_bus(host: str = "127.0.0.1", port: int = BUS_PORT) -> str:
    """The bus server's answer to a PING.

    Raises:
        OSError: There is none within `DEADLINE_S`.
    """
    # Without the password the answer is -NOAUTH, which shows as well as +PONG that the server is alive.
    with socket.create_connection((host, port), DEADLINE_S) as client:
        client.settimeout(DEADLINE_S)
        client.sendall(b"PING\r\n")
        return client.recv(1024).decode().strip()


def main() -> int:
    """Entry point of the image's health check: 0 where the role is healthy, else 1."""
    with open("/proc/1/comm", encoding="utf-8") as first:  # noqa: PTH123  # pathlib costs as much as the rest
        is_bus = first.read().strip() in _BUS_NAMES
    try:
        answer = query_bus() if is_bus else query_role()
    except OSError as error:
        print(f"the role does not answer: {error}")
        return 1
    print(answer or "the role hung up")
    return 0 if answer else 1


if __name__ == "__main__":
    sys.exit(main())
