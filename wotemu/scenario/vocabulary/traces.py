"""Recorded conditions to be replayed: CSV files, and Mahimahi's lists of delivery opportunities."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, NoReturn, Self

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.condition_values import GRADED, same_kind
from wotemu.scenario.vocabulary.actions import check_step_count, factor, microseconds, parse_length
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.suggestions import did_you_mean
from wotemu.topology.conditions import check_range
from wotemu.topology.deployment_paths import locate
from wotemu.units import Fraction, Quantity, QuantityLike, Rate, Seconds

OPPORTUNITY_BITS = 1504 * 8
"""Bits of one delivery opportunity of Mahimahi's: a packet of 1504 bytes (its MTU-sized packet)."""

WINDOW = "500ms"
"""Over how long the rate of Mahimahi's delivery opportunities is a mean, unless it is said."""

COLUMNS: dict[str, tuple[str, Callable[[float], Quantity]]] = {
    "latency_ms": ("latency", lambda value: Seconds.of_number(value / 1e3)),
    "jitter_ms": ("jitter", lambda value: Seconds.of_number(value / 1e3)),
    "loss": ("loss", Fraction.of_number),
    "rate_bps": ("rate", Rate.of_number),
}
"""The columns of a CSV trace, beside ``t``."""

MAX_START_S = 1e6
"""Times that start later than this are no offsets from a recording's begin, but times of day."""

FROM_ZERO = "give its path as Trace.read(path, from_zero=True) to subtract the first time from all"

Row = tuple[float, Mapping[str, Any]]


@attrs.frozen
class Trace:
    """Conditions over time.

    Attributes:
        name: For messages.
        rows: Pairs of a time in seconds, rising, and the conditions that hold from it on, by name.
        length_s: When it is over and may begin again, in seconds.
        path: The file from which `read` makes the same; None where it can't.
        from_zero: As `read` takes it.
    """

    name: str
    rows: tuple[Row, ...] = attrs.field(repr=False)
    length_s: float
    path: str | Path | None = attrs.field(default=None, eq=False, repr=False)
    from_zero: bool = attrs.field(default=False, eq=False, repr=False)

    @classmethod
    def read(cls, path: str | Path, *, from_zero: bool = False) -> Self:
        """Read a ``.csv`` file, or else one of Mahimahi's.

        Args:
            path: The file, relative to the folder of the deployment's file.
            from_zero: Subtract the first time from all, as recordings with times of day need.
        """
        read = cls.csv if _is_csv(path) else cls.mahimahi
        return read(path, from_zero=from_zero)

    @classmethod
    def csv(cls, path: str | Path, *, from_zero: bool = False) -> Self:
        """Columns ``t`` (seconds, rising), ``latency_ms``, ``jitter_ms``, ``loss`` (0 to 1), ``rate_bps``.

        The first line names those that are there; an empty cell leaves its condition as it is; ``#`` begins a
        comment; a rate of 0 is an outage. The last row lasts as long as the one before.

        Raises:
            ScenarioError: It names the file and line that is wrong.
        """
        lines = [(n, line) for n, line in enumerate(_lines(path), 1) if line.partition("#")[0].strip()]
        if not lines:
            raise ScenarioError("it is empty", where=str(path))
        header = _cells(lines[0][1])
        _check_header(header, f"{path}, line {lines[0][0]}")
        rows: list[Row] = []
        for number, line in lines[1:]:
            where = f"{path}, line {number}"
            row = _row(header, _cells(line), where)
            if rows and row[0] <= rows[-1][0]:
                raise ScenarioError(f"t={row[0]:g} does not come after t={rows[-1][0]:g}", where=where)
            rows.append(row)
        if not rows:
            raise ScenarioError("it has no rows below its header", where=str(path))
        first_s = _start(rows[0][0], str(path), from_zero=from_zero)
        if first_s:
            rows = [(round(t_s - first_s, 9), values) for t_s, values in rows]
        last_s = rows[-1][0] - rows[-2][0] if len(rows) > 1 else 1.0
        again = path if _is_csv(path) else None
        return cls(Path(path).name, tuple(rows), rows[-1][0] + last_s, again, from_zero)

    @classmethod
    def mahimahi(cls, path: str | Path, window: QuantityLike = WINDOW, *, from_zero: bool = False) -> Self:
        """Lines of milliseconds, each an opportunity to deliver 1504 bytes, as mm-link(1) takes them.

        The rate is the mean over each `window`; 0, an outage, where it has no opportunity: packets wait, as
        behind mm-link. The last line is the length.
        """
        window_s = parse_length(window, f"{path}, window") / 1e6
        instants = _opportunities(path)
        first_ms = round(1e3 * _start(instants[0] / 1e3, str(path), from_zero=from_zero))
        times_s = [(instant - first_ms) / 1e3 for instant in instants]
        length_s = max(times_s[-1], 1e-3)
        check_step_count(length_s / window_s, f"{path}, window")
        windows = math.ceil(length_s / window_s)
        counts = Counter(min(int(t_s / window_s), windows - 1) for t_s in times_s)
        rows: list[Row] = []
        for number in range(windows):
            start_s = number * window_s
            rate = counts[number] * OPPORTUNITY_BITS / (min(start_s + window_s, length_s) - start_s)
            if not rows or round(rate) != rows[-1][1]["rate"]:
                rows.append((start_s, {"rate": Rate(round(rate))}))
        again = path if window == WINDOW and not _is_csv(path) else None
        return cls(Path(path).name, tuple(rows), length_s, again, from_zero)

    def scaled(self, factors: Mapping[str, float], where: str) -> Self:
        """The same with conditions multiplied."""
        for name, by in factors.items():
            if name not in GRADED:
                raise ScenarioError(
                    f"{name!r} is no condition to multiply",
                    where=f"{where}, scale",
                    hint=did_you_mean(name, sorted(GRADED)),
                    field="scale",
                )
            factor(by, name, f"{where}, scale")
        rows = [
            (t_s, {name: same_kind(value, value * factors.get(name, 1.0)) for name, value in values.items()})
            for t_s, values in self.rows
        ]
        return attrs.evolve(self, rows=tuple(rows), path=None)

    def placed(
        self, start_us: int, end_us: int, *, speed: float, loop: bool
    ) -> list[tuple[int, Mapping[str, Any]]]:
        """Its rows from a moment until before another, so many times as fast; `loop` begins it again.

        Raises:
            ScenarioError: Its first row comes after the end.
        """
        found: list[tuple[int, Mapping[str, Any]]] = []
        for time in count():
            for t_s, values in self.rows:
                at_us = start_us + microseconds((time * self.length_s + t_s) / speed)
                if at_us >= end_us:
                    return found or self._refuse()
                found.append((at_us, values))
            if not loop:
                return found
        return found

    def _refuse(self) -> NoReturn:
        raise ScenarioError(
            f"all its rows come after the end of its replay, the first at {Seconds(self.rows[0][0])}",
            where=self.name,
            hint=FROM_ZERO,
        )


