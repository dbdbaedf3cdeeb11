"""Quantities with units: parsed from what people write, carried as floats, printed back readably."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import ClassVar, Self

_NUMBER = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]{1,3})?"
_QUANTITY = re.compile(rf"\s*([+-]?{_NUMBER})\s*([a-zµμ%/]*)\s*", re.IGNORECASE)


class Quantity(float):
    """A non-negative, finite float in one fixed unit.

    `Seconds.of` reads what people write: text with a unit; a bare number only where it can't be misread.
    `Seconds.of_number` takes a number in the fixed unit. `Seconds(0.3)` does too, and checks nothing.
    """

    UNITS: ClassVar[Mapping[str, Decimal]] = {}
    """What one of each unit is in the fixed one; names are in lower case."""
    SUGGESTED: ClassVar[tuple[str, ...]] = ()
    """The units to suggest for a bare number. Empty: a bare number counts in the fixed unit."""
    EXAMPLE: ClassVar[str]
    WHAT: ClassVar[str]
    MOST: ClassVar[float]
    """More than this is a slip, whatever it is of."""

    @classmethod
    def of(cls, value: str | float | timedelta) -> Self:
        """Read text with a unit, a quantity of this kind, or 0.

        Raises:
            TypeError: It is another kind of quantity, or neither number nor text.
            ValueError: It has no unit or an unknown one, is negative, or is not finite.
        """
        if type(value) is cls and 0 <= value < math.inf:
            return value
        if isinstance(value, Quantity) and not isinstance(value, cls):
            raise TypeError(f"{value} is {value.WHAT}, not {cls.WHAT}")
        if isinstance(value, timedelta):
            if cls is not Seconds:
                raise TypeError(f"{value!r} is a duration, not {cls.WHAT}")
            return cls._checked(value.total_seconds(), value)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise TypeError(f"{value!r} is not {cls.WHAT}: write one such as {cls.EXAMPLE}")
        if isinstance(value, str):
            return cls._checked(cls._parse(value), value)
        return cls._checked(value if isinstance(value, cls) else cls._bare(value, value), value)

    @classmethod
    def of_number(cls, number: float) -> Self:
        """A number in the fixed unit, as files with units in their columns' names have it.

        Raises:
            ValueError: It is negative or not finite.
        """
        return cls._checked(number, number)

    @classmethod
    def _checked(cls, number: float, value: object) -> Self:
        """The quantity, if it is finite and not negative; `value` is what was written."""
        try:
            number = float(number)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number) or number < 0:
            raise ValueError(f"{value!r} is not {cls.WHAT}: it must be finite and not negative")
        if number > cls.MOST:
            raise ValueError(cls._too_much(number, value))
        return cls(cls._rounded(number))

    @classmethod
    def _too_much(cls, _number: float, value: object) -> str:
        return f"{value!r} is more than {cls(cls.MOST)}"

    @classmethod
    def _rounded(cls, number: float) -> float:
        return number

    @classmethod
    def _bare(cls, number: float, value: object) -> float:
        """A number without a unit, where that can't be misread."""
        if cls.SUGGESTED and 0 < number < 1e300:
            raise ValueError(f"{value!r} has no unit: write {cls._suggestion(number)}")
        return number

    @classmethod
    def _suggestion(cls, number: float) -> str:
        """What may be meant by a bare number: ``"100ms" or "100s"``."""
        return " or ".join(f'"{_trim(number)}{unit}"' for unit in cls.SUGGESTED)

    @classmethod
    def _parse(cls, text: str) -> float:
        match = _QUANTITY.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not {cls.WHAT}: write one such as {cls.EXAMPLE}")
        number, unit = match.groups()
        return float(Decimal(number) * cls._factor(unit, text)) if unit else cls._bare(float(number), text)

    @classmethod
    def _factor(cls, unit: str, text: str) -> Decimal:
        """What one of `unit` is in the fixed unit."""
        factor = cls.UNITS.get(unit.lower())
        if factor is None:
            raise _unknown_unit(unit, text, cls.UNITS)
        return factor

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


def _unknown_unit(unit: str, text: str, known: Iterable[str]) -> ValueError:
    return ValueError(f"{text!r} has the unknown unit {unit!r}: known are {', '.join(known)}")


def _trim(number: float) -> str:
    return f"{number:.6g}"


def _scales(units: Mapping[str, str | int]) -> dict[str, Decimal]:
    """Units by name from ``{"s sec": 1, ...}``."""
    return {name: Decimal(factor) for names, factor in units.items() for name in names.split()}


