"""Periodic functions of time, and sums of them: ``sine("20s") + square("5s", weight=0.3)``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.vocabulary.actions import factor, number, parse_length
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.suggestions import did_you_mean
from wotemu.units import QuantityLike


def _sine(x: float) -> float:
    return math.sin(2 * math.pi * x)


def _square(x: float) -> float:
    return 1.0 if x < 0.5 else -1.0


def _saw(x: float) -> float:
    return 2 * x - 1


def _triangle(x: float) -> float:
    return 1 - 4 * abs(((x + 0.25) % 1) - 0.5)


@attrs.frozen
class _Part:
    shape: str
    period_us: int
    weight: float
    shift: float


@attrs.frozen
class Wave:
    """A sum of weighted waves.

    A sine and a triangle begin in the middle, going up; a square begins at the top, a saw at the bottom.
    """

    parts: tuple[_Part, ...]

    SHAPES: ClassVar[dict[str, Callable[[float], float]]] = {
        "sine": _sine,
        "square": _square,
        "saw": _saw,
        "triangle": _triangle,
    }

    def __add__(self, other: Wave) -> Wave:
        """The sum of both waves."""
        if not isinstance(other, Wave):
            raise ScenarioError(
                f"{other!r} is no wave", where=source_location("wave +"), hint='sine("20s") + saw("5s")'
            )
        return Wave(self.parts + other.parts)

    @property
    def coarsest_us(self) -> int:
        """The longest step that still shows its shape: a quarter of its period, or half of a square's."""
        return min(part.period_us // (2 if part.shape == "square" else 4) for part in self.parts)

    @property
    def usual_us(self) -> int:
        """A second, or an eighth of its shortest period where a second is too coarse."""
        if self.coarsest_us >= 1_000_000:
            return 1_000_000
        return max(1, min(part.period_us for part in self.parts) // 8)

    def at(self, t_s: float) -> float:
        """The value, from -1 to 1, `t_s` seconds after the begin of the wave."""
        total = math.fsum(part.weight for part in self.parts)
        values = (
            part.weight * self.SHAPES[part.shape]((t_s * 1e6 / part.period_us + part.shift) % 1)
            for part in self.parts
        )
        return max(-1.0, min(1.0, math.fsum(values) / total))


def wave(shape: str, period: QuantityLike, *, weight: float = 1, shift: float = 0) -> Wave:
    """One wave of a named shape.

    Args:
        shape: ``sine``, ``square``, ``saw`` or ``triangle``.
        period: Its duration.
        weight: Its share in a sum of waves, relative to the others' weights.
        shift: The part of the period at which it begins, such as 0.25.

    Raises:
        ScenarioError: A value can't be.
    """
    where = source_location(f"wave {shape!r}")
    if not isinstance(shape, str) or shape not in Wave.SHAPES:
        raise ScenarioError(
            "there is no such shape", where=where, field="shape", hint=did_you_mean(shape, Wave.SHAPES)
        )
    part = number(shift, "shift", where, least=-1e6, most=1e6)
    return Wave(
        (_Part(shape, parse_length(period, where, "period"), factor(weight, "weight", where), part % 1),)
    )


def sine(period: QuantityLike, weight: float = 1, shift: float = 0) -> Wave:
    """A sine wave: from the middle up, down, and back.

    Args:
        period: Its duration.
        weight: Its share in a sum of waves, relative to the others' weights.
        shift: The part of the period at which it begins, such as 0.25.

    Raises:
        ScenarioError: A value can't be.
    """
    return wave("sine", period, weight=weight, shift=shift)


def square(period: QuantityLike, weight: float = 1, shift: float = 0) -> Wave:
    """A square wave: high for half of its period, then low.

    Args:
        period: Its duration.
        weight: Its share in a sum of waves, relative to the others' weights.
        shift: The part of the period at which it begins, such as 0.25.

    Raises:
        ScenarioError: A value can't be.
    """
    return wave("square", period, weight=weight, shift=shift)


def saw(period: QuantityLike, weight: float = 1, shift: float = 0) -> Wave:
    """A saw tooth: straight from low to high, then low at once.

    Args:
        period: Its duration.
        weight: Its share in a sum of waves, relative to the others' weights.
        shift: The part of the period at which it begins, such as 0.25.

    Raises:
        ScenarioError: A value can't be.
    """
    return wave("saw", period, weight=weight, shift=shift)


def triangle(period: QuantityLike, weight: float = 1, shift: float = 0) -> Wave:
    """A triangle wave: from the middle straight up, straight down, and back.

    Args:
        period: Its duration.
        weight: Its share in a sum of waves, relative to the others' weights.
        shift: The part of the period at which it begins, such as 0.25.

    Raises:
        ScenarioError: A value can't be.
    """
    return wave("triangle", period, weight=weight, shift=shift)
