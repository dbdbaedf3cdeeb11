"""The Docker API proxy role in a container."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Mapping

from wotemu.errors import InputError
from wotemu_runtime.container.health import answering
from wotemu_runtime.docker_proxy import Proxy
from wotemu_runtime.roles.container_environment import PROXY_PORT, STACK_VARIABLE

SOCKET = "/var/run/docker.sock"


def become(environ: Mapping[str, str]) -> None:
    """Serve until SIGTERM."""
    stack = environ.get(STACK_VARIABLE, "")
    if not stack:
        raise InputError(
            "it is not set", where=STACK_VARIABLE, hint="name the stack whose objects may be seen"
        )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s")
    proxy = Proxy(stack, environ.get("WOTEMU_DOCKER_SOCKET", SOCKET))
    asyncio.run(serve(proxy, environ.get("WOTEMU_PROXY_HOST", "0.0.0.0"), PROXY_PORT))  # noqa: S104  # its own network


async def serve(proxy: Proxy, host: str, port: int) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with answering("proxy"), proxy.listening(host, port):
        await stop.wait()
