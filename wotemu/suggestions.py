"""What a misspelled name may have meant, for hints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

MAX_LISTED = 12
"""More known names than these are not listed."""


def suggestion(name: object, known: Iterable[str], also: Mapping[str, str] | None = None) -> str | None:
    """A hint for a name that is not known: the closest one, or else what is known.

    Args:
        name: What was written.
        known: The names that there are.
        also: Other words that people use, and the known name that each stands for.
    """
    names = list(dict.fromkeys(known))
    if isinstance(name, str):
        meant = (also or {}).get(name.lower())
        close = [meant] if meant else get_close_matches(name, names, 1)
        if not close:
            close = [each for each in names if each.lower() == name.lower()]
        if close:
            return f"did you mean {close[0]!r}?"
    if not names:
        return None
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return f"known are {', '.join(names[:MAX_LISTED])}{more}"
