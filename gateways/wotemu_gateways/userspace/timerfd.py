"""Wake-ups at absolute instants of the monotonic clock, finer than a millisecond, as a descriptor to poll."""

from __future__ import annotations

import ctypes
import os
import time

_TFD_TIMER_ABSTIME = 1
_LARGEST_S = float(2**31)
"""Later than any run ends; packets that wait at rate 0 have departures that no time_t holds."""


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("it_interval", _Timespec), ("it_value", _Timespec))


class TimerFd:
    """A timerfd: `fd` is readable once the instant that was set has passed, until another is set."""

    __slots__ = ("_settime", "_spec", "_spec_ref", "_value", "fd")

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._settime = libc.timerfd_settime
        self._settime.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        self._spec = _Itimerspec()
        self._value = self._spec.it_value
        self._spec_ref = ctypes.addressof(self._spec)

    def set(self, at_s: float) -> None:
        """Become readable at that instant, instead of any set before."""
        value = self._value
        at_s = min(at_s, _LARGEST_S)
        value.tv_sec = seconds = int(at_s)
        # At least 1 ns: an instant of all zeros would disarm the timer.
        value.tv_nsec = max(int((at_s - seconds) * 1e9), 1)
        self._settime(self.fd, _TFD_TIMER_ABSTIME, self._spec_ref, None)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self.fd)