def _is_csv(path: str | Path) -> bool:
    return str(path).lower().endswith(".csv")


def _start(first_s: float, where: str, *, from_zero: bool) -> float:
    """What to subtract from all times."""
    if not from_zero and first_s >= MAX_START_S:
        raise ScenarioError(f"its times start at {first_s:.10g} s", where=where, hint=FROM_ZERO)
    return first_s if from_zero else 0.0


def _lines(path: str | Path) -> list[str]:
    if not isinstance(path, str | Path):
        raise ScenarioError(
            f"{path!r} is no path", where=source_location("Trace"), hint='write "traces/lte.csv"'
        )
    try:
        return locate(path).read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"it can't be read: {error}", where=str(path)) from error


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line.partition("#")[0]]))]


def _check_header(header: list[str], where: str) -> None:
    known = f"columns are t, {', '.join(COLUMNS)}"
    for name in header:
        if name != "t" and name not in COLUMNS:
            raise ScenarioError(f"there is no column {name!r}", where=where, hint=known)
    if "t" not in header or len(header) < 2 or len(set(header)) < len(header):
        raise ScenarioError("it needs a column t and another one, each once", where=where, hint=known)


def _row(header: list[str], cells: list[str], where: str) -> Row:
    if len(cells) != len(header):
        raise ScenarioError(f"{len(cells)} cells for {len(header)} columns", where=where)
    t_s, values = math.nan, {}
    for column, cell in zip(header, cells, strict=True):
        if not cell and column != "t":
            continue
        try:
            number = float(cell)
            if column == "t":
                t_s = _time(number)
            else:
                name, read = COLUMNS[column]
                values[name] = read(number)
                check_range(name, values[name])
        except ValueError as error:
            raise ScenarioError(f"{column}: {error}", where=where) from error
    return t_s, values


def _time(number: float) -> float:
    """A point in time: an offset, or a time of day, which may be any number of seconds."""
    if not 0 <= number < math.inf:
        raise ValueError(f"{number!r} is not a time: it must be finite and not negative")
    return number


def _opportunities(path: str | Path) -> list[int]:
    instants: list[int] = []
    for number, line in enumerate(_lines(path), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        where = f"{path}, line {number}"
        if not text.isascii() or not text.isdigit():
            raise ScenarioError(f"{text!r} is not a whole number of milliseconds", where=where)
        if instants and int(text) < instants[-1]:
            raise ScenarioError(f"{text} comes before {instants[-1]}", where=where)
        instants.append(int(text))
    if not instants or not instants[-1]:
        raise ScenarioError("it has no delivery opportunity after 0 ms", where=str(path))
    return instants
