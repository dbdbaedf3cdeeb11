"""Which value of a parameter to try next, to find the last one at which something holds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Self

import attrs

from wotemu.errors import InputError

_DIGITS = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
_RANGE = re.compile(rf"\s*(?P<low>{_DIGITS})\s*(?P<low_unit>\S*?)\s*\.\.\s*(?P<high>\S+?)\s*")
_NUMBER = re.compile(rf"(?P<number>{_DIGITS})(?P<unit>\S*)")
_WIDE = 10.0
"""From this factor between the ends on, steps are by ratios rather than by differences."""


@attrs.frozen
class ParameterRange:
    """A parameter's values, from `low` to `high`.

    Attributes:
        name: What functions of the file take it by.
        unit: Of both ends, such as ``ms``; "" for numbers.
        is_whole: Whether its values are whole numbers.
    """

    name: str
    low: float
    high: float
    unit: str = ""
    is_whole: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """A range from ``NAME=LOW..HIGH``, such as ``loss=0..20%`` or ``readers=1..64``.

        Raises:
            InputError: It is none.
        """
        name, _, values = text.partition("=")
        match = _RANGE.fullmatch(values)
        high = match and _NUMBER.fullmatch(match["high"])
        if not (name.strip().isidentifier() and match and high):
            raise InputError(
                f"{text!r} is no NAME=LOW..HIGH",
                where="--param",
                hint="write latency=10ms..2000ms",
            )
        unit = high["unit"]
        if match["low_unit"] not in ("", unit):
            raise InputError(
                f"its ends have two units, {match['low_unit']!r} and {unit!r}",
                where=f"--param {name}",
                hint="write both in one",
            )
        ends = float(match["low"]), float(high["number"])
        if not ends[0] < ends[1]:
            raise InputError("it has no values: LOW is not below HIGH", where=f"--param {name}")
        is_whole = not unit and all(
            "." not in each and "e" not in each for each in (match["low"], match["high"])
        )
        return cls(name.strip(), *ends, unit, is_whole)

    def given(self, value: float) -> str | int | float:
        """The value as functions of the file get it: text where it has a unit."""
        if self.is_whole:
            return int(value)
        return f"{value:.6g}{self.unit}" if self.unit else value

    def _middle(self, one: float, two: float) -> float:
        is_wide = self.low > 0 and self.high / self.low >= _WIDE
        middle = math.sqrt(one * two) if is_wide else (one + two) / 2
        return float(round(middle)) if self.is_whole else float(f"{middle:.4g}")

    def next_value(self, known: Mapping[float, bool], tolerance: float) -> float | None:
        """What to try next: first both ends, then between the values where it held and where it did not.

        Args:
            known: Whether it held, by value.
            tolerance: How close these may be, as a share of the larger one.

        Returns:
            None where both ends are alike, or the last value is known closely enough.
        """
        for end in (self.low, self.high):
            if end not in known:
                return end
        edge = self.edge(known)
        if edge is None:
            return None
        held, failed = edge
        if abs(held - failed) <= tolerance * max(abs(held), abs(failed)):
            return None
        middle = self._middle(held, failed)
        return None if middle in known else middle

    def edge(self, known: Mapping[float, bool]) -> tuple[float, float] | None:
        """The last value at which it held, from the end where it did, and the next one at which it did not.

        Returns:
            None where an end is unknown, or both are alike.
        """
        if self.low not in known or self.high not in known or known[self.low] == known[self.high]:
            return None
        ordered = sorted(known, reverse=known[self.high])
        failed = next(number for number, value in enumerate(ordered) if not known[value])
        return ordered[failed - 1], ordered[failed]
