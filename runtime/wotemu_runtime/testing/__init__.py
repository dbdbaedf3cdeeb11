"""Stand-ins for the bus, the engine and the shaper, and a clock that jumps, for tests without waiting."""

from wotemu_runtime.testing.fake_engine import (
    ADDRESS,
    EPOCH_S,
    FakeEngine,
    Play,
    gateway_data,
    loop_clock,
    make_role,
)
from wotemu_runtime.testing.fake_shaper import FakeShaper
from wotemu_runtime.testing.jumping_loop import JumpingLoop, NothingCanHappenError, on_jumping_clock
from wotemu_runtime.testing.memory_bus import MemoryBus

__all__ = [
    "ADDRESS",
    "EPOCH_S",
    "FakeEngine",
    "FakeShaper",
    "JumpingLoop",
    "MemoryBus",
    "NothingCanHappenError",
    "Play",
    "gateway_data",
    "loop_clock",
    "make_role",
    "on_jumping_clock",
]
