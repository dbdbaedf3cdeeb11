"""Which column of a table is which condition, and in what unit: ``latency=rtt_ms:ms/2``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import attrs

from wotemu.suggestions import did_you_mean
from wotemu.traces.recording import CONDITION_COLUMNS, TraceImportError

_TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_RATES = {
    **{"bit/s": 1.0, "kbit/s": 1e3, "mbit/s": 1e6, "gbit/s": 1e9},
    **{"byte/s": 8.0, "kbyte/s": 8e3, "mbyte/s": 8e6},
}
_SHARES = {"share": 1.0, "%": 1e-2, "u32": 1 / (2**32 - 1)}
_MILLISECONDS = {name: factor * 1e3 for name, factor in _TIMES.items()}

UNITS: Mapping[str, Mapping[str, float]] = {
    "t": _TIMES,
    "keep": _TIMES,
    "latency": _MILLISECONDS,
    "jitter": _MILLISECONDS,
    "loss": _SHARES,
    "rate": _RATES,
}
"""The units of each target, with what one of them is in the unit of the trace's column. ``t`` also takes
``iso`` and a format of strptime(3)."""

_EXPRESSION = re.compile(
    r"(?P<target>[a-z]+)=(?P<source>.+?):(?P<unit>[^:/]+(?:/s)?|%.+)(?:/(?P<by>[0-9.]+))?"
)


@attrs.frozen
class MappedColumn:
    """One column of a table.

    Attributes:
        target: "t", "keep" (how long a row lasts, instead of "t"), or a condition's name.
        source: The column's name, or its number from 1 as text, for tables without a header.
        unit: One of `UNITS`, "iso", or a format for strptime.
        by: What values are divided by: 2 makes one way of a round trip.
        read: From a cell to the number in the trace's unit.
    """

    target: str
    source: str
    unit: str
    by: float = 1.0

    @classmethod
    def of(cls, text: str) -> MappedColumn:
        """Parse ``TARGET=COLUMN:UNIT`` or ``TARGET=COLUMN:UNIT/DIVISOR``.

        Raises:
            TraceImportError: It has another form, or names an unknown target or unit.
        """
        where = f"--column {text}"
        match = _EXPRESSION.fullmatch(text.strip())
        if match is None:
            raise TraceImportError(
                "it is no TARGET=COLUMN:UNIT", where=where, hint='write "latency=rtt_ms:ms/2" or "t=time:s"'
            )
        target, unit = match["target"], match["unit"].strip()
        if target not in UNITS:
            raise TraceImportError(
                f"there is no target {target!r}", where=where, hint=did_you_mean(target, sorted(UNITS))
            )
        if unit not in UNITS[target] and not (target == "t" and (unit == "iso" or "%" in unit)):
            known = [*UNITS[target], *(["iso", "%Y.%m.%d_%H.%M.%S"] if target == "t" else [])]
            raise TraceImportError(
                f"{unit!r} is no unit of {target}", where=where, hint=f"known are {', '.join(known)}"
            )
        by = float(match["by"]) if match["by"] else 1.0
        if not by:
            raise TraceImportError("0 divides nothing", where=where)
        return cls(target, match["source"].strip(), unit, by)

    @property
    def read(self) -> Callable[[str], float]:
        """From a cell to the number in the trace's unit; `ValueError` where it is none."""
        if self.target == "t" and self.unit == "iso":
            return _iso
        if self.target == "t" and "%" in self.unit:
            return lambda cell: datetime.strptime(cell, self.unit).replace(tzinfo=UTC).timestamp()
        factor = UNITS[self.target][self.unit] / self.by
        return lambda cell: float(cell) * factor

    def __str__(self) -> str:
        return f"{self.source}, {self.unit}" + (f" / {self.by:g}" if self.by != 1 else "")


def _iso(cell: str) -> float:
    read = datetime.fromisoformat(cell)
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def check_mapping(columns: list[MappedColumn]) -> None:
    """Check that a mapping has a time, a condition, and nothing twice.

    Raises:
        TraceImportError: It has not.
    """
    targets = [column.target for column in columns]
    twice = sorted({target for target in targets if targets.count(target) > 1})
    if twice:
        raise TraceImportError(f"{twice[0]} is mapped twice", where="--column")
    if len({"t", "keep"} & set(targets)) != 1:
        raise TraceImportError(
            "it needs t, the time of a row, or keep, how long a row lasts",
            where="--column",
            hint='write --column "t=time:s"',
        )
    if not set(CONDITION_COLUMNS) & set(targets):
        raise TraceImportError(
            "it maps no condition", where="--column", hint=f"conditions are {', '.join(CONDITION_COLUMNS)}"
        )
