"""Where in the user's own code a part of a scenario is written."""

from __future__ import annotations

import sys
from pathlib import Path

_OURS = __name__.partition(".")[0]


def source_location(where: str) -> str:
    """``deployment.py:42, at(5s).set``: the caller's file and line, and what is written there.

    The line is that of the innermost call from outside of the package; without one, `where` stays as it is.
    """
    frame = sys._getframe(1)  # traceback.walk_stack goes through all frames, many times slower
    while frame is not None and _is_ours(frame.f_globals.get("__name__"), frame.f_code.co_filename):
        frame = frame.f_back  # type: ignore[assignment]  # typeshed: the outermost frame has none
    if frame is None:
        return where
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}, {where}"


def _is_ours(module: object, filename: str) -> bool:
    """Whether a frame is this package's, or of a method that attrs made for it."""
    return str(module).partition(".")[0] == _OURS or filename.startswith("<attrs generated")
