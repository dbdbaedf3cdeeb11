"""What the `netem` shaper is not taken for, of what a timeline has."""

from __future__ import annotations

from itertools import pairwise

import pytest

from wotemu.scenario.timeline import Change
from wotemu_runtime.gateway.shaper_choice import late_raises


def rates(*values: float | None) -> list[Change]:
    """Changes of one hop's rate from each value to the next."""
    return [
        Change(i, float(i), "conditions", "field", "a", "up", {"rate_bps": before}, {"rate_bps": after})
        for i, (before, after) in enumerate(pairwise(values))
    ]


@pytest.mark.parametrize(
    "values",
    [
        (24e3, 10e6),
        (999e3, None),
        (10e6, 24e3, 48e3, 100e3),
        (24e3, 0, 10e6),
    ],
)
def test_a_low_rate_that_rises_much_is_beyond_netem(values: tuple[float | None, ...]) -> None:
    assert len(list(late_raises(rates(*values)))) == 1


@pytest.mark.parametrize(
    "values",
    [(1e6, 100e6), (24e3, 48e3, 96e3), (None, 24e3), (10e6, 24e3), (10e6, 0, 10e6), (0, 24e3)],
)
def test_other_changes_are_not(values: tuple[float | None, ...]) -> None:
    assert not list(late_raises(rates(*values)))


def test_hops_are_looked_at_one_by_one() -> None:
    other = Change(9, 9.0, "conditions", "field", "b", "up", {"rate_bps": 0}, {"rate_bps": 10e6})
    assert not list(late_raises([*rates(10e6, 24e3, 0), other]))
    assert list(late_raises([*rates(10e6, 24e3, 0), *rates(0, 10e6)]))
