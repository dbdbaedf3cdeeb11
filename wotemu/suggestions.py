"""Hints for misspelled names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

MAX_LISTED = 24
"""Names that a hint lists; of more, the others are only counted."""


def did_you_mean(name: object, known: Iterable[str], aliases: Mapping[str, str] | None = None) -> str | None:
    """A hint for an unknown name: ``did you mean 'latency'?``, and which names are known.

    Args:
        name: What was written.
        known: The names that there are; None is returned where there is none.
        aliases: What other tools call some of them, such as ``{"delay": "latency"}``.
    """
    names = list(dict.fromkeys(known))
    if not names:
        return None
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    listed = f"known are {', '.join(names[:MAX_LISTED])}{more}"
    if not isinstance(name, str):
        return listed
    meant = (aliases or {}).get(name.lower()) or next(
        (each for each in names if each.lower() == name.lower()), None
    )
    # An alias, or another case, says what is meant better than similarity: "delay" is not near "latency".
    close = [meant] if meant else get_close_matches(name, names, 1)
    return f"did you mean {close[0]!r}? {listed}" if close else listed
