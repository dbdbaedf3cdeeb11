"""Shapes that jitter can have: NetEm's four by name, or a table of one's own."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Self

import attrs

from wotemu.errors import TopologyError
from wotemu.topology.deployment_paths import locate

DISTRIBUTIONS = ("normal", "uniform", "pareto", "paretonormal")
"""The shapes known by name, as tc-netem(8) has them."""


def _values(values: Any) -> tuple[int, ...]:
    items = () if isinstance(values, str) or not isinstance(values, Iterable) else tuple(values)
    if len(items) < 2:
        raise ValueError(f"{values!r:.60} is no table: give at least two numbers")
    if len(items) > DistributionTable.MAX_VALUES:
        raise ValueError(
            f"{len(items)} numbers are more than the {DistributionTable.MAX_VALUES} that NetEm takes"
        )
    for item in items:
        if isinstance(item, bool) or not isinstance(item, int) or not -32768 <= item <= 32767:
            raise ValueError(f"{item!r} is not a whole number from -32768 to 32767")
    return tuple(sorted(items))


@attrs.frozen(repr=False, cache_hash=True)  # thousands of values, hashed with the conditions
class DistributionTable:
    """A delay distribution as iproute2's ``.dist`` files hold it.

    A packet's delay is latency + jitter * value / 8192, for a random one of its values.

    Attributes:
        values: Quantiles at equal shares, sorted, in 1/8192 (NETEM_DIST_SCALE) of the jitter away from the
            latency: 2 to 16384 (NETEM_DIST_MAX) whole numbers.

    Raises:
        ValueError: A value is no whole number of 16 bits, or there are too few or too many.
    """

    values: tuple[int, ...] = attrs.field(converter=_values)

    SCALE: ClassVar[int] = 8192
    MAX_VALUES: ClassVar[int] = 16384
    SAMPLED: ClassVar[int] = 1024
    """Values of a table made from samples."""

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a ``.dist`` file: whole numbers between blanks; ``#`` begins a comment.

        Args:
            path: The file, relative to the folder of the deployment's file.

        Raises:
            TopologyError: It can't be read; the error names the file and the line.
        """
        try:
            lines = locate(path).read_text("ascii").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise TopologyError(f"it can't be read: {error}", where=str(path)) from error
        values: list[int] = []
        for number, line in enumerate(lines, 1):
            for word in line.partition("#")[0].split():
                try:
                    values.append(int(word))
                except ValueError as error:
                    where = f"{path}, line {number}"
                    raise TopologyError(f"{word!r} is not a whole number", where=where) from error
        try:
            return cls(tuple(values))
        except ValueError as error:
            raise TopologyError(str(error), where=str(path)) from error

    @classmethod
    def of_samples(cls, delays: Iterable[float]) -> Self:
        """The shape of measured delays: centred on their mean, scaled by their standard deviation.

        Give the same mean as `latency` and the same standard deviation as `jitter` to get the delays back.

        Args:
            delays: Two different ones at least, in any unit.

        Raises:
            ValueError: There are fewer, or one is not finite.
        """
        ordered = sorted(delays)
        if len(ordered) < 2 or ordered[0] == ordered[-1] or not all(map(math.isfinite, ordered)):
            raise ValueError("give at least two different, finite delays")
        mean = math.fsum(ordered) / len(ordered)
        deviation = math.sqrt(math.fsum((delay - mean) ** 2 for delay in ordered) / len(ordered))
        count = min(len(ordered), cls.SAMPLED)
        quantiles = (ordered[int((i + 0.5) / count * len(ordered))] for i in range(count))
        scaled = (round((quantile - mean) / deviation * cls.SCALE) for quantile in quantiles)
        return cls(tuple(max(-32768, min(32767, value)) for value in scaled))

    def __repr__(self) -> str:
        return f"<DistributionTable of {len(self.values)} values>"

    def __str__(self) -> str:
        return f"table of {len(self.values)}"


Distribution = str | DistributionTable
"""A shape's name, or a table."""


def distribution(value: Any) -> Distribution:
    """The converter: a known name, a table, its values, or the path of a ``.dist`` file."""
    if isinstance(value, DistributionTable) or (isinstance(value, str) and value in DISTRIBUTIONS):
        return value
    if isinstance(value, Path) or (isinstance(value, str) and ("/" in value or value.endswith(".dist"))):
        return DistributionTable.read(value)
    if isinstance(value, str):
        known = ", ".join(DISTRIBUTIONS)
        raise ValueError(f"{value!r} is no known distribution: known are {known}, and .dist files by path")  # noqa: TRY004  # a str may be right
    return DistributionTable(value)


def to_json(value: Distribution) -> Any:
    """The name, or the table's values."""
    return list(value.values) if isinstance(value, DistributionTable) else value
