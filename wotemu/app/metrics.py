"""`write_metric`: reports a number of an app's own."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from numbers import Real

from wotemu.app.agent_socket import AgentSocket, connect

MetricSink = Callable[[str, float], None]
"""Takes a metric's key and value."""

_logger = logging.getLogger(__name__)


def write_metric(key: str, value: float) -> None:
    """Report a number; it becomes a row of the run's ``app`` table.

    Works from any thread, at any time, in apps on WoTPy, in their child processes and in any other Python
    program of a node. Outside of WoTemu it does nothing but warn once.

    Args:
        key: the metric's name.
        value: a finite real number, in the app's own unit.

    Raises:
        TypeError: `key` is no string, or `value` is no real number.
        ValueError: `key` is empty, or `value` is not finite.
    """
    if not isinstance(key, str):
        raise TypeError(f"the metric's key {key!r} is not a string")
    if not key:
        raise ValueError("the metric's key is empty")
    # bool is a Real, and most often a mistake here
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"metric {key!r}: {value!r} is not a number")
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError(f"metric {key!r}: {value!r} is too large") from error
    if not math.isfinite(number):
        raise ValueError(f"metric {key!r}: {value!r} is not finite")
    _metrics.write(key, number)


def connect_metrics(sink: MetricSink | None) -> None:
    """Send metrics to `sink`; None: to the agent's socket, if any. For code that runs apps, not for apps."""
    _metrics.connect(sink)


class _Metrics:
    """Passes metrics to the connected sink, else to the agent's socket, else to nothing.

    A program that is no NodeApp, and a process that an app started, find the socket by their environment.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sink: MetricSink | None = None
        self._has_looked = False

    def connect(self, sink: MetricSink | None) -> None:
        with self._lock:
            self._sink, self._has_looked = sink, False

    def write(self, key: str, value: float) -> None:
        sink = self._sink or self._find_agent(key)
        if sink is not None:
            sink(key, value)

    def _find_agent(self, key: str) -> MetricSink | None:
        """Connect to the agent's socket at the first call; warn where there is none."""
        with self._lock:
            if self._has_looked:
                return self._sink
            self._has_looked = True
            why = "not inside of WoTemu"
            try:
                connection = connect()
            except OSError as error:
                connection, why = None, f"this node's agent can't be reached ({error})"
            if connection is not None:
                self._sink = AgentSocket(connection).metric
            else:
                _logger.warning("%s: write_metric(%r, ...) and others go nowhere", why, key)
            return self._sink


_metrics = _Metrics()
