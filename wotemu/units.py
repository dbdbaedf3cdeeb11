"""Quantities with units: parsed from what people write, carried as floats, printed back readably."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import ClassVar, Self

_NUMBER = re.compile(r"^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-zµ%/]*)\s*$", re.IGNORECASE)


class Quantity(float):
    """A non-negative, finite float in one fixed unit."""

    UNITS: ClassVar[dict[str, float]]
    EXAMPLE: ClassVar[str]
    WHAT: ClassVar[str]

    @classmethod
    def of(cls, value: str | float | timedelta) -> Self:
        """Read a number (in the base unit) or a string with a unit.

        `TypeError` or `ValueError` say what is wrong; another kind of quantity is no number here.
        """
        if type(value) is cls and 0 <= value < math.inf:
            return value
        if isinstance(value, Quantity) and not isinstance(value, cls):
            raise TypeError(f"{value} is {value.WHAT}, not {cls.WHAT}")
        if isinstance(value, timedelta):
            if cls is not Seconds:
                raise TypeError(f"{value!r} is a duration, not {cls.WHAT}")
            value = value.total_seconds()
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise TypeError(f"{value!r} is not {cls.WHAT}: write one such as {cls.EXAMPLE}")
        number = cls._parse(value) if isinstance(value, str) else float(value)
        if not math.isfinite(number) or number < 0:
            raise ValueError(f"{value!r} is not {cls.WHAT}: it must be finite and not negative")
        return cls(cls._rounded(number))

    @classmethod
    def _rounded(cls, number: float) -> float:
        return number

    @classmethod
    def _parse(cls, text: str) -> float:
        match = _NUMBER.match(text)
        if match is None:
            raise ValueError(f"{text!r} is not {cls.WHAT}: write one such as {cls.EXAMPLE}")
        number, unit = match.groups()
        if unit and unit not in cls.UNITS and unit.lower() not in cls.UNITS:
            raise ValueError(
                f"{text!r} has the unknown unit {unit!r}: known are {', '.join(filter(None, cls.UNITS))}"
            )
        return float(number) * cls.UNITS.get(unit, cls.UNITS.get(unit.lower(), 1.0))


def unit_of(text: str) -> str:
    """The unit that follows the number in `text`; "" where there is none, or no number."""
    match = _NUMBER.match(text)
    return match.group(2) if match else ""


def _trim(number: float) -> str:
    return f"{number:.6g}"


class Seconds(Quantity):
    """A duration in seconds; ``"300ms"``, ``"1.5s"``, ``"2m"``, ``"1h"``; a bare number is seconds."""

    UNITS: ClassVar = {
        "": 1.0,
        "s": 1.0,
        "ms": 1e-3,
        "us": 1e-6,
        "µs": 1e-6,
        "m": 60.0,
        "min": 60.0,
        "h": 3600.0,
    }
    EXAMPLE: ClassVar = '"300ms" or 0.3'
    WHAT: ClassVar = "a duration"

    def __str__(self) -> str:
        if 0 < self < 1e-3:
            return f"{_trim(self * 1e6)}us"
        return f"{_trim(self * 1e3)}ms" if 0 < self < 1 else f"{_trim(self)}s"


class Rate(Quantity):
    """Bits a second, decimal as in tc(8); ``"1.5mbit"``, ``"50kbit"``, ``"2MBps"`` is bytes a second."""

    UNITS: ClassVar = {
        "": 1.0,
        **{
            f"{prefix}bit{end}": 1e3**power
            for power, prefix in enumerate(("", "k", "m", "g"))
            for end in ("", "/s")
        },
        **{f"{prefix}bps": 8 * 1e3**power for power, prefix in enumerate(("", "k", "m", "g"))},
    }
    EXAMPLE: ClassVar = '"1.5mbit"'
    WHAT: ClassVar = "a rate"

    @classmethod
    def of(cls, value: str | float | timedelta) -> Self:
        """As `Quantity.of`; besides, a rate of zero is refused: cut a link with a partition instead."""
        rate = super().of(value)
        if not rate:
            raise ValueError(f"{value!r} lets nothing through: use None for no limit, or a partition to cut")
        return rate

    def __str__(self) -> str:
        for unit, factor in (("gbit", 1e9), ("mbit", 1e6), ("kbit", 1e3)):
            if self >= factor:
                return f"{_trim(self / factor)}{unit}"
        return f"{_trim(self)}bit"


class Bytes(Quantity):
    """A size in bytes, binary as Docker reads it: ``"150M"`` is 150 * 1024 * 1024."""

    UNITS: ClassVar = {
        "": 1.0,
        "b": 1.0,
        **{
            f"{letter}{end}": 1024.0**power
            for power, letter in enumerate("kmgt", 1)
            for end in ("", "b", "ib")
        },
    }
    EXAMPLE: ClassVar = '"150M"'
    WHAT: ClassVar = "a size"

    @classmethod
    def _rounded(cls, number: float) -> float:
        return round(number)

    def __str__(self) -> str:
        for unit, factor in (("G", 1024**3), ("M", 1024**2), ("K", 1024)):
            if self >= factor:
                return f"{_trim(self / factor)}{unit}"
        return f"{int(self)}B"


class Packets(Quantity):
    """A number of packets; ``"100p"`` or ``"100 packets"``."""

    UNITS: ClassVar = {"p": 1.0, "pkts": 1.0, "packets": 1.0, "": 1.0, "pkt": 1.0, "packet": 1.0}
    EXAMPLE: ClassVar = '"100p"'
    WHAT: ClassVar = "a number of packets"

    @classmethod
    def _rounded(cls, number: float) -> float:
        return round(number)

    def __str__(self) -> str:
        return f"{int(self)}p"


class Fraction(Quantity):
    """A share between 0 and 1; ``"5%"`` or ``0.05``."""

    UNITS: ClassVar = {"": 1.0, "%": 0.01}
    EXAMPLE: ClassVar = '"5%" or 0.05'
    WHAT: ClassVar = "a share"

    @classmethod
    def of(cls, value: str | float | timedelta) -> Self:
        """As `Quantity.of`; besides, more than 1 is refused."""
        share = super().of(value)
        if share > 1:
            raise ValueError(f"{value!r} is more than the whole: write {cls.EXAMPLE}")
        return share

    def __str__(self) -> str:
        return f"{_trim(self * 100)}%"


class Hertz(Quantity):
    """A clock frequency; ``"1.2GHz"``; a bare number is hertz."""

    UNITS: ClassVar = {"": 1.0, "hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}
    EXAMPLE: ClassVar = '"1.2GHz"'
    WHAT: ClassVar = "a frequency"

    def __str__(self) -> str:
        for unit, factor in (("GHz", 1e9), ("MHz", 1e6), ("kHz", 1e3)):
            if self >= factor:
                return f"{_trim(self / factor)}{unit}"
        return f"{_trim(self)}Hz"


Like = str | float | int | timedelta
"""What callers may pass for a quantity."""
