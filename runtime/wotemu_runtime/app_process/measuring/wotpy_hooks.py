"""Replaces methods of WoTPy's classes by measured ones, so that apps need no change.

Consumer: the operations of ConsumedThing. The binding is that of the client which the servient chooses.
Producer: each server gets a view of the ExposedThing, which shares all its state. So calls of the app's own
on its Thing are not recorded, and the server's binding is known.

`client_hooks` and `server_hooks` add who was at the other end and the status of the answer, and record what
servers refuse before it reaches a Thing; `emissions` records what a Thing emits; `socket_claims` announces
the sockets whose requests are recorded so.

WoTPy's own traffic is left out where it can be recognised: the subscriptions by which its MQTT and Zenoh
servers learn of changes, and the reads by which its CoAP server renders notifications.
"""

from __future__ import annotations

import functools
from contextlib import ExitStack
from typing import Any

from wotpy.protocols.server import BaseProtocolServer
from wotpy.wot.consumed.thing import ConsumedThing
from wotpy.wot.servient import Servient

from wotemu_runtime.app_process.measuring.client_hooks import install_client_hooks
from wotemu_runtime.app_process.measuring.deadlines import watch_deadlines
from wotemu_runtime.app_process.measuring.emissions import install_emission_hooks
from wotemu_runtime.app_process.measuring.interaction_meter import Meter, Method
from wotemu_runtime.app_process.measuring.operations import INVOKE, OBSERVE, READ, SUBSCRIBE, WRITE
from wotemu_runtime.app_process.measuring.patching import replace
from wotemu_runtime.app_process.measuring.server_hooks import install_server_hooks
from wotemu_runtime.app_process.measuring.sides import ConsumerSide, ProducerSide, running_operation
from wotemu_runtime.app_process.measuring.socket_claims import install_socket_claims

BINDINGS = {"WEBSOCKETS": "ws"}
"""Our names of bindings, where they are not WoTPy's in lower case."""

POLLING_BINDINGS = frozenset({"mqtt", "zenoh"})
"""Bindings whose servers subscribe to their own Things, once for all clients."""

CONSUMED_REQUESTS = {"read_property": READ, "write_property": WRITE, "invoke_action": INVOKE}
SERVED_REQUESTS = {"read_property": READ, "handle_write_property": WRITE, "invoke_action": INVOKE}
SUBSCRIPTIONS = {"on_property_change": OBSERVE, "on_event": SUBSCRIBE}


def binding_name(protocol: Any) -> str:
    """``http``, ``ws``, ``coap``, ``mqtt`` or ``zenoh``, by WoTPy's name of the protocol."""
    return BINDINGS.get(str(protocol), str(protocol).lower())


def install(meter: Meter) -> ExitStack:
    """Measure every operation until the returned stack is closed. One meter at a time can be installed.

    Raises:
        ImportError, AttributeError: this version of WoTPy has not what is measured; nothing is replaced.
    """
    with watch_deadlines() as stack:
        _install(meter, stack)
        return stack.pop_all()


def _install(meter: Meter, stack: ExitStack) -> None:
    side = ConsumerSide()
    for name, operation in CONSUMED_REQUESTS.items():
        original = _hooking_choice(stack, getattr(ConsumedThing, name))
        replace(stack, ConsumedThing, name, meter.request(side, operation, original))
    for name, operation in SUBSCRIPTIONS.items():
        original = _hooking_choice(stack, getattr(ConsumedThing, name))
        replace(stack, ConsumedThing, name, meter.subscription(side, operation, original))
    replace(stack, Servient, "select_client", _noting_choice(Servient.select_client))
    install_client_hooks(stack)
    install_server_hooks(stack, meter)
    install_socket_claims(stack, meter)
    install_emission_hooks(stack, meter)
    add = _Views(meter).adding(BaseProtocolServer.add_exposed_thing)
    replace(stack, BaseProtocolServer, "add_exposed_thing", add)


_NOTES = "__wotemu_notes__"


def _hooking_choice(stack: ExitStack, original: Method) -> Method:
    """Wrap an operation to hook the ``select_client`` of its servient's class first.

    A servient class of the app's own may override it, without a call of `Servient.select_client`.
    """

    @functools.wraps(original)
    def with_hook(owner: Any, *args: Any, **kwargs: Any) -> Any:
        kind = type(owner.servient)
        if not hasattr(kind.select_client, _NOTES):
            replace(stack, kind, "select_client", _noting_choice(kind.select_client))
        return original(owner, *args, **kwargs)

    return with_hook


def _noting_choice(select: Method) -> Method:
    """Wrap ``select_client`` to name the binding of the operation that runs."""

    @functools.wraps(select)
    def noted(owner: Any, *args: Any, **kwargs: Any) -> Any:
        client = select(owner, *args, **kwargs)
        running = running_operation.get()
        if running is not None and not running.binding:
            running.binding = binding_name(getattr(client, "protocol", ""))
        return client

    setattr(noted, _NOTES, True)
    return noted


class _Views:
    """Makes measured views of ExposedThings; all of one Thing class and binding share a view class."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._kinds: dict[tuple[type, str], type] = {}

    def adding(self, add_exposed_thing: Method) -> Method:
        """Wrap ``add_exposed_thing`` to give the server a view instead of the Thing."""

        @functools.wraps(add_exposed_thing)
        def added(server: Any, exposed_thing: Any) -> Any:
            return add_exposed_thing(server, self._view(exposed_thing, binding_name(server.protocol)))

        return added

    def _view(self, thing: Any, binding: str) -> Any:
        key = type(thing), binding
        if key not in self._kinds:
            self._kinds[key] = self._kind(*key)
        view: Any = object.__new__(self._kinds[key])
        # The same dict, so that the view and the Thing are one in all but their methods.
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
