"""Warnings about actions that meet, come too late, follow too fast, or change nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from wotemu.scenario.scenario import Scenario
from wotemu.scenario.state.observations import Observed, Overlap
from wotemu.scenario.timeline import Timeline
from wotemu.scenario.vocabulary.actions import microseconds, seconds
from wotemu.scenario.vocabulary.when import GuardedActions
from wotemu.wording import shortened

MIN_SPACING_US = 50_000
"""Changes of one thing that follow each other faster than this may take effect together."""

MAX_OVERLAPS = 10
"""More overlaps than this are one mistake: the others are only counted."""


_TEXTS: dict[Overlap, str] = {
    "hidden": "{second}: it sets {what} below {first}, and shows only once that has ended",
    "covered": "{first} and {second} both set {what}, from {at} on: the one that began later holds",
    "same moment": "{first} and {second} both set {what} at {at}: the one that is written later holds",
    "restored": "{first}: {second} goes on over {what}, as restore ends no period",
    "stacked": "{second}: it adds to {first}, which still holds: heal first, or give both one name",
}


def overlapping_actions(scenario: Scenario, observed: Observed) -> Iterator[str]:
    """Pairs of actions that meet, the first `MAX_OVERLAPS` of them in words."""
    for (first, second, how), (what, at_us) in list(observed.overlaps.items())[:MAX_OVERLAPS]:
        one, two = scenario.events[first].where, scenario.events[second].where
        yield _TEXTS[how].format(first=one, second=two, what=what, at=seconds(at_us))
    if len(observed.overlaps) > MAX_OVERLAPS:
        yield f"{len(observed.overlaps) - MAX_OVERLAPS} more pairs of events meet so"


def too_fast_changes(timeline: Timeline) -> Iterator[str]:
    """Things that change again before the change before has surely been applied."""
    times: dict[tuple[str, str], list[int]] = {}
    for change in timeline.changes:
        times.setdefault((change.action, change.target), []).append(microseconds(change.at_s))
    found: dict[tuple[str, int], list[str]] = {}
    for (action, target), instants in times.items():
        gaps = (later - earlier for earlier, later in pairwise(instants) if later > earlier)
        spacing_us = min(gaps, default=MIN_SPACING_US)
        if spacing_us < MIN_SPACING_US:
            found.setdefault((action, spacing_us), []).append(target)
    for (action, spacing_us), targets in found.items():
        yield (
            f"{shortened(targets)} {_VERBS[action][len(targets) > 1]} again after {seconds(spacing_us)}: "
            f"faster than every {seconds(MIN_SPACING_US)} can't be relied on"
        )


_VERBS = {
    "conditions": ("changes", "change"),
    "partition": ("changes", "change"),
    "block": ("changes", "change"),
    "cut": ("is cut off or let back", "are cut off or let back"),
    "disconnect": ("is unplugged or plugged in", "are unplugged or plugged in"),
    "app": ("starts or ends", "start or end"),
    "limit": ("is limited", "are limited"),
    "stress": ("is stressed", "are stressed"),
    "fill_disk": ("has its disk filled or freed", "have their disks filled or freed"),
    "skew_clock": ("has its clock set", "have their clocks set"),
    "pause": ("is paused or resumed", "are paused or resumed"),
}


def late_actions(scenario: Scenario, late: Mapping[int, int]) -> Iterator[str]:
    """Actions, guards and phases that begin or go on after the end."""
    end = seconds(scenario.duration_us)
    for place, event in enumerate(scenario.events):
        if event.start_us >= scenario.duration_us:
            yield f"{event.where}: nothing of it happens, as the end is at {end}"
        elif count := late.get(place):
            yield f"{event.where}: {_counted(count)} left out, as the end is at {end}"
        deadline_us = event.deadline_us if isinstance(event, GuardedActions) else None
        if deadline_us is not None and deadline_us > scenario.duration_us:
            yield f"{event.where}: it never waits until {seconds(deadline_us)}, as the end is at {end}"
    for phase in scenario.phases:
        if phase.start_us >= scenario.duration_us:
            yield f"phase {phase.name!r} is left out, as the end is at {end}"


def _counted(changes: int) -> str:
    return "one of its changes is" if changes == 1 else f"{changes} of its changes are"


def ineffective_actions(scenario: Scenario, observed: Observed) -> Iterator[str]:
    """Actions before the end that change nothing."""
    for place, event in enumerate(scenario.events):
        is_guard = isinstance(event, GuardedActions)
        if place not in observed.busy and not is_guard and event.start_us < scenario.duration_us:
            yield f"{event.where}: it changes nothing, as it is so already"
