"""Delivery opportunities become rates that deliver each of them within the bound, whatever their order."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu.scenario.vocabulary.traces import OPPORTUNITY_BITS
from wotemu.traces.delivery_opportunities import opportunities, rate_rows
from wotemu.traces.recording import TraceImportError

TRACES = Path(__file__).parents[2] / "examples" / "traces"


def departures(rows: list[tuple[float, float]], many: int) -> list[float]:
    """When each of `many` full packets that wait from the start leaves at these rates, in seconds."""
    left_s: list[float] = []
    sent = 0.0
    for (t_s, rate), (end_s, _) in pairwise([*rows, (rows[-1][0] + 1e6, 0.0)]):
        done = sent + rate / OPPORTUNITY_BITS * (end_s - t_s)
        while len(left_s) < many and len(left_s) + 1 <= done:
            left_s.append(t_s + (len(left_s) + 1 - sent) * OPPORTUNITY_BITS / rate)
        sent = done
    return left_s


def check(instants_ms: list[int], within_s: float) -> None:
    rows = rate_rows(instants_ms, within_s)
    times_s = [t_s for t_s, _ in rows]
    assert times_s == sorted(set(times_s))
    left_s = departures(rows, len(instants_ms))
    assert len(left_s) == len(instants_ms)
    errors_s = [abs(at_s - ms / 1e3) for at_s, ms in zip(left_s, instants_ms, strict=True)]
    assert max(errors_s) <= within_s + 1e-5  # times have whole microseconds


@pytest.mark.parametrize("name", ["hspa_bus.down", "hspa_bus.up"])
@pytest.mark.parametrize("within_s", [1e-3, 5e-3, 25e-3])
def test_each_opportunity_of_a_trace_comes_within_the_bound(name: str, within_s: float) -> None:
    check(opportunities((TRACES / name).read_text().splitlines(), name), within_s)


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60), st.sampled_from([1e-3, 2e-3, 5e-3, 20e-3]))
def test_any_opportunities_come_within_the_bound(gaps_ms: list[int], within_s: float) -> None:
    instants_ms = [sum(gaps_ms[: n + 1]) + 1 for n in range(len(gaps_ms))]
    check(instants_ms, within_s)


def test_a_constant_rate_is_one_row() -> None:
    assert len(rate_rows(list(range(10, 10_000, 10)), 1e-3)) == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1", "x"], "f, line 2: 'x' is not a whole number"),
        (["5", "4"], "f, line 2: 4 comes before 5"),
        ([], "f: it has no delivery opportunity"),
    ],
)
def test_errors_name_the_line(lines: list[str], message: str) -> None:
    with pytest.raises(TraceImportError, match=message):
        opportunities(lines, "f")
