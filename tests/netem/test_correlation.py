"""How NetEm ties random events, and what makes up for it."""

from __future__ import annotations

from random import Random

import pytest

from wotemu_gateways.netem.correlation import threshold_for


def netem_share(threshold: float, correlation: float, count: int = 200_000) -> float:
    """How often NetEm's tied numbers are below a threshold."""
    random = Random(1)
    value, below = random.random(), 0
    for _ in range(count):
        value = (1 - correlation) * random.random() + correlation * value
        below += value <= threshold
    return below / count


@pytest.mark.parametrize(("share", "correlation"), [(0.05, 0.25), (0.2, 0.5), (0.1, 0.9), (0.7, 0.6)])
def test_the_threshold_has_the_share(share: float, correlation: float) -> None:
    assert netem_share(threshold_for(share, correlation), correlation) == pytest.approx(share, rel=0.08)


def test_without_it_rare_events_would_be_much_rarer() -> None:
    assert netem_share(0.05, 0.5) < 0.01


@pytest.mark.parametrize(("share", "correlation"), [(0.0, 0.5), (1.0, 0.5), (0.3, 0.0), (0.3, 1.0)])
def test_what_needs_no_correction_gets_none(share: float, correlation: float) -> None:
    assert threshold_for(share, correlation) == share


def test_half_stays_half() -> None:
    assert threshold_for(0.5, 0.7) == pytest.approx(0.5, abs=1e-6)
