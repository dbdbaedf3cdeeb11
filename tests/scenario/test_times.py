"""Times that are written alike are the same time, and at one time what is written later holds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scenario.deployment import FIELD, HOME, RADIO, TOPOLOGY, story, timeline_of
from wotemu.errors import ScenarioError
from wotemu.scenario import Scenario, at, during, every, resolve
from wotemu.scenario.vocabulary.actions import MAX_STEPS, parse_offset


@settings(deadline=None)  # a machine under load is slow, and not wrong
@given(st.integers(0, 10_000_000))
def test_milliseconds_are_exact_however_they_are_written(number: int) -> None:
    assert parse_offset(f"{number}ms", "") == parse_offset(number / 1000, "") == number * 1000
    assert parse_offset(f"{number}us", "") == number


@settings(deadline=None)
@given(st.integers(1, 3000))
def test_of_two_ways_to_write_a_time_the_later_event_holds(number: int) -> None:
    events = at(f"{number}ms").set(FIELD, latency="1ms"), at(number / 1000).set(FIELD, latency="2ms")
    for one, other, last in ((events[0], events[1], 0.002), (events[1], events[0], 0.001)):
        assert story(one, other) == [(number / 1000, "field up", {"latency_s": last})]


def test_repeats_meet_instants_exactly() -> None:
    """The third repeat of 0.1 s is at 0.3 s, and not at 0.30000000000000004 s."""
    often = every("100ms", until="1s").do(at(0).set(HOME, "up", loss="5%"))
    for number in range(10):
        moment = at(f"{number * 100}ms").set(HOME, "up", loss="7%")
        found = timeline_of(often, moment).changes[0 if number == 0 else 1]
        assert (found.at_s, found.after["loss"]) == (number / 10, 0.07)


def test_steps_of_a_period_are_exact() -> None:
    wave = during("100ms", "1.3s").wave(FIELD, "square", period="200ms", every="100ms", latency=(0, "1s"))
    assert [at_s for at_s, _, _ in story(wave)] == [number / 10 for number in range(1, 14)]


def test_what_is_fifty_milliseconds_apart_is_not_too_fast() -> None:
    events = every("100ms", until="1s").do(
        at(0).set(HOME, "up", loss="5%"), at("50ms").set(HOME, "up", loss="6%")
    )
    assert not [warning for warning in resolve(TOPOLOGY, Scenario(events=[events]))[1] if "again" in warning]


def test_all_events_together_have_no_more_steps_than_one_may() -> None:
    ramp = during(0, 60).ramp(RADIO, "up", every="500us", loss=(0, "1%"))
    assert len(timeline_of(ramp).changes) == 120_000
    with pytest.raises(ScenarioError, match=f"more than {MAX_STEPS} steps") as caught:
        timeline_of(ramp, during(0, 60).ramp(HOME, "up", every="500us", loss=(0, "1%")))
    assert "test_times.py" in str(caught.value.where)


def test_repeats_of_many_steps_are_refused_before_they_fill_the_memory() -> None:
    ramp = during(0, 50).ramp(RADIO, "up", every="1ms", loss=(0, "1%"))
    with pytest.raises(ScenarioError, match=f"more than {MAX_STEPS} steps"):
        timeline_of(every("10ms").do(ramp))
