"""The bus's time: the monotonic clock of the bus's kernel plus a constant, the anchor.

The anchor is set once, so that the bus's time is in seconds since the epoch. Every role on that kernel adds
the same number to the same clock: they agree exactly, whatever happens to the wall clock. Roles on other
machines measure against Redis `TIME`, which is the server's wall clock: `wall_s` says how far that is off
since somebody set it.

CLOCK_MONOTONIC rather than CLOCK_BOOTTIME: it is what event loops, timers and gateways wait on, and where a
machine is suspended the emulation on it pauses as a whole and goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import attrs
import redis
from redis.exceptions import RedisError

from wotemu_runtime.bus.wall_clock import wall_minus_monotonic

KEY = "wotemu:clock"
"""The bus's key that has the anchor. It is the server's, whatever emulation it serves."""
LOOK_EVERY_S = 0.25
_STEP_S = 1e-4
"""Smaller differences are the readings' own."""


def kernel_id() -> str:
    """Identifies the monotonic clock of this kernel and time namespace; "" where it can't be read."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""  # equal to none
    try:
        namespace = str(Path("/proc/self/ns/time").readlink())
    except OSError:  # a kernel without time namespaces (before Linux 5.6)
        namespace = ""
    return f"{boot}/{namespace}"


@attrs.frozen
class Anchor:
    """The bus's time is its kernel's CLOCK_MONOTONIC + `monotonic_s`; `kernel` is its `kernel_id`.

    `wall_s` is how far its wall clock is ahead of the bus's time: 0 until somebody sets it.
    """

    kernel: str
    monotonic_s: float
    wall_s: float = 0.0

    def to_json(self) -> str:
        """As the bus's key holds it."""
        return json.dumps(attrs.asdict(self))

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """What `to_json` gave."""
        data: dict[str, Any] = json.loads(text)
        return cls(**data)

    def seen(self, kernel: str, difference_s: float) -> Anchor:
        """The anchor when this kernel's wall clock is `difference_s` ahead of its monotonic one.

        Another kernel's monotonic clock is another one: after a reboot only the wall clock goes on.
        """
        if kernel != self.kernel:
            return Anchor(kernel, difference_s - self.wall_s, self.wall_s)
        wall_s = difference_s - self.monotonic_s
        return self if abs(wall_s - self.wall_s) < _STEP_S else attrs.evolve(self, wall_s=wall_s)


UNANCHORED = Anchor(kernel="", monotonic_s=0.0)
"""Of a bus without an anchor: its wall clock is taken as if nobody set it."""


def keep_anchor(port: int, password: str, is_wanted: Callable[[], bool] = lambda: True) -> None:
    """Set the anchor on this machine's bus, and update it when the wall clock is set, while `is_wanted`."""
    client = redis.Redis(host="127.0.0.1", port=port, password=password, socket_timeout=5.0)
    kernel, known = kernel_id(), None
    while is_wanted():
        try:
            if known is None:
                known = client.get(KEY)
            found = wall_minus_monotonic().offset_s
            before = Anchor.from_json(known) if isinstance(known, bytes) else Anchor(kernel, found)
            text = before.seen(kernel, found).to_json().encode()
            if text != known:
                client.set(KEY, text)
                known = text
        except (OSError, RedisError):
            known = None  # the server starts, or was started again and may know of another
        time.sleep(LOOK_EVERY_S)


__all__ = ["KEY", "UNANCHORED", "Anchor", "keep_anchor", "kernel_id"]
