"""Types of conditions given as keyword arguments, so that editors complete them and mypy checks them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from wotemu.topology.distributions import Distribution
from wotemu.topology.loss_models import LossModel
from wotemu.units import Bytes, Packets, QuantityLike, Seconds


class ConditionValues(TypedDict, total=False):
    """What each field of `NetworkConditions` may be given as; see there for what each means."""

    latency: QuantityLike
    jitter: QuantityLike
    jitter_correlation: QuantityLike
    distribution: Distribution | Path
    loss: QuantityLike
    loss_correlation: QuantityLike
    loss_model: LossModel | dict[str, Any] | None
    ecn: bool
    duplicate: QuantityLike
    duplicate_correlation: QuantityLike
    corrupt: QuantityLike
    corrupt_correlation: QuantityLike
    reorder: QuantityLike
    reorder_correlation: QuantityLike
    reorder_gap: int
    rate: QuantityLike | None
    burst: QuantityLike | None
    overhead: int
    cell_size: int
    cell_overhead: int
    queue: str | Seconds | Bytes | Packets | None
    duty_cycle: QuantityLike


Range = tuple[QuantityLike, QuantityLike]
"""Two values of a condition: from the first to the second, or the bounds."""


class ConditionRanges(TypedDict, total=False):
    """Two values of each condition that is a quantity."""

    latency: Range
    jitter: Range
    jitter_correlation: Range
    loss: Range
    loss_correlation: Range
    duplicate: Range
    duplicate_correlation: Range
    corrupt: Range
    corrupt_correlation: Range
    reorder: Range
    reorder_correlation: Range
    rate: Range
    burst: Range
    duty_cycle: Range


class ConditionEnds(TypedDict, total=False):
    """Where each condition that is a quantity goes to, or from where to where."""

    latency: QuantityLike | Range
    jitter: QuantityLike | Range
    jitter_correlation: QuantityLike | Range
    loss: QuantityLike | Range
    loss_correlation: QuantityLike | Range
    duplicate: QuantityLike | Range
    duplicate_correlation: QuantityLike | Range
    corrupt: QuantityLike | Range
    corrupt_correlation: QuantityLike | Range
    reorder: QuantityLike | Range
    reorder_correlation: QuantityLike | Range
    rate: QuantityLike | Range
    burst: QuantityLike | Range
    duty_cycle: QuantityLike | Range


class ConditionFactors(TypedDict, total=False):
    """What each condition that is a quantity is multiplied by."""

    latency: float
    jitter: float
    jitter_correlation: float
    loss: float
    loss_correlation: float
    duplicate: float
    duplicate_correlation: float
    corrupt: float
    corrupt_correlation: float
    reorder: float
    reorder_correlation: float
    rate: float
    burst: float
    duty_cycle: float
