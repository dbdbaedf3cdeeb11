"""Has the kernel run this process soon after it wakes up: what a gateway forwards late, it falsifies."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

Scheduling = Literal["real-time", "short slices", "ordinary"]

SLICE_NS = 100_000
"""The shortest slice that Linux grants (sched(7), since 6.12). A short slice is an early one."""

PRIORITY = 1
"""The lowest of the real-time class: above every ordinary process, below everything else in the class."""

# sched_setattr(2) has no wrapper in glibc, so its number is needed.
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
"""sched_setattr(2): size, policy, flags, nice, priority, runtime, deadline, period."""
_SCHED_OTHER = 0

_ALLOCATIONS = 100_000
"""Allocations between two collections of the youngest objects; CPython's default is 700."""


def request_low_latency() -> Scheduling:
    """Ask the scheduler for early turns, and the garbage collector for rare ones.

    The real-time class needs CAP_SYS_NICE, a limit RLIMIT_RTPRIO of 1 or more, or a parent in the class (see
    `enter_real_time_class`). Without it this process asks for short slices, which needs no privilege, but
    Linux 6.12.

    Returns:
        What the scheduler granted.
    """
    # Packets are held in tuples, which make the collector look for cycles though the data path makes none.
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 50)
    if enter_real_time_class():
        return "real-time"
    return "short slices" if _ask_for_short_slices() else "ordinary"


def enter_real_time_class(*, children_too: bool = False) -> bool:
    """Put this process into the real-time class, at its lowest priority.

    The kernel keeps a process that never sleeps to 95 % of a processor there (kernel.sched_rt_runtime_us).

    Args:
        children_too: Whether processes that this one starts are in the class, too. A process that is about to
            enter a user namespace can so hand it on: capabilities in one don't count for scheduling.

    Returns:
        Whether the scheduler agreed.
    """
    policy = os.SCHED_FIFO | (0 if children_too else os.SCHED_RESET_ON_FORK)
    try:
        os.sched_setscheduler(0, policy, os.sched_param(PRIORITY))
    except OSError:  # EPERM, also in a control group without a real-time budget
        return False
    return True


def obtainable() -> Scheduling:
    """What `request_low_latency` would be granted in this process, without a change to it.

    It is tried in a thread of its own, as policies are a thread's.
    """
    with ThreadPoolExecutor(1) as pool:
        # Children too: an ordinary user could not take the flag back that keeps them out.
        if pool.submit(enter_real_time_class, children_too=True).result():
            return "real-time"
        return "short slices" if pool.submit(_ask_for_short_slices).result() else "ordinary"


def leave_real_time_class() -> None:
    """Put this process, which a process in the class has forked, into the ordinary class."""
    if os.sched_getscheduler(0) == os.SCHED_FIFO:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _ask_for_short_slices() -> bool:
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, _SCHED_OTHER, 0, nice, 0, SLICE_NS, 0, 0)
    return not ctypes.CDLL(None).syscall(number, 0, attributes, 0)
