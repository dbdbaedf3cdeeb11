"""Losses that come in bursts: Markov chains that say of each packet whether it is lost."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import attrs

from wotemu.topology._fields import Checked, fail, named_errors, share
from wotemu.units import Fraction, QuantityLike


@attrs.frozen(field_transformer=named_errors)
class GilbertElliott(Checked):
    """Two states, good and bad, each with its own loss; tc-netem(8) calls it ``gemodel``.

    Gilbert, BSTJ 39 (1960); Elliott, BSTJ 42 (1963).

    Attributes:
        p: Chance of going bad at each packet, a share.
        r: Chance of going good again at each packet. Without it losses are independent: r = 1 - p.
        bad_loss: Share lost while bad (NetEm's 1-h), by default all.
        good_loss: Share lost while good (NetEm's 1-k), by default none.

    Raises:
        TopologyError: A chance is no share.
    """

    p: Fraction = attrs.field(converter=share)
    r: Fraction = attrs.field(converter=share)
    bad_loss: Fraction = attrs.field(default=Fraction(1), kw_only=True, converter=share)
    good_loss: Fraction = attrs.field(default=Fraction(0), kw_only=True, converter=share)

    KIND: ClassVar[str] = "gilbert_elliott"

    @r.default
    def _independent(self) -> Fraction:
        return Fraction(1 - self.p)

    @classmethod
    def of_bursts(cls, loss: QuantityLike, length: float) -> Self:
        """Losses in bursts, by how many packets are lost and how long bursts are (simple Gilbert model).

        Args:
            loss: Share of packets that are lost in the long run, below 100 %.
            length: Mean length of a burst in packets, 1 at least.

        Raises:
            ValueError: There is no such model, as where much is lost in short bursts.
        """
        lost = Fraction.of(loss)
        if not (length >= 1 and math.isfinite(length)) or lost >= 1:
            raise ValueError(f"a loss of {lost} in bursts of {length!r} packets can't be")
        p = lost / (1 - lost) / length
        if p > 1:
            raise ValueError(f"a loss of {lost} needs longer bursts than {length:g} packets")
        return cls(Fraction(p), Fraction(1 / length))

    @property
    def mean_loss(self) -> float:
        """The share of packets lost in the long run."""
        bad = self.p / (self.p + self.r) if self.p else 0.0
        return float(bad * self.bad_loss + (1 - bad) * self.good_loss)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"kind": self.KIND, **{name: float(value) for name, value in attrs.asdict(self).items()}}

    def __str__(self) -> str:
        usual = float(self.bad_loss) == 1 and not self.good_loss
        more = "" if usual else f" bad {self.bad_loss} good {self.good_loss}"
        return f"Gilbert-Elliott p {self.p} r {self.r}{more}"


@attrs.frozen(field_transformer=named_errors)
class MarkovLoss(Checked):
    """Four states, as tc-netem(8) ``loss state`` has them (Salsano, Ludovici, Ordine: GI loss model).

    1 is received in a gap, 2 received in a burst, 3 lost in a burst, 4 lost alone in a gap; 4 always returns
    to 1.

    Attributes:
        p13: Chance of going from 1 to 3 at each packet, a share.
        p31: Chance of going from 3 to 1. Without it losses are independent: p31 = 1 - p13.
        p32: Chance of going from 3 to 2.
        p23: Chance of going from 2 to 3.
        p14: Chance of going from 1 to 4.

    Raises:
        TopologyError: A chance is no share, or those of leaving a state are above 100 % together.
    """

    p13: Fraction = attrs.field(converter=share)
    p31: Fraction = attrs.field(converter=share)
    p32: Fraction = attrs.field(default=Fraction(0), converter=share)
    p23: Fraction = attrs.field(default=Fraction(1), converter=share)
    p14: Fraction = attrs.field(default=Fraction(0), converter=share)

    KIND: ClassVar[str] = "markov4"

    @p31.default
    def _independent(self) -> Fraction:
        return Fraction(1 - self.p13)

    def __attrs_post_init__(self) -> None:
        for state, first, second in ((1, "p13", "p14"), (3, "p31", "p32")):
            if getattr(self, first) + getattr(self, second) > 1 + 1e-9:
                raise fail(self, second, f"with {first}, the chances of leaving state {state} are above 100%")

    @property
    def mean_loss(self) -> float:
        """The share of packets lost in the long run, from state 1 on."""
        if not self.p13:
            return float(self.p14 / (1 + self.p14))
        if self.p32 and not self.p23:
            return 0.0  # it ends in state 2 for good
        leaving = float(self.p23) if self.p32 else 1.0  # without p32, state 2 is never entered
        gap, burst = self.p31 * leaving, self.p13 * leaving
        alone, received = self.p14 * gap, self.p13 * self.p32
        total = gap + burst + alone + received
        return (burst + alone) / total if total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"kind": self.KIND, **{name: float(value) for name, value in attrs.asdict(self).items()}}

    def __str__(self) -> str:
        return "4-state " + " ".join(f"{name} {value}" for name, value in attrs.asdict(self).items() if value)


LossModel = GilbertElliott | MarkovLoss
"""A process of its own that loses packets."""


def loss_model(value: Any) -> LossModel | None:
    """The converter: a model, None, or what `to_dict` gave."""
    if value is None or isinstance(value, LossModel):
        return value
    if isinstance(value, dict):
        for kind in (GilbertElliott, MarkovLoss):
            if value.get("kind") == kind.KIND:
                return kind(**{name: Fraction(share) for name, share in value.items() if name != "kind"})
    raise TypeError(f"{value!r} is no loss model: write GilbertElliott(p=..., r=...) or MarkovLoss(p13=...)")


__all__ = ["GilbertElliott", "LossModel", "MarkovLoss", "loss_model"]
