"""Frames of the built-in camera and detector: from a file or generated, their motion, objects in them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from wotemu.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    Image: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
    """Rows, columns, and blue, green and red of each pixel."""

GREY_STEP = 25
"""A pixel has changed if its grey value did by so much of 255: less is noise of a camera."""
BRIGHT = 200
"""Objects are regions whose grey value is above this, of 255."""
MIN_OBJECT_PIXELS = 40
MOVES_S, RESTS_S = 4.0, 2.0
"""The object of a generated scene moves for so long, and then rests."""


def vision() -> Any:
    """The module cv2.

    Raises:
        InputError: It is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise InputError(
            f"it needs OpenCV: {error}",
            hint="pip install '.[vision]' in the clone of WoTemu, or in the node's image",
        ) from error
    return cv2


def frames_of(source: str | None, size: tuple[int, int], fps: float) -> Iterator[Image]:
    """Frames without end: of a video file, again from its start after its end, or generated.

    Args:
        source: A file; None for a generated scene.
        size: Width and height of generated frames.
        fps: Frames a second of the generated scene.

    Raises:
        InputError: The file isn't there, or isn't a video.
    """
    if source is None:
        return _generated(size, fps)
    if not Path(source).is_file():
        raise InputError(
            f"source={source!r}: there is no such file", hint="it is relative to the app's folder"
        )
    capture = vision().VideoCapture(source)
    is_read, first = capture.read()
    if not is_read:
        raise InputError(f"source={source!r} is no video that OpenCV reads", hint="give an MP4 or AVI file")
    return _read(capture, source, first)


def _read(capture: Any, source: str, first: Image) -> Iterator[Image]:
    frame: Image | None = first
    while True:
        if frame is None:  # at the end; not every format can be rewound
            capture = vision().VideoCapture(source)
            _, frame = capture.read()
        if frame is not None:
            yield frame
        is_read, frame = capture.read()
        if not is_read:
            frame = None


def _generated(size: tuple[int, int], fps: float) -> Iterator[Image]:
    """A disc on a dim ground that goes round for `MOVES_S` and rests for `RESTS_S`, in turn."""
    import numpy as np

    cv2 = vision()
    width, height = size
    ground: Image = np.full((height, width, 3), 60, np.uint8)
    radius, period_s = min(size) // 8, MOVES_S + RESTS_S
    number = 0
    while True:
        turns, inside = divmod(number / fps, period_s)
        moved_s = turns * MOVES_S + min(inside, MOVES_S)
        angle = 2 * math.pi * moved_s / MOVES_S
        center = (
            int(width / 2 + width / 4 * math.cos(angle)),
            int(height / 2 + height / 4 * math.sin(angle)),
        )
        frame = ground.copy()
        cv2.circle(frame, center, radius, (240, 240, 240), thickness=-1)
        yield frame
        number += 1


def motion(before: Image, frame: Image) -> float:
    """The share of pixels that have changed, from 0 to 1."""
    cv2 = vision()
    grey = [cv2.cvtColor(each, cv2.COLOR_BGR2GRAY) for each in (before, frame)]
    return float((cv2.absdiff(*grey) > GREY_STEP).mean())


def as_jpeg(frame: Image, quality: int) -> bytes:
    """The frame as JPEG.

    Args:
        frame: The frame.
        quality: From 1 to 100.
    """
    cv2 = vision()
    _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(data)


def objects_in(jpeg: bytes) -> list[list[int]]:
    """The bright objects of a frame: top, right, bottom and left of each, in pixels; from the left.

    Raises:
        ValueError: It is no image.
    """
    import numpy as np

    cv2 = vision()
    grey = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE) if jpeg else None
    if grey is None:
        raise ValueError("it is no image")
    _, bright = cv2.threshold(grey, BRIGHT, 255, cv2.THRESH_BINARY)
    outlines, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    boxes = [cv2.boundingRect(outline) for outline in outlines]
    found = [[y, x + w, y + h, x] for x, y, w, h in boxes if w * h >= MIN_OBJECT_PIXELS]
    return sorted(found, key=lambda box: box[3])
