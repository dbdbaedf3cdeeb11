"""What periods lay over the conditions that instants have set, each above those that began before it."""

from __future__ import annotations

from typing import Any, ClassVar

from wotemu.scenario.condition_values import scaled
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Fraction, Seconds

Key = tuple[str, str | None, str]


class Layer:
    """Conditions that one period sets: they hold instead of those below them."""

    REPLACES: ClassVar[bool] = True
    """Whether what lies below is hidden, not only changed."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.event = -1
        """The event, by its place in the scenario, that it is of."""
        self.values: dict[Key, dict[str, Any]] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.where}>"

    def over(self, key: Key, below: NetworkConditions) -> NetworkConditions:
        """What holds at one hop with this layer over what lies below it."""
        values = self.values.get(key)
        return below.replaced(values) if values else below


class ScalingLayer(Layer):
    """Factors by which a period multiplies what lies below."""

    REPLACES = False

    def over(self, key: Key, below: NetworkConditions) -> NetworkConditions:
        """What lies below, multiplied."""
        factors = self.values.get(key)
        return below.replaced(scaled(below, factors, self.where)) if factors else below


class AddingLayer(Layer):
    """A further part of the way: delays add, the lower rate holds, losses are independent."""

    REPLACES = False

    def over(self, key: Key, below: NetworkConditions) -> NetworkConditions:
        """What lies below, and this part of the way after it."""
        values = self.values.get(key)
        if not values:
            return below
        passed = (1 - float(below.loss)) * (1 - float(values["loss"]))
        rate = values["rate"] if below.rate is None else min(below.rate, values["rate"])
        latency = Seconds(round(below.latency + values["latency"], 9))
        return below.replaced({"latency": latency, "loss": Fraction(round(1 - passed, 9)), "rate": rate})
