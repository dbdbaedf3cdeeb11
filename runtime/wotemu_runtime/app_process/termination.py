"""SIGTERM in an app's process: ends the app, unless the app handles the signal itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from typing import Any


class Termination:
    """Whether the process was asked to end, and a callback for where the app does not see to it itself.

    Args:
        loop: the app's loop, whose ``add_signal_handler`` is watched.
        end: called at SIGTERM unless the app has a handler of its own.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, end: Callable[[], None]) -> None:
        self.requested = asyncio.Event()
        self._end = end
        apps_own = signal.getsignal(signal.SIGTERM)
        loop.add_signal_handler(signal.SIGTERM, self._on_signal)
        self._handler_of_loop = signal.getsignal(signal.SIGTERM)
        # The app's module may have set a handler as it was imported. It stays; the loop is woken anyway,
        # by the wakeup descriptor that `add_signal_handler` has set, and so calls `_on_signal`.
        if apps_own not in (signal.SIG_DFL, None):
            signal.signal(signal.SIGTERM, apps_own)
        self._watch_handlers(loop)

    def __repr__(self) -> str:
        return f"<Termination requested={self.requested.is_set()}>"

    def _watch_handlers(self, loop: asyncio.AbstractEventLoop) -> None:
        """Note the signal also where the app replaces our handler in the loop."""
        add = loop.add_signal_handler

        def add_signal_handler(number: int, callback: Callable[..., Any], *args: Any) -> None:
            if number == signal.SIGTERM:
                callback = partial(self._pass_on, callback)
            add(number, callback, *args)

        loop.__dict__["add_signal_handler"] = add_signal_handler

    def _on_signal(self) -> None:
        self.requested.set()
        # Another handler was set with `signal.signal`: the app ends by itself.
        if signal.getsignal(signal.SIGTERM) is self._handler_of_loop:
            self._end()

    def _pass_on(self, callback: Callable[..., Any], *args: Any) -> None:
        self.requested.set()
        callback(*args)
