"""Colours that readers with any colour vision can distinguish.

The series are those of Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), without its yellow, which
is invisible on white. Vermilion is reserved for failures. Orange and sky blue are darker than the palette's,
which have a contrast of 2.3:1 on white: graphics need 3:1 (WCAG 2.1, 1.4.11).
"""

from __future__ import annotations

from collections.abc import Iterable

SERIES = ("#0072b2", "#bb8000", "#009e73", "#cc79a7", "#3596d0", "#8064a2", "#8c6d31", "#7f8c99")
OTHERS = "#87949f"
BAD = "#d55e00"
GOOD = "#5f93bb"
INK = "#52606d"


def colors(names: Iterable[str], others: str = "others") -> dict[str, str]:
    """A colour for each name, in order; `others` is grey.

    More names than there are colours repeat them: fold the series first.
    """
    named: dict[str, str] = {}
    for name in names:
        named[name] = OTHERS if name == others else SERIES[len(named) % len(SERIES)]
    return named
