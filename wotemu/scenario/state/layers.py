"""Layers: what each period does to the conditions below it, those of instants and of earlier periods."""

from __future__ import annotations

from typing import Any, ClassVar

from wotemu.scenario.condition_values import scaled
from wotemu.scenario.timeline import HopKey
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Fraction, Seconds


class Layer:
    """Conditions that one period sets in place of those below."""

    REPLACES: ClassVar[bool] = True
    """Whether the layer hides what lies below, instead of changing it."""

    def __init__(self, where: str) -> None:
        """An empty layer.

        Args:
            where: The action in the user's file, for messages.
        """
        self.where = where
        self.event = -1
        """The number of its action in the scenario."""
        self.values: dict[HopKey, dict[str, Any]] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.where}>"

    def over(self, key: HopKey, below: NetworkConditions) -> NetworkConditions:
        """The conditions of a hop with this layer over the given ones."""
        values = self.values.get(key)
        return below.replaced(values) if values else below


class ScalingLayer(Layer):
    """Factors by which a period multiplies what lies below."""

    REPLACES = False

    def over(self, key: HopKey, below: NetworkConditions) -> NetworkConditions:
        """The given conditions, multiplied."""
        factors = self.values.get(key)
        return below.replaced(scaled(below, factors, self.where)) if factors else below


class AddingLayer(Layer):
    """A further stretch of the path: delays add, the lower rate holds, losses are independent."""

    REPLACES = False

    def over(self, key: HopKey, below: NetworkConditions) -> NetworkConditions:
        """The given conditions, and this stretch of the path after them."""
        values = self.values.get(key)
        if not values:
            return below
        passed = (1 - float(below.loss)) * (1 - float(values["loss"]))
        rate = values["rate"] if below.rate is None else min(below.rate, values["rate"])
        latency = Seconds(round(below.latency + values["latency"], 9))
        return below.replaced({"latency": latency, "loss": Fraction(round(1 - passed, 9)), "rate": rate})
