"""Makes this process one that answers fast: what a shaper in user space forwards late, it falsifies."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import struct

SLICE_NS = 100_000
"""The least that Linux takes (sched(7), since 6.12): who asks for short slices gets the processor soon."""

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
"""sched_setattr(2): size, policy, flags, nice, priority, runtime, deadline, period."""
_SCHED_OTHER = 0

_ALLOCATIONS = 100_000


def request_low_latency() -> bool:
    """Ask the scheduler for early turns, and the garbage collector for rare ones.

    Packets are held in tuples, which make the collector look for cycles though the data path makes none.
    Whether the scheduler agreed: that needs no privilege, but Linux 6.12; older kernels agree and ignore it.
    """
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 50)
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, _SCHED_OTHER, 0, nice, 0, SLICE_NS, 0, 0)
    return not ctypes.CDLL(None).syscall(number, 0, attributes, 0)
