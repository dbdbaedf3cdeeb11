"""Learns from the clients' libraries which host answered an operation, and with which status.

Each hook fills the `Exchange` of the operation that runs in its context. Messages pass through unchanged.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.simple_httpclient import _HTTPConnection
from tornado.websocket import WebSocketClientConnection
from wotpy.protocols.coap.client import CoAPClient
from wotpy.protocols.mqtt.client import MQTTClient
from wotpy.protocols.ws.client import WebsocketClient

from wotemu_runtime.app_process.measuring.patching import replace
from wotemu_runtime.app_process.measuring.sides import Exchange, running_operation

Method = Callable[..., Any]

EXCHANGE = "wotemu_exchange"
"""The attribute of a request, or of a WebSocket, that has the operation which it is made for."""
_SWITCHING_PROTOCOLS = 101
_MAPPED = "::ffff:"


def install_client_hooks(stack: ExitStack) -> None:
    """Hook HTTP, WebSocket, CoAP and MQTT until the stack is closed."""
    replace(stack, AsyncHTTPClient, "fetch", _fetching(AsyncHTTPClient.fetch))
    for kind, hook in ((_HTTPConnection, _http_answer), (WebSocketClientConnection, _ws_answer)):
        replace(stack, kind, "headers_received", hook(kind.headers_received))
    connection = _connecting(WebSocketClientConnection.__init__)
    replace(stack, WebSocketClientConnection, "__init__", connection)
    replace(stack, WebsocketClient, "_send_message", _sending(WebsocketClient._send_message))
    replace(stack, CoAPClient, "_assert_success", classmethod(_coap_answer(CoAPClient._assert_success)))
    for name in ("_init_client", "_build_subscribe"):
        replace(stack, MQTTClient, name, _to_broker(getattr(MQTTClient, name)))


def _fetching(original: Method) -> Method:
    @functools.wraps(original)
    def fetch(client: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        # A request that waits for a free connection goes out in another one's context.
        if isinstance(request, HTTPRequest) and (exchange := running_operation.get()) is not None:
            setattr(request, EXCHANGE, exchange)
        return original(client, request, *args, **kwargs)

    return fetch


def _http_answer(original: Method) -> Method:
    @functools.wraps(original)
    async def headers_received(connection: Any, first_line: Any, headers: Any) -> None:
        exchange: Exchange | None = getattr(connection.request, EXCHANGE, None)
        if exchange is not None:
            exchange.code = str(first_line.code)
            exchange.peer = _stream_peer(connection.stream)
        await original(connection, first_line, headers)

    return headers_received


def _connecting(original: Method) -> Method:
    @functools.wraps(original)
    def init(connection: Any, *args: Any, **kwargs: Any) -> None:
        setattr(connection, EXCHANGE, running_operation.get())
        original(connection, *args, **kwargs)

    return init


def _ws_answer(original: Method) -> Method:
    @functools.wraps(original)
    async def headers_received(connection: Any, first_line: Any, headers: Any) -> None:
        exchange: Exchange | None = getattr(connection, EXCHANGE, None)
        if exchange is not None:
            exchange.peer = _stream_peer(connection.stream)
            if first_line.code != _SWITCHING_PROTOCOLS:
                exchange.code = str(first_line.code)
        await original(connection, first_line, headers)

    return headers_received


def _sending(original: Method) -> Method:
    @functools.wraps(original)
    async def send(client: Any, ws_url: str, *args: Any) -> Any:
        exchange = running_operation.get()
        connection = client._conns.get(ws_url)  # maybe one that an earlier operation has opened
        if exchange is not None and connection is not None:
            exchange.peer = _stream_peer(getattr(connection.protocol, "stream", None))
        return await original(client, ws_url, *args)

    return send


def _coap_answer(original: Method) -> Method:
    def assert_success(_kind: type, response: Any) -> Any:
        exchange = running_operation.get()
        if exchange is not None:
            exchange.code = str(getattr(response.code, "dotted", ""))
            exchange.peer = coap_peer(response.remote)
            # An observation's iterator begins with the observation's latest message.
            exchange.is_repeated = response is exchange.last_message
            exchange.last_message = response
        return original(response)

    return assert_success


def _to_broker(original: Method) -> Method:
    @functools.wraps(original)
    def called(client: Any, broker_url: str, *args: Any, **kwargs: Any) -> Any:
        if (exchange := running_operation.get()) is not None:
            exchange.peer = urlsplit(broker_url).hostname or ""
        return original(client, broker_url, *args, **kwargs)

    return called


def coap_peer(remote: Any) -> str:
    """The address of a CoAP message's other end; "" where the transport has none."""
    address = getattr(remote, "sockaddr", None)
    return str(address[0]).removeprefix(_MAPPED) if address else ""


def _stream_peer(stream: Any) -> str:
    """The address that a tornado stream is connected to; "" where it is no longer."""
    try:
        return str(stream.socket.getpeername()[0])
    except (AttributeError, OSError):
        return ""