class Seconds(Quantity):
    """A duration in seconds; ``"300ms"``, ``"1.5s"``, ``"2m"``, ``"1h30m"``, ``"1:30"`` (minutes, seconds).

    As a part of a scenario a bare number is seconds: see `offset`.
    """

    UNITS: ClassVar = _scales(
        {
            "s sec secs second seconds": 1,
            "ms": "1e-3",
            "us µs μs": "1e-6",
            "ns": "1e-9",
            "m min mins minute minutes": 60,
            "h hr hour hours": 3600,
            "d day days": 86400,
        }
    )
    SUGGESTED: ClassVar = ("ms", "s")
    EXAMPLE: ClassVar = '"300ms" or "1.5s"'
    WHAT: ClassVar = "a duration"
    MOST: ClassVar = 1e9

    @classmethod
    def offset(cls, value: str | float | timedelta) -> Self:
        """A point in time or a length of a scenario: as `of`, but a bare number is seconds."""
        if isinstance(value, int | float) and not isinstance(value, bool | Quantity):
            return cls.of_number(value)
        if isinstance(value, str) and (match := _QUANTITY.fullmatch(value)) and not match.group(2):
            return cls._checked(float(match.group(1)), value)
        return cls.of(value)

    @classmethod
    def _parse(cls, text: str) -> float:
        if clock := _CLOCK.fullmatch(text):
            hours, minutes, seconds = clock.groups()
            return float(Decimal(hours or 0) * 3600 + Decimal(minutes) * 60 + Decimal(seconds))
        if _QUANTITY.fullmatch(text) or not _COMPOUND.fullmatch(text):
            return super()._parse(text)
        parts = [(Decimal(number), cls._factor(unit, text)) for number, unit in _PART.findall(text)]
        factors = [factor for _, factor in parts]
        if factors != sorted(set(factors), reverse=True):
            raise ValueError(f"{text!r} is not a duration: give each unit once, the largest first: 1h30m")
        return float(sum(number * factor for number, factor in parts))

    @classmethod
    def _factor(cls, unit: str, text: str) -> Decimal:
        if unit == "M":
            raise ValueError(f'{text!r} is not a duration: write "m" or "min" for minutes')
        return super()._factor(unit, text)

    @classmethod
    def _suggestion(cls, number: float) -> str:
        return super()._suggestion(number) if number >= 1 else f'"{cls(number)}"'

    def __str__(self) -> str:
        if 0 < self < 1e-3:
            return f"{_trim(self * 1e6)}us"
        return f"{_trim(self * 1e3)}ms" if 0 < self < 1 else f"{_trim(self)}s"


_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)\s*([a-zµμ]+)", re.IGNORECASE)
_COMPOUND = re.compile(rf"\s*(?:{_PART.pattern}\s*){{2,}}", re.IGNORECASE)
_CLOCK = re.compile(r"\s*(?:([0-9]+):(?=[0-5][0-9]:))?([0-9]+):([0-5][0-9](?:\.[0-9]*)?)\s*")


class Rate(Quantity):
    """Bits a second, in powers of 1000; ``"1.5mbit"``, ``"10Mbps"``, ``"1 Gb/s"``, ``"100k"``.

    ``"2MB/s"`` and ``"2MBps"``, with a capital B, are bytes a second. 0 is an outage: nothing leaves.
    """

    SUGGESTED: ClassVar = ("kbit", "mbit")
    EXAMPLE: ClassVar = '"1.5mbit"'
    WHAT: ClassVar = "a rate"
    MOST: ClassVar = 1e15

    @classmethod
    def _factor(cls, unit: str, text: str) -> Decimal:
        if match := _BITS.fullmatch(unit) or _BYTES.fullmatch(unit):
            bits = 8 if match.re is _BYTES else 1
            return bits * Decimal(1000) ** " kmgt".index(match.group(1).lower() or " ")
        if match := _BITS_OR_BYTES.fullmatch(unit):
            prefix = match.group(1).upper().replace("K", "k")
            start = text[: text.index(unit)].strip() + prefix
            raise ValueError(f'{text!r} may be bits or bytes: write "{start}bit/s" or "{start}B/s"')
        raise _unknown_unit(unit, text, ("bit/s", "kbit/s", "Mbit/s", "Gbit/s", "B/s", "kB/s", "MB/s"))

    @classmethod
    def _suggestion(cls, number: float) -> str:
        return super()._suggestion(number) if number < 1000 else f'"{cls(number)}"'

    def __str__(self) -> str:
        for unit, factor in (("tbit", 1e12), ("gbit", 1e9), ("mbit", 1e6), ("kbit", 1e3)):
            if self >= factor:
                return f"{_trim(self / factor)}{unit}"
        return f"{_trim(self)}bit"


