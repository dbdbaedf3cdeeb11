"""Measures WoT operations: wraps a method of WoTPy's so that each call of it leaves its records.

What the app sees does not change: results and exceptions pass through as they are. Where the wrappers
are hung is `instrumentation`'s business.
"""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol

import attrs
from reactivex import Observable
from reactivex.disposable import Disposable

from wotemu.records import CANCELLED, FAILED, OK, Interaction
from wotemu_runtime.app_process.measuring import deadlines

MAX_ERROR = 300
"""Characters of an error's type and message that a record keeps."""

_BAD_REQUEST = 400
"""HTTP statuses from here on are errors."""

Sink = Callable[[Interaction], None]
"""Takes a record. It must not raise: an app is never to feel that it is measured."""

Method = Callable[..., Any]


@attrs.frozen
class Operation:
    """What one of WoTPy's methods does, in the field's words."""

    affordance: str
    op: str


READ = Operation("property", "readproperty")
WRITE = Operation("property", "writeproperty")
OBSERVE = Operation("property", "observeproperty")
INVOKE = Operation("action", "invokeaction")
SUBSCRIBE = Operation("event", "subscribeevent")


@attrs.define
class Selection:
    """The binding that one running operation goes over; "" until its client was chosen."""

    binding: str = ""


selection: ContextVar[Selection | None] = ContextVar("wotemu_selection", default=None)
"""The operation that runs in this context, for whoever learns which client it chose."""

notifying: ContextVar[bool] = ContextVar("wotemu_notifying", default=False)
"""True where a server is about to read a property only to render a notification: nobody's operation."""


@attrs.define
class Arrival:
    """A request that came to a server; whether it has reached a Thing, and so has a record."""

    has_reached: bool = False


arrival: ContextVar[Arrival | None] = ContextVar("wotemu_arrival", default=None)
"""The request that this context serves, for servers that may refuse one before it reaches a Thing."""


class Side(Protocol):
    """How to tell the facts of a consumer's or of a producer's operations."""

    @property
    def role(self) -> str:
        """``consumer`` or ``producer``."""

    def ignores(self) -> bool:
        """Called once before each request: is it WoTPy's own, of which there is to be no record?"""

    def begin(self) -> Selection:
        """Called as an operation begins; names its binding at the latest when the operation has ended."""

    def thing(self, owner: Any) -> str:
        """The id of the Thing whose method was called."""


class ConsumerSide:
    """Operations of a ConsumedThing; each one's binding is the servient's choice while it runs."""

    role = "consumer"

    def ignores(self) -> bool:
        """Never: what a ConsumedThing is asked for is the app's wish."""
        return False

    def begin(self) -> Selection:
        """A selection that this context's choice of a client fills in."""
        chosen = Selection()
        selection.set(chosen)
        return chosen

    def thing(self, owner: Any) -> str:
        """The id in the Thing Description that was consumed."""
        return _thing_id(owner.td.to_thing_fragment())


class ProducerSide:
    """Operations that one server passes to an ExposedThing."""

    role = "producer"

    def __init__(self, binding: str) -> None:
        self._selection = Selection(binding)

    def ignores(self) -> bool:
        """The first request after `notifying` was set; what it leads to elsewhere counts again."""
        ignored = notifying.get()
        if ignored:
            notifying.set(False)
        return ignored

    def begin(self) -> Selection:
        """Always the server's binding; what it serves has reached a Thing."""
        if (served := arrival.get()) is not None:
            served.has_reached = True
        return self._selection

    def thing(self, owner: Any) -> str:
        """The exposed Thing's id, without building its description as ``owner.id`` does."""
        return _thing_id(owner.thing._thing_fragment)


class _RefusedSide:
    """A request that a server refuses: the Thing is what its URL names, which there may not be."""

    role = "producer"

    def __init__(self, binding: str, thing: str) -> None:
        self._selection = Selection(binding)
        self._thing = thing

    def ignores(self) -> bool:
        return False

    def begin(self) -> Selection:
        return self._selection

    def thing(self, owner: Any) -> str:
        """The id of the Thing of this name, else the name."""
        try:
            return _thing_id(owner._server.get_exposed_thing(self._thing).thing._thing_fragment)
        except ValueError:
            return self._thing


def _thing_id(fragment: Any) -> str:
    return str(getattr(fragment, "id", None) or getattr(fragment, "title", None) or "")


def json_size(value: Any) -> int | None:
    """Bytes of the value as WoTPy writes it, as ASCII JSON; None where it can't be JSON."""
    try:
        return len(json.dumps(value))
    except (TypeError, ValueError, RecursionError):
        return None


def item_size(item: Any) -> int | None:
    """Bytes of what a subscription delivered: an event's payload, or a property's new value."""
    data = getattr(item, "data", item)
    return json_size(data.value if hasattr(data, "name") and hasattr(data, "value") else data)


def outcome(error: BaseException | None, *, was_cancelled: bool = False) -> tuple[str, str]:
    """A record's `status` and `error` for what an operation raised, if it did.

    `was_cancelled`: its task was told to end meanwhile, which some libraries answer with errors of their own.
    """
    if error is None:
        return OK, ""
    if was_cancelled or isinstance(error, asyncio.CancelledError):
        return (FAILED, "timeout") if deadlines.expired() else (CANCELLED, CANCELLED)
    return FAILED, f"{type(error).__name__}: {error}".removesuffix(": ")[:MAX_ERROR]


