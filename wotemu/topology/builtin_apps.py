"""The apps that come with WoTemu: their names, and the fixes of WoTPy that they run with."""

from __future__ import annotations

from enum import StrEnum

from wotemu.topology.node_app import WOTPY_FIXES


class BuiltinApps(StrEnum):
    """A built-in app's name, as `NodeApp(BuiltinApps.READER, ...)` or ``NodeApp("reader", ...)`` takes it.

    The first three expose a Thing, the next three use a remote one, the last only fails.
    """

    CLOCK = "clock"
    SENSOR = "sensor"
    WORKER = "worker"
    READER = "reader"
    SUBSCRIBER = "subscriber"
    CALLER = "caller"
    ERROR = "error"


BUILTIN_FIXES: tuple[str, ...] = tuple(WOTPY_FIXES)
"""The fixes that built-in apps run with where their `NodeApp` names none."""

BUILTIN_METRICS: dict[str, tuple[str, ...]] = {
    BuiltinApps.CLOCK: (),
    BuiltinApps.SENSOR: (),
    BuiltinApps.WORKER: (),
    BuiltinApps.READER: ("read_failures",),
    BuiltinApps.SUBSCRIBER: ("subscription_failures",),
    BuiltinApps.CALLER: ("call_failures",),
    BuiltinApps.ERROR: (),
}
"""The metrics that built-in apps report."""
