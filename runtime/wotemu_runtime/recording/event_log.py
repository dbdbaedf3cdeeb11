"""Reads a run's stored events from any point on, and waits for more while the run goes on.

Readers read the file, each at its own pace: a slow one holds nothing back and takes no memory.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from wotemu.records import Event

_AT_ONCE = 200
"""After so many events a reader lets the other tasks of the process run."""


OnNews = Callable[[int, bool], None]
"""Gets the number of events that are stored, and whether no more come."""


class EventLog:
    """The events in one file, numbered from 1 on.

    Args:
        path: the file.
        on_news: is called with each news, for a log of the same file on another event loop.
    """

    def __init__(self, path: Path, on_news: OnNews | None = None) -> None:
        self.path = path
        self._on_news = on_news
        self.count = 0
        """How many there are."""
        self._is_closed = False
        self._news = asyncio.Event()

    def __repr__(self) -> str:
        return f"EventLog({self.count} events, closed={self._is_closed})"

    def notify(self, count: int) -> None:
        """Wake the readers where the file has more events than before."""
        if count != self.count:
            self.count = count
            self._wake()

    def close(self) -> None:
        """No more events come: readers end."""
        self._is_closed = True
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
        if self._on_news is not None:
            self._on_news(self.count, self._is_closed)

    async def read(
        self, kinds: Sequence[str] = (), *, after: int | None = 0, follow: bool = True
    ) -> AsyncGenerator[tuple[int, Event], None]:
        """Events with their numbers, until the log is closed.

        Args:
            kinds: Patterns of their kinds, such as ``app.*``; none means all.
            after: How many events to skip; None for those from now on.
            follow: Whether to wait for more.
        """
        number, position = 0, 0
        skipped = self.count if after is None else after
        while True:
            news, is_closed = self._news, self._is_closed
            while number < self.count:
                lines, position = self._lines(position, self.count - number)
                for line in lines:
                    number += 1
                    if number > skipped and (event := _matching(line, kinds)) is not None:
                        yield number, event
                if not lines:  # a run directory that is shorter than its checkpoint says
                    break
                await asyncio.sleep(0)
            if is_closed or not follow:
                return
            await news.wait()

    def _lines(self, position: int, count: int) -> tuple[list[bytes], int]:
        """The next lines, and where those after them begin."""
        with self.path.open("rb") as file:
            file.seek(position)
            lines = [line for _ in range(min(count, _AT_ONCE)) if (line := file.readline()).endswith(b"\n")]
            return lines, file.tell()


def _matching(line: bytes, kinds: Sequence[str]) -> Event | None:
    event = Event(**json.loads(line))
    return event if not kinds or any(fnmatchcase(event.kind, kind) for kind in kinds) else None
