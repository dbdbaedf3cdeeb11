"""The place in the user's code where a part of a scenario is written, for messages."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from wotemu.errors import Place

_OURS = __name__.partition(".")[0]
_place: ContextVar[Place | None] = ContextVar("place", default=None)


@contextmanager
def written_at(place: Place) -> Iterator[None]:
    """While the block runs, parts of a scenario are written here: in a file that is read, not run."""
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)


def source_location(where: str) -> str:
    """The file and line of the innermost caller outside this package: ``deployment.py:42, at(5s).set``.

    Args:
        where: What is written there. It is returned as it is where no caller is outside the package.
    """
    place = user_place()
    return where if place is None else f"{place}, {where}"


def user_place() -> Place | None:
    """The file and line of the innermost caller outside this package; None where there is none."""
    if (place := _place.get()) is not None:
        return place
    # traceback.walk_stack goes through all frames of the stack, which takes many times as long.
    frame = sys._getframe(1)
    while frame is not None and _is_ours(frame.f_globals.get("__name__"), frame.f_code.co_filename):
        frame = frame.f_back  # type: ignore[assignment]  # typeshed: the outermost frame has none
    return None if frame is None else Place(Path(frame.f_code.co_filename).name, frame.f_lineno)


def _is_ours(module: object, filename: str) -> bool:
    """Whether a frame is this package's, or of a method that attrs made for it."""
    return str(module).partition(".")[0] == _OURS or filename.startswith("<attrs generated")
