"""Learns from WoTPy's servers who asks and what they answer, and records what they refuse themselves.

A request that never reaches a Thing (an unknown Thing, a wrong method, a body that is no JSON) is recorded
as a failed request at the producer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from tornado.web import RequestHandler
from wotpy.protocols.coap.resources.action import ActionResource
from wotpy.protocols.coap.resources.event import EventResource
from wotpy.protocols.coap.resources.property import PropertyResource
from wotpy.protocols.coap.resources.utils import parse_request_opt_query
from wotpy.protocols.http.handlers.action import ActionInvokeHandler
from wotpy.protocols.http.handlers.base import BaseHandler
from wotpy.protocols.http.handlers.event import EventObserverHandler
from wotpy.protocols.http.handlers.property import PropertyObserverHandler
from wotpy.protocols.http.server import HTTPServer
from wotpy.protocols.ws.enums import WebsocketMethods
from wotpy.protocols.ws.handler import WebsocketHandler

from wotemu_runtime.app_process.measuring.client_hooks import coap_peer
from wotemu_runtime.app_process.measuring.interaction_meter import Meter, Method
from wotemu_runtime.app_process.measuring.operations import (
    INVOKE,
    OBSERVE,
    READ,
    SUBSCRIBE,
    UNKNOWN,
    WRITE,
    Operation,
)
from wotemu_runtime.app_process.measuring.patching import replace
from wotemu_runtime.app_process.measuring.sides import (
    RefusingSide,
    ServedRequest,
    is_notifying,
    served_request,
)

MAX_PATH = 100
"""Characters of an unknown path that are recorded."""

_MAX_POLLS = 4096
_BAD_REQUEST = 400
"""HTTP statuses from here on are errors."""
_READING = ("GET", "HEAD", "OPTIONS")
_COAP_INTERNAL_ERROR = "5.00"
_WS_OPERATIONS = {
    WebsocketMethods.READ_PROPERTY: READ,
    WebsocketMethods.WRITE_PROPERTY: WRITE,
    WebsocketMethods.INVOKE_ACTION: INVOKE,
    WebsocketMethods.ON_PROPERTY_CHANGE: OBSERVE,
    WebsocketMethods.ON_EVENT: SUBSCRIBE,
}
_WOTPY_APP = "wotemu_is_wotpys"


def install_server_hooks(stack: ExitStack, meter: Meter) -> None:
    """Hook the HTTP, WebSocket and CoAP servers until the stack is closed."""
    replace(stack, HTTPServer, "_build_app", _marking(HTTPServer._build_app))
    replace(stack, RequestHandler, "_execute", _Http(meter).executing(RequestHandler._execute))
    refusing = _noting_refusal(RequestHandler._handle_request_exception)
    replace(stack, RequestHandler, "_handle_request_exception", refusing)
    replace(stack, WebsocketHandler, "_handle", _ws_handling(meter, WebsocketHandler._handle))
    replace(stack, WebsocketHandler, "_write_error", _ws_error(WebsocketHandler._write_error))
    replace(stack, PropertyResource, "render_get", _marking_notifications(PropertyResource.render_get))
    for resource in (PropertyResource, ActionResource, EventResource):
        replace(stack, resource, "render", _coap_rendering(meter, resource.render))
        replace(stack, resource, "add_observation", _coap_observing(resource.add_observation))


def _marking(build: Method) -> Method:
    @functools.wraps(build)
    def built(server: Any) -> Any:
        app = build(server)
        setattr(app, _WOTPY_APP, True)
        return app

    return built


class _Http:
    """Measures the requests of WoTPy's HTTP servers; those of other tornado servers pass by."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._polled: set[tuple[str, str]] = set()
        """Peers and paths of long polls that have been seen."""

    def executing(self, original: Method) -> Method:
        """Wrap the coroutine that handles a whole request."""

        @functools.wraps(original)
        async def executed(handler: Any, *args: Any, **kwargs: Any) -> None:
            if not isinstance(handler, BaseHandler) and not hasattr(handler.application, _WOTPY_APP):
                await original(handler, *args, **kwargs)
                return
            request = ServedRequest(handler.request.remote_ip or "")
            request.is_poll = self._is_repeated_poll(handler)
            served_request.set(request)
            refuse = self._meter.refusal()
            try:
                await original(handler, *args, **kwargs)
            finally:
                status = handler.get_status()
                request.code = str(status) if isinstance(status, int) else ""
                self._meter.answered(request)
                if not request.has_reached_thing and (not request.code or status >= _BAD_REQUEST):
                    thing, name = _http_names(handler)
                    error = request.error or PermissionError(f"HTTP status {status}")
                    refuse(
                        RefusingSide("http", thing, request), handler, _http_operation(handler), name, error
                    )

        return executed

    def _is_repeated_poll(self, handler: Any) -> bool:
        """Whether this client has polled the affordance before: a client's first poll is its subscription."""
        if not isinstance(handler, EventObserverHandler | PropertyObserverHandler):
            return False
        key = handler.request.remote_ip or "", handler.request.path
        if key in self._polled:
            return True
        if len(self._polled) < _MAX_POLLS:
            self._polled.add(key)
        return False


