"""Announces the sockets of WoTPy's clients and servers, whose requests only the meter is to count.

A node's agent counts the requests that it sees in packets, and leaves out those of the sockets that are
announced here; see `wotemu_runtime.wire`. Requests that an app makes beside WoTPy are not left out.
"""

from __future__ import annotations

import contextlib
import functools
import socket
from contextlib import ExitStack
from typing import Any

from aiocoap import Context
from aiocoap.transports.udp6 import MessageInterfaceUDP6
from tornado.simple_httpclient import _HTTPConnection
from wotpy.protocols.coap.server import CoAPServer
from wotpy.protocols.http.server import HTTPServer
from wotpy.protocols.ws.server import WebsocketServer

from wotemu_runtime.app_process.measuring.client_hooks import EXCHANGE
from wotemu_runtime.app_process.measuring.interaction_meter import Meter, Method
from wotemu_runtime.app_process.measuring.patching import replace
from wotemu_runtime.app_process.measuring.sides import running_operation
from wotemu_runtime.app_process.messages import ClaimKind

_PORT = "wotemu_port"


def install_socket_claims(stack: ExitStack, meter: Meter) -> None:
    """Hook what opens sockets until the stack is closed."""
    creating = _announcing_connection(meter, _HTTPConnection._create_connection)
    replace(stack, _HTTPConnection, "_create_connection", creating)
    creating = _announcing_context(meter, Context.create_client_context.__func__)
    replace(stack, Context, "create_client_context", classmethod(creating))
    shutdown = _announcing_end(meter, MessageInterfaceUDP6.shutdown)
    replace(stack, MessageInterfaceUDP6, "shutdown", shutdown)
    servers: tuple[tuple[Any, ClaimKind], ...] = (
        (HTTPServer, "tcp_server"), (WebsocketServer, "tcp_server"), (CoAPServer, "udp_server"),
    )  # fmt: skip
    for server, kind in servers:
        replace(stack, server, "start", _announcing_server(meter, kind, server.start))


def _announcing_server(meter: Meter, kind: ClaimKind, original: Method) -> Method:
    @functools.wraps(original)
    async def start(server: Any, *args: Any, **kwargs: Any) -> Any:
        _announce(meter, kind, server.port)
        return await original(server, *args, **kwargs)

    return start


def _announcing_connection(meter: Meter, original: Method) -> Method:
    @functools.wraps(original)
    def create(connection: Any, stream: Any) -> Any:
        if getattr(connection.request, EXCHANGE, None) or getattr(connection, EXCHANGE, None):
            _announce(meter, "connected", _local_port(stream.socket))
        return original(connection, stream)

    return create


def _announcing_context(meter: Meter, original: Method) -> Method:
    @functools.wraps(original)
    async def create(kind: Any, *args: Any, **kwargs: Any) -> Any:
        context = await original(kind, *args, **kwargs)
        if running_operation.get() is not None:  # WoTPy makes one for each operation
            for each in context.request_interfaces:
                below = getattr(getattr(each, "token_interface", None), "message_interface", None)
                if isinstance(below, MessageInterfaceUDP6):
                    port = _bound_port(below.transport.get_extra_info("socket"))
                    setattr(below, _PORT, port)
                    _announce(meter, "opened", port)
        return context

    return create


def _announcing_end(meter: Meter, original: Method) -> Method:
    @functools.wraps(original)
    async def shutdown(interface: Any) -> None:
        await original(interface)
        _announce(meter, "closed", getattr(interface, _PORT, 0))

    return shutdown


def _announce(meter: Meter, kind: ClaimKind, port: object) -> None:
    if isinstance(port, int) and port:
        meter.claim(kind, port)


def _bound_port(opened: socket.socket) -> int:
    """The local port of a UDP socket, which gets one now instead of when it first sends; 0 without one."""
    if not _local_port(opened):
        with contextlib.suppress(OSError):
            opened.bind(("", 0))
    return _local_port(opened)


def _local_port(opened: socket.socket | None) -> int:
    """The local port of a socket; 0 where it has none."""
    try:
        return 0 if opened is None else int(opened.getsockname()[1])
    except OSError:
        return 0
