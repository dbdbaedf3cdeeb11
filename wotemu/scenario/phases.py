"""The phases of a timeline: those that the scenario names, or else one for each action's begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from wotemu.scenario.timeline import Phase
from wotemu.scenario.vocabulary.actions import Action, seconds

MIN_DERIVED_PHASES, MAX_DERIVED_PHASES = 2, 12
"""Fewer or more beginnings of actions than these make no phases, where the scenario names none."""

Begin = tuple[int, str]
"""When a phase begins, in microseconds after T0, and its name."""


def timeline_phases(named: Sequence[Begin], events: Sequence[Action], duration_us: int) -> tuple[Phase, ...]:
    """The phases that begin before the end.

    Args:
        named: Those that the scenario and its actions name, in any order.
        events: The actions, which make the phases where none has a name.
        duration_us: From T0 to the end.
    """
    begins = [begin for begin in named or _derived(events, duration_us) if begin[0] < duration_us]
    begins.sort(key=lambda begin: begin[0])
    if not begins or begins[0][0] > 0:
        begins.insert(0, (0, "start" if begins else "run"))
    return tuple(Phase(name, float(seconds(start_us))) for start_us, name in begins)


def phase_names(named: Sequence[Begin], events: Sequence[Action], duration_us: int) -> list[str]:
    """The names of all phases, also of those that a run of this duration is too short for."""
    longest_us = max([duration_us, *(start_us + 1 for start_us, _ in named)])
    longest_us = max([longest_us, *(event.start_us + 1 for event in events)])
    spans = (duration_us, longest_us)
    return [phase.name for span in spans for phase in timeline_phases(named, events, span)]


def _derived(events: Iterable[Action], duration_us: int) -> list[Begin]:
    begins: dict[int, list[str]] = {}
    for event in events:
        if event.label and event.start_us < duration_us:
            begins.setdefault(event.start_us, []).append(event.label)
    if not MIN_DERIVED_PHASES <= len(begins) <= MAX_DERIVED_PHASES:
        return []
    names = {start_us: ", ".join(dict.fromkeys(labels)) for start_us, labels in begins.items()}
    times = Counter(names.values())
    return [
        (start_us, f"{name} at {seconds(start_us)}" if times[name] > 1 else name)
        for start_us, name in sorted(names.items())
    ]
