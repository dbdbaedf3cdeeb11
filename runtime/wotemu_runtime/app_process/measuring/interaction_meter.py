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

from wotemu.records import CANCELLED, FAILED, OK, Interaction
from wotemu_runtime.app_process.measuring import deadlines
from wotemu_runtime.app_process.measuring.operations import Operation
from wotemu_runtime.app_process.measuring.payload_size import item_size, request_size
from wotemu_runtime.app_process.measuring.sides import (
    ChosenBinding,
    RefusingSide,
    ServedRequest,
    Side,
    served_request,
)

MAX_ERROR = 300
"""Characters of an error's type and message that are recorded."""

_BAD_REQUEST = 400
"""HTTP statuses from here on are errors."""

Sink = Callable[[Interaction], None]
"""Takes a record. It must not raise: measuring must not change what the app sees."""

Method = Callable[..., Any]


@attrs.frozen
class Meter:
    """Records the operations of one replica (`node`); each record goes to `sink`."""

    node: str
    sink: Sink

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

    def refusals(self, binding: str, operation: Operation, original: Method) -> Method:
        """Wrap an HTTP handler's coroutine method, to record requests that it refuses itself."""

        @functools.wraps(original)
        async def handled(handler: Any, thing_name: str, name: str) -> Any:
            request = ServedRequest()
            served_request.set(request)
            refused = _RunningOperation(self, RefusingSide(binding, thing_name), handler, operation, name)
            try:
                result = await original(handler, thing_name, name)
            except BaseException as error:
                if not request.has_reached_thing:
                    refused.request(None, error)
                raise
            # Handlers also refuse by a status alone, without raising.
            if not request.has_reached_thing and handler.get_status() >= _BAD_REQUEST:
                refused.request(None, PermissionError(f"HTTP status {handler.get_status()}"))
            return result

        return handled

    def subscription(self, side: Side, operation: Operation, original: Method) -> Method:
        """Wrap a method that returns an Observable of the affordance that its first argument names."""

        @functools.wraps(original)
        def measured(owner: Any, *args: Any, **kwargs: Any) -> Any:
            def begin() -> _RunningOperation:
                return _RunningOperation(self, side, owner, operation, name, binding)

            name, _ = _arguments(args, kwargs)
            # The client is chosen here, before anything is subscribed to; each subscription shares it.
            binding = side.begin()
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
    return FAILED, f"{type(error).__name__}: {error}".removesuffix(": ")[:MAX_ERROR]


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
        binding: ChosenBinding | None = None,
    ) -> None:
        self._meter = meter
        self._role = side.role
        self._thing = side.thing(owner)
        self._operation = operation
        self._name = str(name)
        self._binding = binding or side.begin()
        self._has_ended = False
        self._cancellations = _pending_cancellations()
        self._t = time.monotonic()
        self._start = time.perf_counter()

    def request(self, size: int | None, error: BaseException | None = None) -> None:
        """Record a request that has ended, at the time when it began."""
        duration = time.perf_counter() - self._start
        self.record("request", t=self._t, duration=duration, size=size, error=error)

    def end(self, error: BaseException | None = None) -> None:
        """Record the end of a subscription, once: an unsubscription may follow an error or the completion."""
        if not self._has_ended:
            self._has_ended = True
            self.record("end", duration=time.perf_counter() - self._start, error=error)

    def record(
        self,
        stage: str,
        *,
        t: float | None = None,
        duration: float | None = None,
        size: int | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Make one record; `t` is by default now."""
        status, text = outcome(error, was_cancelled=_pending_cancellations() > self._cancellations)
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
                binding=self._binding.name,
                duration=duration,
                bytes=size,
                status=status,
                error=text,
            )
        )


def _measured_source(source: Observable[Any], begin: Callable[[], _RunningOperation]) -> Observable[Any]:
    """The same observable; each subscription to it is recorded from its beginning to its end."""

    def subscribe(observer: Any, scheduler: Any = None) -> Disposable:
        running = begin()
        running.record("subscribe")

        def on_next(item: Any) -> None:
            running.record("next", size=item_size(item))
            observer.on_next(item)

        def on_error(error: Exception) -> None:
            running.end(error)
            observer.on_error(error)

        def on_completed() -> None:
            running.end()
            observer.on_completed()

        inner = source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)

        def dispose() -> None:
            inner.dispose()
            running.end()

        return Disposable(dispose)

    return Observable(subscribe)
