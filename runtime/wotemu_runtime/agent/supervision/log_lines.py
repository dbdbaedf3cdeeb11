"""Turns what a node's app prints into log lines of bounded length, rate and total.

A flood of lines must neither fill the disk nor take the CPU time and memory that the run needs. Lines beyond
the bounds are left out and counted, and the log says so; the last ones are logged in any case.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import attrs

MAX_LINE = 16 * 1024
"""Bytes of one log line; a longer one is split."""
TOTAL_BYTES = 50_000_000
"""Bytes that one node may log in a run."""
BURST_BYTES = 16_000_000
RATE_BYTES = 1_000_000
"""A node may log `BURST_BYTES` at once and `RATE_BYTES` a second from then on."""
LINE_COST = 64
"""Bytes that a line costs beside its own: those of its record."""
WAITING_BYTES = 1_000_000
"""Bytes of lines that wait for the bus; beyond it reading pauses, before the publisher has to drop lines."""
WAIT_S = 1.0
"""Seconds that reading pauses at most: an app that prints must not block on a bus that is away."""
TAIL_BYTES = 16 * 1024
"""Bytes of the end of what was left out, whose lines are logged when the stream ends."""
CHUNK = 32 * 1024
_POLL_S = 0.005
_SKIP_PAUSE_S = 0.001
"""Pause between two chunks that are left out, so that even ``yes`` costs the agent little CPU time."""


class LineSplitter:
    """Cuts a stream of bytes into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that are complete now, and full parts of an overlong one."""
        *whole, self._rest = (self._rest + chunk).split(b"\n")
        lines = [part for line in whole for part in _parts(line)]
        *full, self._rest = _parts(self._rest)
        return [*lines, *full]

    def end(self) -> list[bytes]:
        """The last line, where it has no end."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


def _parts(line: bytes) -> list[bytes]:
    """The line in parts of at most `MAX_LINE` bytes; no character of UTF-8 is cut."""
    parts = []
    while len(line) > MAX_LINE:
        cut = MAX_LINE
        while cut > MAX_LINE - 4 and line[cut] & 0xC0 == 0x80:
            cut -= 1
        parts.append(line[:cut])
        line = line[cut:]
    return [*parts, line]


class LogBounds:
    """Whether a node may log more: a token bucket for its burst and rate, and its total.

    Once the bucket is empty, logging resumes when a second's worth of tokens is there, so that a log
    has runs of lines and not single ones. `waiting_bytes` returns how many bytes of lines wait for the bus.
    """

    def __init__(self, waiting_bytes: Callable[[], int], now: Callable[[], float] = time.monotonic) -> None:
        self._waiting_bytes = waiting_bytes
        self._now = now
        self._left = TOTAL_BYTES
        self._free: float = BURST_BYTES
        self._filled_s = now()
        self._is_open = True

    @property
    def is_spent(self) -> bool:
        """Whether the node has used up its total."""
        return self._left <= 0

    @property
    def is_behind(self) -> bool:
        """Whether more than `WAITING_BYTES` wait for the bus."""
        return self._waiting_bytes() > WAITING_BYTES

    def allow(self) -> bool:
        """Whether to log what is printed now."""
        now_s = self._now()
        self._free = min(BURST_BYTES, self._free + RATE_BYTES * (now_s - self._filled_s))
        self._filled_s = now_s
        if self._free <= 0:
            self._is_open = False
        elif self._free >= RATE_BYTES:
            self._is_open = True
        return self._is_open and not self.is_spent and not self.is_behind

    def spend(self, line: bytes) -> None:
        """Take the tokens of a line that was logged."""
        cost = len(line) + LINE_COST
        self._left -= cost
        self._free -= cost


@attrs.define
class LeftOut:
    """Counts what was printed and not logged, and has the end of it."""

    lines: int = 0
    size: int = 0
    tail: bytes = b""

    def add(self, chunk: bytes) -> None:
        """Count a chunk."""
        self.lines += chunk.count(b"\n")
        self.size += len(chunk)
        self.tail = (self.tail + chunk)[-TAIL_BYTES:]

    def last_lines(self) -> list[bytes]:
        """The whole lines at the end."""
        _, *lines = self.tail.removesuffix(b"\n").split(b"\n")
        return lines

    def __str__(self) -> str:
        return (
            f"[wotemu] {self.lines:,} lines, {self.size / 1e6:,.1f} MB, are left out here: a node may log "
            f"{BURST_BYTES // 10**6} MB at once, {RATE_BYTES // 10**6} MB a second after that, and "
            f"{TOTAL_BYTES // 10**6} MB in a run"
        )


class LogReader:
    """Reads what one process of an app prints on one stream.

    Args:
        bounds: of all that the node logs.
        log: takes each line.
        lose: takes how many lines were left out, once the stream has ended.
    """

    def __init__(self, bounds: LogBounds, log: Callable[[str], None], lose: Callable[[int], None]) -> None:
        self._bounds = bounds
        self._log = log
        self._lose = lose
        self._splitter = LineSplitter()
        self._left_out = LeftOut()
        self._lost = 0

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Read until the stream ends."""
        try:
            while chunk := await reader.read(CHUNK):
                await self._wait_for_bus()
                if self._bounds.allow():
                    self._say_left_out()
                    self._put(self._splitter.feed(chunk))
                else:
                    self._put(self._splitter.end())
                    self._left_out.add(chunk)
                    await asyncio.sleep(_SKIP_PAUSE_S)
        finally:
            self._put(self._splitter.end())
            self._say_left_out(with_tail=True)
            if self._lost:
                self._lose(self._lost)

    async def _wait_for_bus(self) -> None:
        if self._left_out.size:
            return  # it has waited once since lines were left out
        until_s = time.monotonic() + WAIT_S
        while self._bounds.is_behind and not self._bounds.is_spent and time.monotonic() < until_s:  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)  # the publisher has no event for what it has sent

    def _put(self, lines: list[bytes]) -> None:
        for line in lines:
            self._bounds.spend(line)
            self._log(line.decode(errors="replace"))

    def _say_left_out(self, *, with_tail: bool = False) -> None:
        left_out, self._left_out = self._left_out, LeftOut()
        if not left_out.size:
            return
        tail = left_out.last_lines() if with_tail else []
        left_out.lines = max(1, left_out.lines - len(tail))
        self._log(str(left_out))
        self._put(tail)
        self._lost += left_out.lines
