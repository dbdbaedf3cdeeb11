"""`OldWordWarning`: what an old word warns with, at the line of the user's own file."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

_PACKAGE = str(Path(__file__).parent.parent)


class OldWordWarning(DeprecationWarning):
    """A word of WoTemu 0.6 was used; the message has what to write now."""


_collected: dict[str, None] | None = None


@contextlib.contextmanager
def collecting_old_words() -> Iterator[dict[str, None]]:
    """Collect what is warned of inside of this context, each once, as ``file.py:LINE: message``."""
    global _collected  # old words are said in files of users, which can be given nothing to collect in
    before, _collected = _collected, {}
    try:
        yield _collected
    finally:
        _collected = before


def warn_of_old_word(message: str) -> None:
    """Warn at the innermost line that is in no file of WoTemu's."""
    file, line = _line_of_user(sys._getframe(1))
    if _collected is not None:
        _collected[f"{Path(file).name}:{line}: {message}"] = None
    warnings.warn_explicit(message, OldWordWarning, file, line, registry={})


def _line_of_user(frame: FrameType | None) -> tuple[str, int]:
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((_PACKAGE, "<")):  # attrs makes functions of files named "<attrs ...>"
            return file, frame.f_lineno
        frame = frame.f_back
    return "<unknown>", 0
