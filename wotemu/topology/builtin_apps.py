"""The apps that come with WoTemu: their names, and the fixes of WoTPy that they run with."""

from __future__ import annotations

from enum import StrEnum

from wotemu.topology.node_app import WOTPY_FIXES


class BuiltinApps(StrEnum):
    """A built-in app's name, as `NodeApp(BuiltinApps.READER, ...)` or ``NodeApp("reader", ...)`` takes it.

    The first three expose a Thing, the next three use a remote one, ERROR only fails; HISTORIAN and BRIDGE do
    both, LOAD uses one at times of its own. CAMERA exposes a Thing, DETECTOR uses cameras; both need OpenCV.
    """

    CLOCK = "clock"
    SENSOR = "sensor"
    WORKER = "worker"
    READER = "reader"
    SUBSCRIBER = "subscriber"
    CALLER = "caller"
    ERROR = "error"
    HISTORIAN = "historian"
    LOAD = "load"
    BRIDGE = "bridge"
    CAMERA = "camera"
    DETECTOR = "detector"
    MONGO_HISTORIAN = "historian"  # its name in 0.6


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
    BuiltinApps.HISTORIAN: ("historian_failures", "historian_values"),
    BuiltinApps.LOAD: ("load_failures", "load_not_sent", "load_latency"),
    BuiltinApps.BRIDGE: ("bridge_failures",),
    BuiltinApps.CAMERA: ("ptz_latency", "camera_frames"),
    BuiltinApps.DETECTOR: (
        "detector_failures",
        *("frames_dropped", "frame_latency", "detection_latency", "detection_cost"),
    ),
}
"""The metrics that built-in apps report."""

BUILTIN_REQUESTS: dict[str, tuple[str, ...]] = {
    BuiltinApps.CLOCK: (),
    BuiltinApps.SENSOR: (),
    BuiltinApps.WORKER: (),
    BuiltinApps.READER: ("readproperty",),
    BuiltinApps.SUBSCRIBER: (),
    BuiltinApps.CALLER: ("invokeaction",),
    BuiltinApps.ERROR: (),
    BuiltinApps.HISTORIAN: ("readproperty", "invokeaction"),
    BuiltinApps.LOAD: ("readproperty", "invokeaction"),
    BuiltinApps.BRIDGE: ("readproperty", "writeproperty", "invokeaction"),
    BuiltinApps.CAMERA: (),
    BuiltinApps.DETECTOR: ("invokeaction",),
}
"""The requests that built-in apps make of other Things."""

OF_ONE_THING = frozenset({BuiltinApps.READER, BuiltinApps.CALLER, BuiltinApps.LOAD})
"""Built-in apps whose requests are all to the Thing of their parameter ``thing_id``."""

SERVES_NOTHING = frozenset(
    {*OF_ONE_THING, BuiltinApps.SUBSCRIBER, BuiltinApps.ERROR},
)
"""Built-in apps that expose no Thing."""

ALL_BY_WOTPY = frozenset(BuiltinApps) - {BuiltinApps.CAMERA}
"""Built-in apps all of whose requests are WoTPy's: a camera's video may be at any URL."""
