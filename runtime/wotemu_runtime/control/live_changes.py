"""Changes that are made while a run goes on: the words of a scenario as values that JSON can hold.

Each becomes the action that a scenario would have for it, so that what it means, what it may be aimed at, and
what undoes it are the same as in a script.
"""

from wotemu_runtime.control.live_change import LiveChange, parse_for
from wotemu_runtime.control.live_conditions import Restore, SetConditions
from wotemu_runtime.control.live_faults import (
    Block,
    Connect,
    Crash,
    Cut,
    Disconnect,
    FillDisk,
    FreeDisk,
    Heal,
    Limit,
    Partition,
    Pause,
    Reconnect,
    Restart,
    Resume,
    SkewClock,
    Start,
    Stop,
    Stress,
    Unlimit,
    Unstress,
)

__all__ = [
    "Block",
    "Connect",
    "Crash",
    "Cut",
    "Disconnect",
    "FillDisk",
    "FreeDisk",
    "Heal",
    "Limit",
    "LiveChange",
    "Partition",
    "Pause",
    "Reconnect",
    "Restart",
    "Restore",
    "Resume",
    "SetConditions",
    "SkewClock",
    "Start",
    "Stop",
    "Stress",
    "Unlimit",
    "Unstress",
    "parse_for",
]
