"""Is this container's role alive? A role's event loop answers on a socket; a container's health check asks.

The socket is abstract and so belongs to the network namespace: it needs no writable file system, and goes
with the role. Only a role whose loop hangs, or that is gone, is unhealthy: one that has lost its bus keeps
its records until the bus is back, and starting it again would lose them.

This module is started every few seconds in every container, so it imports next to nothing.
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
BUS_PORT = 6379  # as roles.container_environment has it: this file runs without the package
DEADLINE_S = 2.0
_BUS_NAMES = ("redis-server", "valkey-server")


def answering(role: str) -> AbstractAsyncContextManager[None]:
    """While the block runs, this loop answers whoever asks, with the role's name."""
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


def ask(address: str = SOCKET) -> str:
    """The role's answer; `OSError` where there is none in time."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE_S)
        client.connect(address)
        return client.recv(1024).decode().strip()


def ask_bus(host: str = "127.0.0.1", port: int = BUS_PORT) -> str:
    """The bus server's answer to a ping. It speaks, so it lives: that it wants a password is as good."""
    with socket.create_connection((host, port), DEADLINE_S) as client:
        client.settimeout(DEADLINE_S)
        client.sendall(b"PING\r\n")
        return client.recv(1024).decode().strip()


def main() -> int:
    """Entry point of the image's health check: 0 where the role lives, else 1."""
    with open("/proc/1/comm", encoding="utf-8") as first:  # noqa: PTH123  # pathlib costs as much as the rest
        is_bus = first.read().strip() in _BUS_NAMES
    try:
        answer = ask_bus() if is_bus else ask()
    except OSError as error:
        print(f"the role does not answer: {error}")
        return 1
    print(answer or "the role hung up")
    return 0 if answer else 1


if __name__ == "__main__":
    sys.exit(main())
