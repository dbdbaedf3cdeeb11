"""Connects to a port of a node, from outside of its network namespace or within."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager


async def first_connection(
    addresses: Iterable[str], port: int, in_network: Callable[[], AbstractContextManager[None]]
) -> socket.socket:
    """A TCP connection to the first of a node's addresses that takes one.

    Args:
        addresses: The addresses, in the order in which they are tried.
        port: The port.
        in_network: Moves this thread to the node's network namespace for the block.

    Raises:
        OSError: None of them takes it.
    """
    refusal = OSError(f"nothing takes connections at port {port}")
    for address in addresses:
        with in_network():
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            await asyncio.get_running_loop().sock_connect(connection, (address, port))
        except OSError as error:
            connection.close()
            refusal = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise refusal
