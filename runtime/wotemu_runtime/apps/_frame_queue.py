"""Frames that wait for a detector: bounded, by priority, dropped by age."""

from __future__ import annotations

import heapq
from collections import Counter
from itertools import count

import attrs


@attrs.frozen(kw_only=True)
class Frame:
    """A frame of a camera.

    Attributes:
        camera: The camera's host.
        captured_s: When it was taken, in seconds since the epoch.
        arrived_s: When it arrived here.
        jpeg: The frame.
    """

    camera: str
    captured_s: float
    arrived_s: float
    jpeg: bytes = attrs.field(repr=False)


class FrameQueue:
    """Frames by priority: first those of cameras of which fewest were taken out, of these the oldest.

    So a camera that sends much does not keep the detector from looking at the others.
    """

    def __init__(self, size: int, max_age_s: float) -> None:
        """An empty queue.

        Args:
            size: How many frames may wait; one that comes when it is full is dropped.
            max_age_s: Frames that have waited longer are dropped when it is their turn.
        """
        self._size = size
        self._max_age_s = max_age_s
        self._heap: list[tuple[int, float, int, Frame]] = []
        self._taken: Counter[str] = Counter()
        self._order = count()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, frame: Frame) -> None:
        """Add a frame, or drop it where there is no room."""
        if len(self._heap) >= self._size:
            self.dropped += 1
            return
        entry = (self._taken[frame.camera], frame.captured_s, next(self._order), frame)
        heapq.heappush(self._heap, entry)

    def take(self, now_s: float) -> Frame | None:
        """The next frame that is not too old; None where there is none."""
        while self._heap:
            *_, frame = heapq.heappop(self._heap)
            if now_s - frame.arrived_s <= self._max_age_s:
                self._taken[frame.camera] += 1
                return frame
            self.dropped += 1
        return None
