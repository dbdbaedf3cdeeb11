"""Distinguishes a request that a deadline of the app cancelled from one that the app gave up.

Both end with the same CancelledError, which only `asyncio.timeout` or `asyncio.wait_for`, further out, turns
into a TimeoutError. So both are patched to record which deadlines enclose the running code.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from asyncio import timeouts
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

import attrs

_EARLY_S = 0.002
"""Seconds by which timers of event loops may fire early."""


@attrs.define(eq=False)
class _Deadline:
    has_expired: Callable[[], bool]
    is_over: bool = False
    """The code under the deadline has ended. Tasks that it started may still have it in their context."""


_around: ContextVar[tuple[_Deadline, ...]] = ContextVar("wotemu_deadlines", default=())
_of_timeout: WeakKeyDictionary[asyncio.Timeout, _Deadline] = WeakKeyDictionary()
_of_task: WeakKeyDictionary[asyncio.Future[Any], _Deadline] = WeakKeyDictionary()
"""Deadlines by task, for tasks that began before `wait_for` was called with them, so in another context."""


def expired() -> bool:
    """Whether a deadline that encloses the running code has expired: then it is what cancelled the code."""
    task = asyncio.current_task()
    own = _of_task.get(task) if task is not None else None
    found = (*_around.get(), own) if own is not None else _around.get()
    return any(deadline.has_expired() for deadline in found if not deadline.is_over)


def watch_deadlines() -> ExitStack:
    """Patch asyncio to record deadlines, until the returned stack is closed."""
    stack = ExitStack()
    _replace(stack, asyncio.Timeout, "__aenter__", _entering(asyncio.Timeout.__aenter__))
    _replace(stack, asyncio.Timeout, "__aexit__", _leaving(asyncio.Timeout.__aexit__))
    original = asyncio.wait_for
    wait_for = _waiting(original)
    # A program that is no NodeApp may have taken the name from asyncio before this is called.
    for module in tuple(sys.modules.values()):
        if getattr(module, "__dict__", {}).get("wait_for") is original:
            _replace(stack, module, "wait_for", wait_for)
    return stack


def _replace(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    stack.callback(setattr, owner, name, getattr(owner, name))
    setattr(owner, name, value)


def _begin(deadline: _Deadline) -> None:
    _around.set((*_around.get(), deadline))


def _end(deadline: _Deadline) -> None:
    deadline.is_over = True
    # not by a token: a generator may enter in one context and leave in another
    _around.set(tuple(each for each in _around.get() if each is not deadline))


def _entering(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def entering(timeout: timeouts.Timeout) -> Any:
        entered = await original(timeout)
        _of_timeout[timeout] = deadline = _Deadline(timeout.expired)
        _begin(deadline)
        return entered

    return entering


def _leaving(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def leaving(timeout: timeouts.Timeout, *error: Any) -> Any:
        if (deadline := _of_timeout.pop(timeout, None)) is not None:
            _end(deadline)
        return await original(timeout, *error)

    return leaving


def _waiting(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def wait_for(fut: Any, timeout: float | None) -> Any:
        if timeout is None:
            return await original(fut, timeout)
        loop = asyncio.get_running_loop()
        due_s = loop.time() + timeout - _EARLY_S
        deadline = _Deadline(lambda: loop.time() >= due_s)
        if isinstance(fut, asyncio.Future):  # a task, or asyncio.gather's future of some
            _of_task.update(dict.fromkeys((fut, *getattr(fut, "_children", ())), deadline))
        _begin(deadline)
        try:
            return await original(fut, timeout)
        finally:
            _end(deadline)

    return wait_for
