"""The two sides of an operation, consumer and producer: each finds the binding and the Thing its own way."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Protocol

import attrs


@attrs.define
class ChosenBinding:
    """The binding of one running operation; "" until the servient has chosen a client."""

    name: str = ""


running_operation: ContextVar[ChosenBinding | None] = ContextVar("wotemu_running_operation", default=None)
"""The binding of the operation that runs in this context; the hook of ``select_client`` sets its name."""

is_notifying: ContextVar[bool] = ContextVar("wotemu_is_notifying", default=False)
"""True where a server is about to read a property only to render a notification, which is no operation."""


@attrs.define
class ServedRequest:
    """A request that a server received; once it has reached a Thing, the Thing's method records it."""

    has_reached_thing: bool = False


served_request: ContextVar[ServedRequest | None] = ContextVar("wotemu_served_request", default=None)
"""The request that this context serves, for servers that may refuse one before it reaches a Thing."""


class Side(Protocol):
    """How to find the facts of a consumer's or of a producer's operations."""

    @property
    def role(self) -> str:
        """``consumer`` or ``producer``."""

    def ignores(self) -> bool:
        """Whether the request that begins is WoTPy's own and must not be recorded. Call it once a request."""

    def begin(self) -> ChosenBinding:
        """Begin an operation. Its binding has a name at the latest when the operation ends."""

    def thing(self, owner: Any) -> str:
        """The id of the Thing whose method was called."""


class ConsumerSide:
    """Operations of a ConsumedThing; the servient chooses each one's binding while it runs."""

    role = "consumer"

    def ignores(self) -> bool:
        """Never: every request of a ConsumedThing is the app's."""
        return False

    def begin(self) -> ChosenBinding:
        """A binding that the choice of a client in this context will name."""
        binding = ChosenBinding()
        running_operation.set(binding)
        return binding

    def thing(self, owner: Any) -> str:
        """The id in the Thing Description that was consumed."""
        return _thing_id(owner.td.to_thing_fragment())


class ProducerSide:
    """Operations that one server passes to an ExposedThing."""

    role = "producer"

    def __init__(self, binding: str) -> None:
        self._binding = ChosenBinding(binding)

    def ignores(self) -> bool:
        """True for the first request after `is_notifying` was set; requests that it leads to are recorded."""
        ignored = is_notifying.get()
        if ignored:
            is_notifying.set(False)
        return ignored

    def begin(self) -> ChosenBinding:
        """The server's binding. The request has reached a Thing."""
        if (request := served_request.get()) is not None:
            request.has_reached_thing = True
        return self._binding

    def thing(self, owner: Any) -> str:
        """The exposed Thing's id."""
        # `owner.id` would build the whole Thing Description, about ten milliseconds.
        return _thing_id(owner.thing._thing_fragment)


class RefusingSide:
    """Requests that a server refuses itself. Their Thing is the one that the URL names, if it exists."""

    role = "producer"

    def __init__(self, binding: str, thing: str) -> None:
        self._binding = ChosenBinding(binding)
        self._thing = thing

    def ignores(self) -> bool:
        """Never: only clients send what is refused."""
        return False

    def begin(self) -> ChosenBinding:
        """The server's binding."""
        return self._binding

    def thing(self, owner: Any) -> str:
        """The id of the Thing with this name; the name itself where there is none."""
        try:
            return _thing_id(owner._server.get_exposed_thing(self._thing).thing._thing_fragment)
        except ValueError:
            return self._thing


def _thing_id(fragment: Any) -> str:
    return str(getattr(fragment, "id", None) or getattr(fragment, "title", None) or "")
