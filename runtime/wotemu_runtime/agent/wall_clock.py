"""The wall clock of one node's programs: libfaketime, preloaded into them, adds to it what a file says.

The node's launcher loads it, too, to read the clock as the programs do; there it replaces nothing.
"""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import time
from pathlib import Path

from wotemu_runtime.planning.clock_skew import find_library

_UNUSED = [b"clock_nanosleep", b"timer_settime", b"timerfd_settime"]
"""Functions of libfaketime that take a time of CLOCK_MONOTONIC for one of the wall clock, even where it is to
leave that clock alone: the first until 0.9.10, by which Python's time.sleep fails, the others still."""
if os.uname().machine.startswith(("arm", "aarch64")):
    _UNUSED.append(b"pthread_cond_timedwait")  # elsewhere FAKETIME_FORCE_MONOTONIC_FIX sets it right
_TIMER_ABSTIME = 1  # <time.h>
_READINGS = 5
"""Of several readings the quickest counts: between two others of the true time the process may be held up."""


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class WallClock:
    """The clock of a node.

    Args:
        library: The path of libfaketime.
        folder: Where the file is made that says by how much it is off.

    Raises:
        OSError: The library can't be loaded, or lets no program sleep, or a file can't be written.
    """

    def __init__(self, library: str, folder: str) -> None:
        # Another user's programs read it, and only this process replaces it.
        self._folder = Path(tempfile.mkdtemp(prefix="wotemu-clock-", dir=folder))
        self._folder.chmod(0o755)
        self._file = self._folder / "offset"
        self.skew(0.0)
        copy = self._folder / "libfaketime.so"
        copy.write_bytes(without_unused(Path(library).read_bytes()))
        copy.chmod(0o644)
        self._path = str(copy)
        os.environ.update(
            FAKETIME_TIMESTAMP_FILE=str(self._file),
            FAKETIME_NO_CACHE="1",  # or programs would see a change up to 10 s late
            FAKETIME_DONT_FAKE_MONOTONIC="1",
            FAKETIME_FORCE_MONOTONIC_FIX="0",  # or waits until a time of CLOCK_MONOTONIC end at once
            # It changes the times of files for some programs only, as it misses stat64 and statx.
            NO_FAKE_STAT="1",
        )
        self._library = ctypes.CDLL(self._path)
        self._check_sleep()

    def __repr__(self) -> str:
        return f"WallClock({self._path!r}, {str(self._file)!r})"

    def _check_sleep(self) -> None:
        now_ns = time.monotonic_ns()
        until = _Timespec(*divmod(now_ns, 1_000_000_000))
        slept = self._library.clock_nanosleep(time.CLOCK_MONOTONIC, _TIMER_ABSTIME, ctypes.byref(until), None)
        if slept != 0:
            raise OSError(slept, "programs can't sleep with this libfaketime")

    def preload(self) -> None:
        """Have what this process executes read this clock."""
        others = os.environ.get("LD_PRELOAD", "")
        os.environ["LD_PRELOAD"] = f"{self._path}:{others}" if others else self._path

    def skew(self, by_s: float) -> None:
        """Have the clock be so many seconds ahead, or behind where negative, from now on."""
        new = self._folder / "new"
        new.write_text(f"{by_s:+.6f}\n")
        new.chmod(0o644)
        new.replace(self._file)  # a program that found half a file would end

    def ahead_s(self) -> float:
        """By how many seconds the clock is ahead of this machine's, read as the programs do."""
        return min(self._reading() for _ in range(_READINGS))[1]

    def reaches(self, pid: int) -> bool:
        """Whether a process has the library; True where that can't be known, as of another user's."""
        try:
            mapped = Path(f"/proc/{pid}/maps").read_text(errors="replace")
        except OSError:
            return True
        return not mapped or self._path in mapped  # none is mapped of a process that is about to end

    def _reading(self) -> tuple[int, float]:
        """How long a reading took, in nanoseconds, and what it said."""
        read = _Timespec()
        begin_ns = time.time_ns()
        self._library.clock_gettime(time.CLOCK_REALTIME, ctypes.byref(read))
        end_ns = time.time_ns()
        read_ns = read.tv_sec * 1_000_000_000 + read.tv_nsec
        return end_ns - begin_ns, (read_ns - (begin_ns + end_ns) // 2) / 1e9


def without_unused(library: bytes) -> bytes:
    """A copy of libfaketime that leaves some functions to libc: they have other names in it."""
    for name in _UNUSED:
        # The first is what the loader finds it by. Others follow, such as that by which it finds libc's.
        library = library.replace(b"\0%b\0" % name, b"\0_%b\0" % name[1:], 1)
    return library


def open_wall_clock(folder: str) -> WallClock | None:
    """The clock of a node that is to be skewed; None, with the reason in the log, where it can't be."""
    library = find_library()
    if library is None:
        print("wotemu: there is no libfaketime here, so the clock can't be skewed", file=sys.stderr)
        return None
    try:
        return WallClock(library, folder)
    except OSError as error:
        print(f"wotemu: the clock can't be skewed: {error}", file=sys.stderr)
        return None
