"""The Docker API proxy role in a container."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Mapping

from wotemu.errors import InputError
from wotemu_runtime.container.health import serve_health
from wotemu_runtime.docker_proxy import Proxy
from wotemu_runtime.roles.container_environment import (
    DOCKER_SOCKET,
    DOCKER_SOCKET_VARIABLE,
    PROXY_PORT,
    STACK_VARIABLE,
)


def run(environ: Mapping[str, str]) -> None:
    """Serve until SIGTERM.

    Raises:
        InputError: No stack is named.
    """
    stack = environ.get(STACK_VARIABLE, "")
    if not stack:
        hint = "name the stack whose objects may be read"
        raise InputError("it is not set", where=STACK_VARIABLE, hint=hint)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s")
    proxy = Proxy(stack, environ.get(DOCKER_SOCKET_VARIABLE, DOCKER_SOCKET))
    # The container is on the control network alone, and Docker gives its address there.
    asyncio.run(_serve(proxy, environ.get("WOTEMU_PROXY_HOST", "0.0.0.0"), PROXY_PORT))  # noqa: S104


async def _serve(proxy: Proxy, host: str, port: int) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serve_health("proxy"), proxy.listening(host, port):
        await stop.wait()
