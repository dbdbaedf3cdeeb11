"""Random loss processes: independent, correlated, Gilbert-Elliott, four-state Markov. No I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.loss_models import GilbertElliott, MarkovLoss

NEVER = math.inf
"""The departure of a dropped packet."""

_ENDLESS = 1 << 60
"""Packets between two losses, where none is ever lost in practice."""


class Loss(Protocol):
    """A loss process."""

    def drop(self, instants: Sequence[float]) -> Sequence[float]:
        """The instants, with `NEVER` for those whose packet is lost."""
        ...

    def loses_next(self) -> bool:
        """Whether the next packet is lost: `drop` of one."""
        ...


class Chance:
    """True with a probability of `share`; repeats its last answer with a probability of `correlation`.

    So the share holds however strong the correlation, which is the answers' correlation at lag 1. (NetEm
    mixes random numbers instead, which makes rare events rarer, see `netem.correlation`.)
    """

    __slots__ = ("_correlation", "_last", "_random", "_share")

    def __init__(self, share: float, correlation: float, rng: Random) -> None:
        self._share = share
        self._correlation = correlation
        self._random = rng.random
        self._last = self._random() < share

    def is_like(self, share: float, correlation: float) -> bool:
        """Whether it has this share and correlation."""
        return (self._share, self._correlation) == (share, correlation)

    def __call__(self) -> bool:
        """The next answer."""
        if self._correlation and self._random() < self._correlation:
            return self._last
        self._last = self._random() < self._share
        return self._last


class IndependentLoss:
    """Loses each packet with the same chance.

    It draws how many packets pass before the next is lost (a geometric distribution), not each one's fate.
    """

    __slots__ = ("_passing", "_per_loss", "_random")

    def __init__(self, share: float, rng: Random) -> None:
        self._random = rng.random
        self._per_loss = math.log1p(-share) if share < 1 else -math.inf
        self._passing = self._draw()

    def _draw(self) -> int:
        # A share that is zero to a float's precision gives zero: then more packets pass than any run has.
        passing = math.log(1 - self._random()) / self._per_loss if self._per_loss else math.inf
        return int(min(passing, _ENDLESS))

    def drop(self, instants: Sequence[float]) -> Sequence[float]:
        """See `Loss`."""
        at, count = self._passing, len(instants)
        if at >= count:
            self._passing = at - count
            return instants
        kept = list(instants)
        while at < count:
            kept[at] = NEVER
            at += 1 + self._draw()
        self._passing = at - count
        return kept

    def loses_next(self) -> bool:
        """See `Loss`."""
        if self._passing:
            self._passing -= 1
            return False
        self._passing = self._draw()
        return True


class ChainLoss:
    """Loses the packets for which a random process with memory is true."""

    __slots__ = ("loses_next",)

    def __init__(self, loses_next: Callable[[], bool]) -> None:
        self.loses_next = loses_next

    def drop(self, instants: Sequence[float]) -> list[float]:
        """See `Loss`."""
        loses_next = self.loses_next
        return [NEVER if loses_next() else instant for instant in instants]


def gilbert_elliott(model: GilbertElliott, rng: Random) -> Callable[[], bool]:
    """Starts in the good state; a packet meets the loss of the current state, which then may change."""
    p, r, good_loss, bad_loss = (float(each) for each in (model.p, model.r, model.good_loss, model.bad_loss))
    random = rng.random
    bad = False

    def next_is_lost() -> bool:
        nonlocal bad
        found_bad = bad
        if random() < (r if found_bad else p):
            bad = not found_bad
        return random() < (bad_loss if found_bad else good_loss)

    return next_is_lost


def markov(model: MarkovLoss, rng: Random) -> Callable[[], bool]:
    """NetEm's four-state chain: starts in state 1, makes one step a packet, loses it in states 3 and 4."""
    random = rng.random
    # By state: the upper bound of the random number that leads to each next state.
    steps: dict[int, tuple[tuple[float, int], ...]] = {
        1: ((model.p14, 4), (model.p14 + model.p13, 3), (1.0, 1)),
        2: ((model.p23, 3), (1.0, 2)),
        3: ((model.p32, 2), (model.p32 + model.p31, 1), (1.0, 3)),
        4: ((1.0, 1),),
    }
    state = 1

    def next_is_lost() -> bool:
        nonlocal state
        drawn = random()
        state = next((target for below, target in steps[state] if drawn < below), state)
        return state in {3, 4}

    return next_is_lost


def loss_processes(conditions: NetworkConditions, rng: Random) -> tuple[Loss, ...]:
    """The processes that conditions ask for; they act independently."""
    losses: list[Loss] = []
    if conditions.loss and conditions.loss_correlation:
        losses.append(ChainLoss(Chance(conditions.loss, conditions.loss_correlation, rng)))
    elif conditions.loss:
        losses.append(IndependentLoss(float(conditions.loss), rng))
    match conditions.loss_model:
        case GilbertElliott() as model:
            losses.append(ChainLoss(gilbert_elliott(model, rng)))
        case MarkovLoss() as chain:
            losses.append(ChainLoss(markov(chain, rng)))
    return tuple(losses)
