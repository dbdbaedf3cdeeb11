"""Wraps methods of WoTPy so that each call is recorded as interactions.

Results and exceptions pass through unchanged. `wotpy_hooks` decides which methods are wrapped.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable
from typing import Any

import attrs
from reactivex import Observable
from reactivex.disposable import Disposable

from wotemu.records import CANCELLED, FAILED, OK, Interaction, Record
from wotemu_runtime.app_process.measuring import deadlines
from wotemu_runtime.app_process.measuring.operations import Operation
from wotemu_runtime.app_process.measuring.payload_size import Measured, item_measured, request_size
from wotemu_runtime.app_process.measuring.peers import Peers
from wotemu_runtime.app_process.measuring.sides import (
    Exchange,
    ServedRequest,
    Side,
    running_operation,
    served_request,
)
from wotemu_runtime.app_process.messages import Claim, ClaimKind
from wotemu_runtime.app_process.redaction import redacted

MAX_ERROR = 300
"""Characters of an error's type and message that are recorded."""

Sink = Callable[[Record], None]
"""Takes a record. It must not raise: measuring must not change what the app sees."""

Announce = Callable[[Claim], None]
"""Takes what is to be known of a socket; it must not raise, either."""

Method = Callable[..., Any]

Refusal = Callable[[Side, Any, Operation, str, BaseException], None]


@attrs.frozen
class Meter:
    """Records the operations of one replica (`node`).

    Each record goes to `sink`, and to `announce` the sockets that the operations use.
    """

    node: str
    sink: Sink
    announce: Announce = lambda _claim: None
    peers: Peers = attrs.field(default=attrs.Factory(lambda meter: Peers(meter.node), takes_self=True))

    def request(self, side: Side, operation: Operation, original: Method) -> Method:
        """Wrap a coroutine method whose first argument is the affordance's name."""

        @functools.wraps(original)
        async def measured(owner: Any, *args: Any, **kwargs: Any) -> Any:
            if side.ignores():
                return await original(owner, *args, **kwargs)
            name, sent = _arguments(args, kwargs)
            running = _RunningOperation(self, side, owner, operation, name)
            try:
                result = await original(owner, *args, **kwargs)
            except BaseException as error:
                running.request(request_size(operation, sent, None, answered=False), error)
                raise
            running.request(request_size(operation, sent, result, answered=True))
            return result

        return measured

    def refusal(self) -> Refusal:
        """Begin to time a request that a server may refuse; call what is returned if it has.

        It takes the side, the object of the server, the operation, the name of the affordance and the error.
        """
        t, start = time.monotonic(), time.perf_counter()

        def refused(side: Side, owner: Any, operation: Operation, name: str, error: BaseException) -> None:
            running = _RunningOperation(self, side, owner, operation, name)
            duration = time.perf_counter() - start
            self.sink(running.row("request", t=t, duration=duration, error=error))

        return refused

    def claim(self, kind: ClaimKind, port: int) -> None:
        """Announce that the requests of a socket are recorded here; see `Claim`."""
        self.announce(Claim(kind, port, time.monotonic()))

    def answered(self, request: ServedRequest) -> None:
        """Record what has waited for the answer to a request."""
        for row in request.waiting:
            self.sink(attrs.evolve(row, code=request.code))
        request.waiting.clear()

    def subscription(self, side: Side, operation: Operation, original: Method) -> Method:
        """Wrap a method that returns an Observable of the affordance that its first argument names."""

        @functools.wraps(original)
        def measured(owner: Any, *args: Any, **kwargs: Any) -> Any:
            def begin() -> _RunningOperation:
                return _RunningOperation(self, side, owner, operation, name, exchange.another())

            name, _ = _arguments(args, kwargs)
            # The client is chosen here, before anything is subscribed to; each subscription shares it.
            exchange = side.begin()
            try:
                source = original(owner, *args, **kwargs)
            except BaseException as error:
                begin().record("subscribe", error=error)
                raise
            return _measured_source(source, begin) if isinstance(source, Observable) else source

        return measured


