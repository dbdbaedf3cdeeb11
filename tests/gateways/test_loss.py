"""Processes that lose packets have the shares and the bursts that their parameters say."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise
from random import Random

import pytest

from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.loss_models import GilbertElliott, MarkovLoss
from wotemu_gateways.impairments.loss import NEVER, Chance, gilbert_elliott, loss_processes, markov

PACKETS = 100_000
Z_99 = 2.576


def run(process: Callable[[], bool]) -> list[bool]:
    return [process() for _ in range(PACKETS)]


def bursts(lost: Sequence[bool]) -> list[int]:
    """The lengths of runs of lost packets."""
    return [len(list(run)) for is_lost, run in groupby(lost) if is_lost]


def share_interval(share: float, correlation: float) -> float:
    """Half the 99 % interval of a share among packets whose correlation fades geometrically."""
    return Z_99 * math.sqrt(share * (1 - share) / PACKETS * (1 + correlation) / (1 - correlation))


def lag_one(values: Sequence[bool]) -> float:
    return statistics.correlation([float(v) for v in values[:-1]], [float(v) for v in values[1:]])


@pytest.mark.parametrize("correlation", [0.0, 0.25, 0.8])
def test_a_chance_keeps_its_share_and_has_its_correlation(correlation: float) -> None:
    said = run(Chance(0.05, correlation, Random(1)))
    assert sum(said) / PACKETS == pytest.approx(0.05, abs=share_interval(0.05, correlation))
    assert lag_one(said) == pytest.approx(correlation, abs=0.05)


def test_gilbert_elliott_loses_its_mean_share_in_bursts_of_its_mean_length() -> None:
    model = GilbertElliott.of_bursts("3%", 4)
    lost = run(gilbert_elliott(model, Random(2)))
    lengths = bursts(lost)
    deviation = (4 * 3) ** 0.5  # of a geometric distribution with mean 4
    assert sum(lost) / PACKETS == pytest.approx(0.03, abs=share_interval(0.03, 1 - float(model.p + model.r)))
    assert statistics.fmean(lengths) == pytest.approx(4, abs=Z_99 * deviation / len(lengths) ** 0.5)


def test_the_parameters_of_a_gilbert_model_can_be_recovered_from_its_losses() -> None:
    model = GilbertElliott(p=0.02, r=0.3)
    lost = run(gilbert_elliott(model, Random(3)))
    after_loss = [now for before, now in pairwise(lost) if before]
    after_none = [now for before, now in pairwise(lost) if not before]
    assert 1 - sum(after_loss) / len(after_loss) == pytest.approx(0.3, abs=0.02)
    assert sum(after_none) / len(after_none) == pytest.approx(0.02, abs=0.002)


def test_both_states_of_gilbert_elliott_lose_what_they_say() -> None:
    model = GilbertElliott(p=0.1, r=0.3, bad_loss=0.5, good_loss=0.01)
    lost = run(gilbert_elliott(model, Random(4)))
    assert sum(lost) / PACKETS == pytest.approx(model.mean_loss, rel=0.03)


@pytest.mark.parametrize(
    "model",
    [
        MarkovLoss(p13=0.02, p31=0.4),
        MarkovLoss(p13=0.02, p31=0.2, p32=0.3, p23=0.5),
        MarkovLoss(p13=0.01, p31=0.5, p14=0.05),
    ],
    ids=str,
)
def test_the_markov_chain_loses_its_mean_share(model: MarkovLoss) -> None:
    lost = run(markov(model, Random(5)))
    assert sum(lost) / PACKETS == pytest.approx(model.mean_loss, rel=0.06)


def test_isolated_losses_of_the_markov_chain_are_isolated() -> None:
    assert set(bursts(run(markov(MarkovLoss(p13=0.0, p31="100%", p14=0.2), Random(6))))) == {1}


def test_independent_loss_and_a_model_act_together() -> None:
    conditions = NetworkConditions(loss="10%", loss_model=GilbertElliott.of_bursts("20%", 3))
    kept: Sequence[float] = [0.0] * PACKETS
    for loss in loss_processes(conditions, Random(7)):
        kept = loss.drop(kept)
    assert sum(instant == NEVER for instant in kept) / PACKETS == pytest.approx(
        conditions.mean_loss, rel=0.03
    )


def test_no_loss_is_no_process() -> None:
    assert loss_processes(NetworkConditions(latency="1s"), Random(1)) == ()