_BITS = re.compile(r"([kmgtKMGT]?)((?i:bits?(?:/s)?)|b/s|bps|)")
_BYTES = re.compile(r"([kmgtKMGT]?)(B/s|Bps)")
_BITS_OR_BYTES = re.compile(r"([kmgt]?)b(?:ps|/s|ytes?(?:ps|/s)?)?", re.IGNORECASE)


class Bytes(Quantity):
    """A size in bytes, in powers of 1024 as Docker and tc(8) have it: ``"150MB"``, ``"150M"`` are 150 MiB."""

    UNITS: ClassVar = _scales(
        {"b": 1, "k kb kib": 1024, "m mb mib": 1024**2, "g gb gib": 1024**3, "t tb tib": 1024**4}
    )
    SUGGESTED: ClassVar = ("B", "KiB", "MiB")
    EXAMPLE: ClassVar = '"150MiB"'
    WHAT: ClassVar = "a size"
    MOST: ClassVar = 2.0**60

    @classmethod
    def _rounded(cls, number: float) -> float:
        return round(number)

    def __str__(self) -> str:
        for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
            if self >= factor:
                return f"{_trim(self / factor)}{unit}"
        return f"{int(self)}B"


class Packets(Quantity):
    """A number of packets; ``"100p"`` or ``"100 packets"``."""

    UNITS: ClassVar = _scales({"p pkt pkts packet packets": 1})
    EXAMPLE: ClassVar = '"100p"'
    WHAT: ClassVar = "a number of packets"
    MOST: ClassVar = 1e12

    @classmethod
    def _rounded(cls, number: float) -> float:
        return round(number)

    def __str__(self) -> str:
        return f"{int(self)}p"


class Fraction(Quantity):
    """A share between 0 and 1; ``"5%"`` or ``0.05``. All is ``"100%"``: a bare 1 may be meant as 1 %."""

    UNITS: ClassVar = _scales({"%": "0.01"})
    EXAMPLE: ClassVar = '"5%" or 0.05'
    WHAT: ClassVar = "a share"
    MOST: ClassVar = 1.0

    @classmethod
    def _bare(cls, number: float, value: object) -> float:
        if number == 1:
            raise ValueError(f'{value!r} may be all or 1 %: write "100%" or "1%"')
        return number

    @classmethod
    def _too_much(cls, number: float, value: object) -> str:
        meant = cls.EXAMPLE if isinstance(value, str) or number > 100 else f'"{_trim(number)}%"'
        return f"{value!r} is more than the whole: write {meant}"

    def __str__(self) -> str:
        return f"{_trim(self * 100)}%"


class PerSecond(Quantity):
    """How often something happens; ``"5/s"``, ``"300/min"``."""

    UNITS: ClassVar = {"/s": Decimal(1), "/min": 1 / Decimal(60), "/h": 1 / Decimal(3600)}
    SUGGESTED: ClassVar = ("/s", "/min")
    EXAMPLE: ClassVar = '"5/s"'
    WHAT: ClassVar = "a number a second"
    MOST: ClassVar = 1e12

    def __str__(self) -> str:
        return f"{_trim(self)}/s"


class Hertz(Quantity):
    """A clock frequency; ``"1.2GHz"``."""

    UNITS: ClassVar = _scales({"hz": 1, "khz": "1e3", "mhz": "1e6", "ghz": "1e9"})
    SUGGESTED: ClassVar = ("MHz", "GHz")
    EXAMPLE: ClassVar = '"1.2GHz"'
    WHAT: ClassVar = "a frequency"
    MOST: ClassVar = 1e15

    @classmethod
    def _suggestion(cls, number: float) -> str:
        return super()._suggestion(number) if number < 1e4 else f'"{cls(number)}"'

    def __str__(self) -> str:
        for unit, factor in (("GHz", 1e9), ("MHz", 1e6), ("kHz", 1e3)):
            if self >= factor:
                return f"{_trim(self / factor)}{unit}"
        return f"{_trim(self)}Hz"


QuantityLike = str | float | int | timedelta
"""What callers may pass for a quantity."""
