"""Patches of defects of WoTPy 0.18, by the names that `NodeApp(wotpy_fixes=...)` takes.

Each replaces one internal of WoTPy; to apply one again changes nothing. They import WoTPy, so only app
processes apply them.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from wotemu.errors import InputError

MAX_HTTP_CLIENTS = 1000
"""Connections that tornado's shared client may open; its default is 10."""
WS_TEARDOWN_POLL_S = 0.001
MQTT_DELIVERY_POLL_S = 0.01
MQTT_TEARDOWN_POLL_S = 0.001

_MARK = "__wotemu_fix__"


def apply_fixes(names: Iterable[str]) -> None:
    """Apply the fixes with these names.

    Raises:
        InputError: a name is unknown; then none is applied.
    """
    chosen = list(names)
    for name in chosen:
        if name not in FIXES:
            raise InputError(
                f"{name!r} is no known fix of WoTPy",
                hint=f"known are {', '.join(sorted(FIXES))}",
                where="wotpy_fixes",
            )
    for name in chosen:
        FIXES[name]()


def _coap_observe() -> None:
    """Iterate over each observation once.

    WoTPy makes a new iterator for every notification. Each begins with the observation's latest value,
    so after a first notification the client delivers that one endlessly, as fast as it can.
    """
    from wotpy.protocols.coap.client import CoAPClient

    CoAPClient._build_subscribe = _observe_once


def _observe_once(
    client: Any, href: str, next_item_builder: Callable[[bytes], Any]
) -> Callable[[Any, Any], Any]:
    """Replaces `CoAPClient._build_subscribe`: one iterator for all of an observation."""
    import aiocoap
    from wotpy.utils.utils import handle_observer_finalization

    def subscribe(observer: Any, _scheduler: Any) -> Callable[[], None]:
        requests: list[Any] = []

        def deliver(message: Any) -> None:
            client._assert_success(message)
            item = next_item_builder(message.payload)
            if item is not None:
                observer.on_next(item)

        @handle_observer_finalization(observer)  # type: ignore[untyped-decorator]  # WoTPy has no types
        async def observe() -> None:
            context = await aiocoap.Context.create_client_context()
            try:
                message = aiocoap.Message(code=aiocoap.Code.GET, uri=href, observe=0)
                request = context.request(await client.sign_request(message))
                requests.append(request)
                deliver(await request.response)
                async for notification in request.observation:
                    deliver(notification)
            finally:
                await context.shutdown()

        task = asyncio.get_running_loop().create_task(observe())

        def unsubscribe() -> None:
            for request in requests:
                if not request.observation.cancelled:
                    request.observation.cancel()
            task.cancel()

        return unsubscribe

    return subscribe


def _http_clients() -> None:
    """Let tornado's client, which HTTP requests and long polls share, open more than 10 connections."""
    from tornado.httpclient import AsyncHTTPClient

    AsyncHTTPClient.configure(None, max_clients=MAX_HTTP_CLIENTS)


def _mqtt_delivery() -> None:
    """End a request's delivery loop soon after its answer came.

    WoTPy opens a connection for each request and, to close it, waits until a poll of up to one second
    ends: inside of what the caller waits for.
    """
    from wotpy.protocols.mqtt.client import MQTTClient

    MQTTClient.DELIVER_TERMINATE_LOOP_SLEEP_SECS = MQTT_TEARDOWN_POLL_S
    original = MQTTClient.__init__
    if hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def with_short_poll(
        self: Any, deliver_timeout_secs: float = MQTT_DELIVERY_POLL_S, *args: Any, **kwargs: Any
    ) -> None:
        original(self, deliver_timeout_secs, *args, **kwargs)

    setattr(with_short_poll, _MARK, True)
    MQTTClient.__init__ = with_short_poll


def _next_address() -> None:
    """Let clients of HTTP and WebSockets try a name's next address while the first one is silent.

    Tornado does so after 0.3 s for addresses of the other kind, IPv6 or IPv4, as RFC 8305 has it; among those
    of one kind it waits for the first to fail, so that a node that has left one of two networks waits for
    the address of its peer there until it gives up.
    """
    from tornado.tcpclient import _Connector

    _Connector.split = staticmethod(_first_and_others)


def _first_and_others(addresses: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """Replaces `_Connector.split`: what is tried at once, and what after 0.3 s or the first failure."""
    return addresses[:1], addresses[1:]


def _td_cost() -> None:
    """Read a Thing's id and title from its fragment.

    WoTPy builds the whole Thing Description, with every form, for each: about ten milliseconds a request.
    """
    from wotpy.wot.thing import Thing

    Thing.id = property(lambda thing: thing._thing_fragment.id)
    Thing.title = property(lambda thing: thing._thing_fragment.title)


def _ws_teardown() -> None:
    """Close a WebSocket request's connection without sleeping first, which the caller would wait for."""
    from wotpy.protocols.ws.client import WebsocketClient

    WebsocketClient.SLEEP_AFTER_ERR_SECS = 0.0
    WebsocketClient.RECEIVE_LOOP_TERMINATE_SLEEP_SECS = WS_TEARDOWN_POLL_S


FIXES: Mapping[str, Callable[[], None]] = MappingProxyType(
    {
        "coap-observe": _coap_observe,
        "http-clients": _http_clients,
        "mqtt-delivery": _mqtt_delivery,
        "next-address": _next_address,
        "td-cost": _td_cost,
        "ws-teardown": _ws_teardown,
    }
)
"""The patch for each name of `wotemu.topology.node_app.WOTPY_FIXES`."""