def _http_names(handler: Any) -> tuple[str, str]:
    """The Thing's and the affordance's names in the URL; for an unknown path, no Thing and the path."""
    names = getattr(handler, "path_kwargs", {})
    if "thing_name" in names:
        return names["thing_name"], names["name"]
    return "", str(handler.request.path)[:MAX_PATH]


def _http_operation(handler: Any) -> Operation:
    """What the request was for; one with a wrong method counts as the nearest operation."""
    match handler:
        case EventObserverHandler():
            return SUBSCRIBE
        case PropertyObserverHandler():
            return OBSERVE
        case ActionInvokeHandler():
            return INVOKE
        case BaseHandler():
            return READ if handler.request.method in _READING else WRITE
    return UNKNOWN


def _noting_refusal(original: Method) -> Method:
    @functools.wraps(original)
    def noted(handler: Any, error: BaseException) -> None:
        if (request := served_request.get()) is not None:
            request.error = error
        original(handler, error)

    return noted


def _ws_handling(meter: Meter, original: Method) -> Method:
    @functools.wraps(original)
    async def handled(handler: Any, message: Any) -> None:
        request = ServedRequest(handler.request.remote_ip or "")
        served_request.set(request)
        refuse = meter.refusal()
        try:
            await original(handler, message)
        finally:
            meter.answered(request)
            if request.error is not None and not request.has_reached_thing:
                side = RefusingSide("ws", str(handler._exposed_thing_name), request)
                operation = _WS_OPERATIONS.get(message.method, UNKNOWN)
                name = (message.params or {}).get("name", "") if isinstance(message.params, dict) else ""
                refuse(side, handler, operation, str(name)[:MAX_PATH], request.error)

    return handled


def _ws_error(original: Method) -> Method:
    @functools.wraps(original)
    def written(handler: Any, message: str, code: Any, *args: Any, **kwargs: Any) -> None:
        if (request := served_request.get()) is not None:
            request.code = str(code)
            request.error = ValueError(message)
        original(handler, message, code, *args, **kwargs)

    return written


def _coap_rendering(meter: Meter, original: Method) -> Method:
    @functools.wraps(original)
    async def rendered(resource: Any, message: Any) -> Any:
        request = ServedRequest(coap_peer(message.remote))
        served_request.set(request)
        refuse = meter.refusal()
        try:
            response = await original(resource, message)
        except Exception as error:
            request.code = str(getattr(getattr(error, "code", None), "dotted", _COAP_INTERNAL_ERROR))
            meter.answered(request)
            if not request.has_reached_thing:
                thing, name = _coap_names(message)
                operation = _coap_operation(resource, message)
                refuse(RefusingSide("coap", thing, request), resource, operation, name, error)
            raise
        request.code = str(getattr(response.code, "dotted", ""))
        meter.answered(request)
        return response

    return rendered


def _coap_observing(original: Method) -> Method:
    @functools.wraps(original)
    async def observed(resource: Any, message: Any, observation: Any) -> None:
        served_request.set(ServedRequest(coap_peer(message.remote)))
        await original(resource, message, observation)

    return observed


def _coap_names(message: Any) -> tuple[str, str]:
    query = parse_request_opt_query(message)
    return str(query.get("thing", "")), str(query.get("name", ""))[:MAX_PATH]


def _coap_operation(resource: Any, message: Any) -> Operation:
    match resource:
        case EventResource():
            return SUBSCRIBE
        case ActionResource():
            return INVOKE
    if message.opt.observe == 0:
        return OBSERVE
    return READ if str(message.code) == "GET" else WRITE


def _marking_notifications(render_get: Callable[..., Any]) -> Method:
    """Wrap ``render_get`` to mark reads for an observation: WoTPy renders CoAP notifications as reads."""

    @functools.wraps(render_get)
    async def marked(resource: Any, request: Any) -> Any:
        if request.opt.observe != 0:  # 0 registers an observer (RFC 7641), a plain read has none
            return await render_get(resource, request)
        is_notifying.set(True)
        try:
            return await render_get(resource, request)
        finally:
            is_notifying.set(False)

    return marked
