"""Colours that readers with any colour vision can tell apart.

The series are Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), without its yellow, which is
lost on white, and with vermilion kept for what went wrong.
"""

from __future__ import annotations

from collections.abc import Iterable

SERIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#8064a2", "#8c6d31", "#7f8c99")
OTHERS = "#9aa5b1"
BAD = "#d55e00"
GOOD = "#7fa8c9"
INK = "#52606d"


def colors(names: Iterable[str], others: str = "others") -> dict[str, str]:
    """A colour for each name, in order; `others` is grey."""
    named: dict[str, str] = {}
    for name in names:
        named[name] = OTHERS if name == others else SERIES[len(named) % len(SERIES)]
    return named
