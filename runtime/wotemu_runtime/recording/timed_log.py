"""The times of the lines of a log, and a reader of both that can follow a log that grows.

Beside ``logs/NODE.log``, which has the lines as they were printed, ``logs/NODE.times`` has for each line
8 bytes: when it was printed, in seconds since the epoch, as a little-endian float64.
"""

from __future__ import annotations

import struct
from pathlib import Path

TIMES = ".times"
_TIME = struct.Struct("<d")
_BLOCK = 1 << 20


def packed_time(t: float) -> bytes:
    """A line's entry in the file of times."""
    return _TIME.pack(t)


class TimedLog:
    """Reads one log from its begin on, in blocks, each time what is new.

    Args:
        path: ``logs/NODE.log``; it may not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read_bytes = 0
        self._read_lines = 0
        self._has_times = True

    def __repr__(self) -> str:
        return f"TimedLog({str(self.path)!r}, {self._read_lines} lines read)"

    def new_lines(self, *, is_over: bool = False) -> list[tuple[float | None, str]]:
        """The next lines with their times, some MB at most; empty where there are no more yet.

        Args:
            is_over: Whether nothing is added any more: lines whose time is not stored, as in the logs of
                WoTemu's own roles, then have None.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self._read_bytes)
                block = file.read(_BLOCK)
                while block and b"\n" not in block and (more := file.read(_BLOCK)):
                    block += more
        except FileNotFoundError:
            return []
        lines = block.split(b"\n")[:-1]  # behind the last line break: a line that is being written
        times: list[float | None] = [*self._times(len(lines))]
        if is_over or not self._has_times:
            times += [None] * (len(lines) - len(times))
        lines = lines[: len(times)]  # the two files are flushed one after the other
        self._read_bytes += sum(len(line) + 1 for line in lines)
        self._read_lines += len(lines)
        return [(t, line.decode(errors="replace")) for t, line in zip(times, lines, strict=True)]

    def _times(self, count: int) -> list[float]:
        path = self.path.with_suffix(TIMES)
        try:
            with path.open("rb") as file:
                file.seek(self._read_lines * _TIME.size)
                data = file.read(count * _TIME.size)
        except FileNotFoundError:
            # The logs of WoTemu's own roles, which begin with an underscore, have no times.
            self._has_times = not self.path.stem.startswith("_")
            return []
        whole = len(data) - len(data) % _TIME.size
        return [t for (t,) in _TIME.iter_unpack(data[:whole])]
