"""The sockets of ports that this machine publishes, made before anything of a run starts."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psutil

from wotemu.errors import HostError
from wotemu_runtime.planning.models import Plan

LOOPBACK = "127.0.0.1"


@contextmanager
def listening(plan: Plan) -> Iterator[dict[int, socket.socket]]:
    """Listen on the plan's published ports, unless its coordinator does.

    The sockets are closed here as the block is left.

    Yields:
        The sockets by port.

    Raises:
        HostError: A port is taken, or not this user's to take.
    """
    ports = () if plan.publishes_over_bus else plan.published
    with ExitStack() as stack:
        yield {port: stack.enter_context(listen(port, replica)) for port, replica, _ in ports}


def listen(port: int, replica: str) -> socket.socket:
    """Listen on one port, which leads to a node; errors as those of `listening`."""
    try:
        return socket.create_server((LOOPBACK, port), backlog=64)
    except OSError as error:
        where = f"Node {replica!r}, field 'publish'"
        if error.errno == errno.EADDRINUSE:
            hint = "end that program, or publish another port"
            raise HostError(f"port {port} is taken{_by(port)}", where=where, hint=hint) from error
        if error.errno == errno.EACCES:
            hint = "publish one from 1024 on"
            raise HostError(f"port {port} is not this user's to take", where=where, hint=hint) from error
        raise HostError(f"port {port}: {error.strerror}", where=where) from error


def announced(port: int, replica: str, target: int) -> tuple[str, dict[str, Any]]:
    """The text and data of the event ``port.published``."""
    url = f"http://{LOOPBACK}:{port}/"
    text = f"{url} leads to port {target} of {replica}, past all networks"
    return text, {"url": url, "replica": replica, "port": target}


def _by(port: int) -> str:
    """Who listens on a port, as far as this user may know."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            is_there = connection.laddr and connection.laddr.port == port
            if is_there and connection.status == psutil.CONN_LISTEN and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""