def outcome(error: BaseException | None, *, was_cancelled: bool = False) -> tuple[str, str]:
    """A record's `status` and `error`.

    Args:
        error: what the operation raised, if it did.
        was_cancelled: its task was cancelled meanwhile, which some libraries turn into errors of their own.
    """
    if error is None:
        return OK, ""
    if was_cancelled or isinstance(error, asyncio.CancelledError):
        return (FAILED, "timeout") if deadlines.expired() else (CANCELLED, CANCELLED)
    return FAILED, redacted(f"{type(error).__name__}: {error}".removesuffix(": "))[:MAX_ERROR]


def _arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The affordance's name and what is sent to it, whether they were passed by position or by name."""
    name = args[0] if args else kwargs.get("name", "")
    if len(args) > 1:
        return name, args[1]
    return name, kwargs.get("value", kwargs.get("input_value"))


def _pending_cancellations() -> int:
    """How often the running task was cancelled without having ended."""
    try:
        task = asyncio.current_task()
    except RuntimeError:  # a thread without a loop
        return 0
    return 0 if task is None else task.cancelling()


class _RunningOperation:
    """What is known of one operation since it began; makes its records."""

    def __init__(
        self,
        meter: Meter,
        side: Side,
        owner: Any,
        operation: Operation,
        name: Any,
        exchange: Exchange | None = None,
    ) -> None:
        self._meter = meter
        self._role = side.role
        self._thing = side.thing(owner)
        self._operation = operation
        self._name = str(name)
        self.exchange = exchange or side.begin()
        self._has_ended = False
        self._cancellations = _pending_cancellations()
        self._t = time.monotonic()
        self._start = time.perf_counter()

    def request(self, size: int | None, error: BaseException | None = None) -> None:
        """Record a request that has ended, at the time when it began."""
        duration = time.perf_counter() - self._start
        row = self.row("request", t=self._t, duration=duration, size=size, error=error)
        serving = served_request.get() if self._role == "producer" else None
        if serving is None:
            self._meter.sink(row)
        else:
            serving.waiting.append(row)

    def end(self, error: BaseException | None = None) -> None:
        """Record the end of a subscription, once: an unsubscription may follow an error or the completion."""
        if not self._has_ended:
            self._has_ended = True
            self.record("end", duration=time.perf_counter() - self._start, error=error)

    def record(
        self,
        stage: str,
        *,
        duration: float | None = None,
        measured: Measured = (None, None),
        error: BaseException | None = None,
    ) -> None:
        """Record a stage of a subscription that is reached now."""
        size, digest = measured
        self._meter.sink(self.row(stage, duration=duration, size=size, digest=digest, error=error))

    def row(
        self,
        stage: str,
        *,
        t: float | None = None,
        duration: float | None = None,
        size: int | None = None,
        digest: int | None = None,
        error: BaseException | None = None,
    ) -> Interaction:
        """Make one record; `t` is by default now."""
        status, text = outcome(error, was_cancelled=_pending_cancellations() > self._cancellations)
        exchange = self.exchange
        return Interaction(
            t=time.monotonic() if t is None else t,
            node=self._meter.node,
            role=self._role,
            thing=self._thing,
            affordance=self._operation.affordance,
            name=self._name,
            op=self._operation.op,
            stage=stage,
            binding=exchange.binding,
            duration=duration,
            bytes=size,
            status=status,
            error=text,
            code=exchange.code,
            peer=exchange.peer and self._meter.peers.name(exchange.peer),
            origin=exchange.origin(stage),
            digest=digest,
        )


def _measured_source(source: Observable[Any], begin: Callable[[], _RunningOperation]) -> Observable[Any]:
    """The same observable; each subscription to it is recorded from its beginning to its end."""

    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        running = begin()
        running.record("subscribe")

        def on_next(item: Any) -> None:
            running.record("next", measured=item_measured(item))
            observer.on_next(item)

        def on_error(error: Exception) -> None:
            running.end(error)
            observer.on_error(error)

        def on_completed() -> None:
            running.end()
            observer.on_completed()

        outer = running_operation.set(running.exchange)  # the client's tasks get this context
        try:
            inner = source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)
        finally:
            running_operation.reset(outer)

        def dispose() -> None:
            inner.dispose()
            running.end()

        return Disposable(dispose)

    return Observable(subscribe)