def request_size(operation: Operation, sent: Any, result: Any, *, answered: bool) -> int | None:
    """Bytes of a read's value, of a written value, or of an action's input and output where it has them."""
    if operation is READ:
        return json_size(result) if answered else None
    if operation is WRITE:
        return json_size(sent)
    sizes = [json_size(part) for part in (sent, result) if part is not None]
    return None if None in sizes else sum(filter(None, sizes))


@attrs.frozen
class Meter:
    """Builds the records of one replica (`node`) and hands each to `sink`."""

    node: str
    sink: Sink

    def request(self, side: Side, operation: Operation, original: Method) -> Method:
        """`original`, a coroutine method whose first argument names the affordance, measured."""

        @functools.wraps(original)
        async def measured(owner: Any, *args: Any, **kwargs: Any) -> Any:
            if side.ignores():
                return await original(owner, *args, **kwargs)
            name, sent = _arguments(args, kwargs)
            note = _Note(self, side, owner, operation, name)
            try:
                result = await original(owner, *args, **kwargs)
            except BaseException as error:
                note.request(request_size(operation, sent, None, answered=False), error)
                raise
            note.request(request_size(operation, sent, result, answered=True))
            return result

        return measured

    def refusals(self, binding: str, operation: Operation, original: Method) -> Method:
        """`original`, an HTTP handler's coroutine method; what it refuses itself leaves a record, too."""

        @functools.wraps(original)
        async def handled(handler: Any, thing_name: str, name: str) -> Any:
            served = Arrival()
            arrival.set(served)
            refused = _Note(self, _RefusedSide(binding, thing_name), handler, operation, name)
            try:
                result = await original(handler, thing_name, name)
            except BaseException as error:
                if not served.has_reached:
                    refused.request(None, error)
                raise
            if not served.has_reached and handler.get_status() >= _BAD_REQUEST:
                refused.request(None, PermissionError(f"HTTP status {handler.get_status()}"))
            return result

        return handled

    def subscription(self, side: Side, operation: Operation, original: Method) -> Method:
        """`original`, a method that returns an Observable of the affordance it names, measured."""

        @functools.wraps(original)
        def measured(owner: Any, *args: Any, **kwargs: Any) -> Any:
            def note() -> _Note:
                return _Note(self, side, owner, operation, name, chosen)

            name, _ = _arguments(args, kwargs)
            chosen = side.begin()
            try:
                source = original(owner, *args, **kwargs)
            except BaseException as error:
                note().stage("subscribe", error=error)
                raise
            return _measured_source(source, note) if isinstance(source, Observable) else source

        return measured


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The affordance's name and what is sent to it, however they were passed."""
    name = args[0] if args else kwargs.get("name", "")
    if len(args) > 1:
        return name, args[1]
    return name, kwargs.get("value", kwargs.get("input_value"))


def _cancellations() -> int:
    """How often the running task was told to end, and has not ended."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # a thread without a loop
        return 0
    return 0 if task is None else task.cancelling()


class _Note:
    """What is known of one operation since it began."""

    def __init__(
        self,
        meter: Meter,
        side: Side,
        owner: Any,
        operation: Operation,
        name: Any,
        chosen: Selection | None = None,
    ) -> None:
        self._meter = meter
        self._role = side.role
        self._thing = side.thing(owner)
        self._operation = operation
        self._name = str(name)
        self._chosen = chosen or side.begin()
        self._ended = False
        self._cancellations = _cancellations()
        self._t = time.monotonic()
        self._start = time.perf_counter()

    def request(self, size: int | None, error: BaseException | None = None) -> None:
        """The request is over; its record says when it began."""
        duration = time.perf_counter() - self._start
        self.stage("request", t=self._t, duration=duration, size=size, error=error)

    def end(self, error: BaseException | None = None) -> None:
        """The subscription is over; of several calls only the first counts."""
        if not self._ended:
            self._ended = True
            self.stage("end", duration=time.perf_counter() - self._start, error=error)

    def stage(
        self,
        stage: str,
        *,
        t: float | None = None,
        duration: float | None = None,
        size: int | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Hand out one record, of now where no `t` is given."""
        status, text = outcome(error, was_cancelled=_cancellations() > self._cancellations)
        self._meter.sink(
            Interaction(
                t=time.monotonic() if t is None else t,
                node=self._meter.node,
                role=self._role,
                thing=self._thing,
                affordance=self._operation.affordance,
                name=self._name,
                op=self._operation.op,
                stage=stage,
                binding=self._chosen.binding,
                duration=duration,
                bytes=size,
                status=status,
                error=text,
            )
        )


def _measured_source(source: Observable[Any], note: Callable[[], _Note]) -> Observable[Any]:
    """The same observable, whose every subscription is measured from its beginning to its one end."""

    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        life = note()
        life.stage("subscribe")

        def on_next(item: Any) -> None:
            life.stage("next", size=item_size(item))
            observer.on_next(item)

        def on_error(error: Exception) -> None:
            life.end(error)
            observer.on_error(error)

        def on_completed() -> None:
            life.end()
            observer.on_completed()

        inner = source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)

        def dispose() -> None:
            inner.dispose()
            life.end()

        return Disposable(dispose)

    return Observable(subscribe)
