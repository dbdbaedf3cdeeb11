"""Hangs the measuring of interactions into WoTPy's classes, so that no app needs to take part.

ConsumerSide: the operations of ConsumedThing; the binding is the servient's own choice of a client, noted
as it is made. ProducerSide: each server gets a view of the ExposedThing that shares all state with it, so
an app's local calls stay out and the server's binding is known.

What WoTPy's HTTP server refuses before it reaches a Thing (an unknown Thing, a body that is no JSON) is
recorded as a failed request at the producer.

WoTPy's own traffic is left out where it can be told apart: the subscriptions by which its MQTT and
Zenoh servers learn of changes, and the reads by which its CoAP server renders notifications.
"""

from __future__ import annotations

import functools
from contextlib import ExitStack
from typing import Any

from wotpy.protocols.coap.resources.property import PropertyResource
from wotpy.protocols.http.handlers.action import ActionInvokeHandler
from wotpy.protocols.http.handlers.property import PropertyReadWriteHandler
from wotpy.protocols.server import BaseProtocolServer
from wotpy.wot.consumed.thing import ConsumedThing
from wotpy.wot.servient import Servient

from wotemu_runtime.app_process.measuring.deadlines import watch_deadlines
from wotemu_runtime.app_process.measuring.interaction_meter import (
    INVOKE,
    OBSERVE,
    READ,
    SUBSCRIBE,
    WRITE,
    ConsumerSide,
    Meter,
    Method,
    ProducerSide,
    notifying,
    selection,
)

BINDINGS = {"WEBSOCKETS": "ws"}
"""Names of bindings that are not WoTPy's in lower case."""

POLLING_BINDINGS = frozenset({"mqtt", "zenoh"})
"""Bindings whose servers subscribe to their own Things, once for everybody."""

CONSUMED_REQUESTS = {"read_property": READ, "write_property": WRITE, "invoke_action": INVOKE}
SERVED_REQUESTS = {"read_property": READ, "handle_write_property": WRITE, "invoke_action": INVOKE}
HTTP_HANDLERS = {
    PropertyReadWriteHandler: {"get": READ, "put": WRITE},
    ActionInvokeHandler: {"post": INVOKE},
}
"""Methods of WoTPy's HTTP server that may refuse a request before it reaches a Thing."""
SUBSCRIPTIONS = {"on_property_change": OBSERVE, "on_event": SUBSCRIBE}


def binding_name(protocol: Any) -> str:
    """http, ws, coap, mqtt or zenoh, for WoTPy's name of a protocol."""
    return BINDINGS.get(str(protocol), str(protocol).lower())


def install(meter: Meter) -> ExitStack:
    """Measure every operation from now on, until the returned stack is closed. One meter at a time."""
    stack = watch_deadlines()
    side = ConsumerSide()
    for name, operation in CONSUMED_REQUESTS.items():
        original = _naming(stack, getattr(ConsumedThing, name))
        _replace(stack, ConsumedThing, name, meter.request(side, operation, original))
    for name, operation in SUBSCRIPTIONS.items():
        original = _naming(stack, getattr(ConsumedThing, name))
        _replace(stack, ConsumedThing, name, meter.subscription(side, operation, original))
    _replace(stack, Servient, "select_client", _noting(Servient.select_client))
    _replace(stack, PropertyResource, "render_get", _marking(PropertyResource.render_get))
    for handler, methods in HTTP_HANDLERS.items():
        for name, operation in methods.items():
            refusing = meter.refusals("http", operation, getattr(handler, name))
            _replace(stack, handler, name, refusing)
    add = _Views(meter).adding(BaseProtocolServer.add_exposed_thing)
    _replace(stack, BaseProtocolServer, "add_exposed_thing", add)
    return stack


def _replace(stack: ExitStack, owner: type, name: str, method: Method) -> None:
    stack.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, method)


_NOTES = "__wotemu_notes__"


def _naming(stack: ExitStack, original: Method) -> Method:
    """`original`, which first sees to it that the servient's choice of a client is noted.

    An app's own kind of servient may choose in its own way, with no call of the one we replaced.
    """

    @functools.wraps(original)
    def named(owner: Any, *args: Any, **kwargs: Any) -> Any:
        kind = type(owner.servient)
        if not hasattr(kind.select_client, _NOTES):
            _replace(stack, kind, "select_client", _noting(kind.select_client))
        return original(owner, *args, **kwargs)

    return named


def _noting(select: Method) -> Method:
    @functools.wraps(select)
    def noted(owner: Any, *args: Any, **kwargs: Any) -> Any:
        client = select(owner, *args, **kwargs)
        running = selection.get()
        if running is not None and not running.binding:
            running.binding = binding_name(getattr(client, "protocol", ""))
        return client

    setattr(noted, _NOTES, True)
    return noted


def _marking(render_get: Method) -> Method:
    """`render_get`, which marks what it reads for an observation: CoAP renders notifications as reads."""

    @functools.wraps(render_get)
    async def marked(resource: Any, request: Any) -> Any:
        if request.opt.observe != 0:
            return await render_get(resource, request)
        notifying.set(True)
        try:
            return await render_get(resource, request)
        finally:
            notifying.set(False)

    return marked


class _Views:
    """Measured views of ExposedThings, of one class for each class of Thing and binding."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._kinds: dict[tuple[type, str], type] = {}

    def adding(self, add_exposed_thing: Method) -> Method:
        """`add_exposed_thing`, which gives the server a view."""

        @functools.wraps(add_exposed_thing)
        def added(server: Any, exposed_thing: Any) -> Any:
            return add_exposed_thing(server, self._view(exposed_thing, binding_name(server.protocol)))

        return added

    def _view(self, thing: Any, binding: str) -> Any:
        key = type(thing), binding
        if key not in self._kinds:
            self._kinds[key] = self._kind(*key)
        view: Any = object.__new__(self._kinds[key])
        object.__setattr__(view, "__dict__", thing.__dict__)
        return view

    def _kind(self, base: type, binding: str) -> type:
        side = ProducerSide(binding)
        methods: dict[str, Any] = {
            name: self._meter.request(side, operation, getattr(base, name))
            for name, operation in SERVED_REQUESTS.items()
        }
        if binding not in POLLING_BINDINGS:
            methods |= {
                name: self._meter.subscription(side, operation, getattr(base, name))
                for name, operation in SUBSCRIPTIONS.items()
            }
        return type(base.__name__, (base,), methods)
