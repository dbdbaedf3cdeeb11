"""Logs an app's records from INFO on to standard error, until the app configures logging itself."""

from __future__ import annotations

import logging
import sys

NOISY_LOGGERS = ("tornado.access", "amqtt", "transitions", "coap", "coap-server", "wotpy")
"""Libraries that log each request or message at INFO; only their warnings are shown."""


def log_by_default() -> None:
    """Log to standard error as long as the root logger has no handler; call it once the app is imported.

    The root logger stays as Python starts it, so that the app's own `logging.basicConfig` or `dictConfig`,
    at whatever time, has the same effect as outside of WoTemu.
    """
    root = logging.getLogger()
    if root.handlers or root.level != logging.WARNING:
        return  # the app's module has configured it
    fallback = logging.StreamHandler(sys.stderr)
    fallback.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    fallback.addFilter(_is_worth_a_line)
    logging.lastResort = fallback
    _Untouched(root)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    noisy = any(record.name == name or record.name.startswith(f"{name}.") for name in NOISY_LOGGERS)
    return record.levelno >= (logging.WARNING if noisy else logging.INFO)


class _Untouched:
    """Sets the root logger to INFO, and undoes that when the app adds a handler or sets a level."""

    def __init__(self, root: logging.Logger) -> None:
        self._root = root
        root.setLevel(logging.INFO)
        root.__dict__.update(addHandler=self._add_handler, setLevel=self._set_level)

    def _restore(self) -> None:
        del self._root.__dict__["addHandler"], self._root.__dict__["setLevel"]
        self._root.setLevel(logging.WARNING)

    def _add_handler(self, handler: logging.Handler) -> None:
        self._restore()
        self._root.addHandler(handler)

    def _set_level(self, level: int | str) -> None:
        self._restore()
        self._root.setLevel(level)
