"""The two sides of an operation, consumer and producer: each finds the facts of an operation its own way."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Protocol

import attrs

from wotemu.records import APP, LIBRARY, Interaction


@attrs.define
class Exchange:
    """What is learned of one operation's messages while it runs."""

    binding: str = ""
    """"" until the servient has chosen a client."""
    peer: str = ""
    """Address or host name of the other end of the connection."""
    code: str = ""
    """HTTP status or CoAP code of the last answer."""
    is_repeated: bool = False
    """The last message is the same object as the one before: the library delivers it once more."""
    is_poll: bool = False
    """A subscription that the client's library makes anew for each item."""
    last_message: Any = attrs.field(default=None, repr=False)

    def another(self) -> Exchange:
        """A further subscription over the same binding."""
        return Exchange(self.binding, self.peer, is_poll=self.is_poll)

    def origin(self, stage: str) -> str:
        """Whose doing a record of this stage is."""
        if stage == "next":
            return LIBRARY if self.is_repeated else APP
        return LIBRARY if self.is_poll else APP


running_operation: ContextVar[Exchange | None] = ContextVar("wotemu_running_operation", default=None)
"""The operation that runs in this context; hooks of the clients' libraries fill it."""

is_notifying: ContextVar[bool] = ContextVar("wotemu_is_notifying", default=False)
"""True where a server is about to read a property only to render a notification, which is no operation."""


@attrs.define
class ServedRequest:
    """A request that a server received; once it has reached a Thing, the Thing's method measures it.

    Its records wait here until the server has answered, since they have the answer's status.
    """

    peer: str = ""
    code: str = ""
    error: BaseException | None = None
    """Why the server refused it."""
    is_poll: bool = False
    has_reached_thing: bool = False
    waiting: list[Interaction] = attrs.field(factory=list)


served_request: ContextVar[ServedRequest | None] = ContextVar("wotemu_served_request", default=None)
"""The request that this context serves."""


class Side(Protocol):
    """How to find the facts of a consumer's or of a producer's operations."""

    @property
    def role(self) -> str:
        """``consumer`` or ``producer``."""

    def ignores(self) -> bool:
        """Whether the request that begins is WoTPy's own and must not be recorded. Call it once a request."""

    def begin(self) -> Exchange:
        """Begin an operation. Its binding has a name at the latest when the operation ends."""

    def thing(self, owner: Any) -> str:
        """The id of the Thing whose method was called."""


class ConsumerSide:
    """Operations of a ConsumedThing; the servient chooses each one's binding while it runs."""

    role = "consumer"

    def ignores(self) -> bool:
        """Never: every request of a ConsumedThing is the app's."""
        return False

    def begin(self) -> Exchange:
        """An exchange that the choice of a client in this context will name the binding of."""
        exchange = Exchange()
        running_operation.set(exchange)
        return exchange

    def thing(self, owner: Any) -> str:
        """The id in the Thing Description that was consumed."""
        return thing_id(owner.td.to_thing_fragment())


class ProducerSide:
    """Operations that one server passes to an ExposedThing."""

    role = "producer"

    def __init__(self, binding: str) -> None:
        self._binding = binding

    def ignores(self) -> bool:
        """True for the first request after `is_notifying` was set; requests that it leads to are recorded."""
        ignored = is_notifying.get()
        if ignored:
            is_notifying.set(False)
        return ignored

    def begin(self) -> Exchange:
        """The server's binding. The request has reached a Thing."""
        request = served_request.get()
        if request is None:
            return Exchange(self._binding)
        request.has_reached_thing = True
        return Exchange(self._binding, request.peer, is_poll=request.is_poll)

    def thing(self, owner: Any) -> str:
        """The exposed Thing's id."""
        # `owner.id` would build the whole Thing Description, about ten milliseconds.
        return thing_id(owner.thing._thing_fragment)


class RefusingSide:
    """Requests that a server refuses itself. Their Thing is the one that the request names, if it exists."""

    role = "producer"

    def __init__(self, binding: str, thing: str, request: ServedRequest) -> None:
        self._exchange = Exchange(binding, request.peer, request.code)
        self._thing = thing

    def ignores(self) -> bool:
        """Never: only clients send what is refused."""
        return False

    def begin(self) -> Exchange:
        """The server's binding and answer."""
        return self._exchange

    def thing(self, owner: Any) -> str:
        """The id of the Thing with this name in the owner's server; the name itself where there is none."""
        try:
            return thing_id(owner._server.get_exposed_thing(self._thing).thing._thing_fragment)
        except (AttributeError, ValueError):
            return self._thing


def thing_id(fragment: Any) -> str:
    """The Thing's id, else its title."""
    return str(getattr(fragment, "id", None) or getattr(fragment, "title", None) or "")
