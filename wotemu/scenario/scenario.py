"""A scenario, and its resolution to a timeline: a pure function of topology, scenario and seed."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import attrs

from wotemu.errors import InputError, ScenarioError
from wotemu.scenario import timeline as resolved
from wotemu.scenario.state import State
from wotemu.scenario.vocabulary import Event, Step, moment
from wotemu.topology.models import Topology
from wotemu.units import Like, Seconds

DEFAULT_DURATION_S = 60.0


@attrs.frozen
class Phase:
    """A named stretch of the scenario, from `start` until the next one starts."""

    name: str
    start: Like

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ScenarioError(f"{self.name!r} is not a name", where="Phase, field 'name'")
        moment(self.start, f"Phase {self.name!r}, field 'start'")

    @property
    def start_s(self) -> float:
        """Seconds after T0."""
        return float(Seconds.of(self.start))


def _phase_tuple(phases: Iterable[Phase]) -> tuple[Phase, ...]:
    return tuple(phases)


def _event_tuple(events: Iterable[Event]) -> tuple[Event, ...]:
    return tuple(events)


@attrs.frozen(kw_only=True)
class Scenario:
    """What changes and when. `seed` drives every random choice of the run."""

    duration: Like = DEFAULT_DURATION_S
    seed: int = 0
    phases: tuple[Phase, ...] = attrs.field(default=(), converter=_phase_tuple)
    events: tuple[Event, ...] = attrs.field(default=(), converter=_event_tuple)

    def __attrs_post_init__(self) -> None:
        if moment(self.duration, "Scenario, field 'duration'") == 0:
            raise ScenarioError("it lasts no time", where="Scenario, field 'duration'")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ScenarioError(f"{self.seed!r} is not a whole number", where="Scenario, field 'seed'")
        for phase in self.phases:
            if not isinstance(phase, Phase):
                raise ScenarioError(f"{phase!r} is not a Phase", where="Scenario, field 'phases'")
        names = [phase.name for phase in self.phases]
        for name in names:
            if names.count(name) > 1:
                raise ScenarioError(f"two phases are called {name!r}", where="Scenario, field 'phases'")
        for event in self.events:
            if not hasattr(event, "steps"):
                raise ScenarioError(
                    f"{event!r} is no event",
                    where="Scenario, field 'events'",
                    hint='write at("20s").set(...) or the like',
                )

    @property
    def duration_s(self) -> float:
        """Seconds from T0 to the end."""
        return float(Seconds.of(self.duration))

    def overridden(self, *, duration: Like | None = None, seed: int | None = None) -> Scenario:
        """The same scenario with another duration or seed."""
        changes: dict[str, Any] = {} if duration is None else {"duration": duration}
        return attrs.evolve(self, **(changes if seed is None else {**changes, "seed": seed}))


def resolve(topology: Topology, scenario: Scenario) -> tuple[resolved.Timeline, list[str]]:
    """The timeline, and warnings about what the scenario asks for but won't get.

    Raises `ScenarioError` where it names what the topology does not have.
    """
    steps = sorted(_all_steps(scenario), key=lambda item: item[0])
    state = State.of(topology)
    changes = [change for at_s, step in steps for change in step(state, at_s)]
    kept = [change for change in changes if change.at_s < scenario.duration_s]
    end = Seconds(scenario.duration_s)
    warnings = [
        f"{change.action} of {change.target} at {Seconds(change.at_s)} is left out: the end is at {end}"
        for change in changes
        if change.at_s >= end
    ]
    phases = _phases(scenario, warnings)
    numbered = tuple(attrs.evolve(change, id=number) for number, change in enumerate(kept))
    return resolved.Timeline(scenario.seed, scenario.duration_s, phases, numbered), warnings


def _all_steps(scenario: Scenario) -> list[tuple[float, Step]]:
    """Every event's steps; each event draws from a stream of its own, so events don't disturb each other."""
    steps: list[tuple[float, Step]] = []
    for number, event in enumerate(scenario.events):
        try:
            steps.extend(event.steps(Random(f"{scenario.seed}/{number}"), scenario.duration_s))  # noqa: S311  # repeatable on purpose
        except InputError:
            raise
        except (TypeError, ValueError) as error:
            raise ScenarioError(str(error), where=event.where) from error
    return steps


def _phases(scenario: Scenario, warnings: list[str]) -> tuple[resolved.Phase, ...]:
    phases = sorted((resolved.Phase(p.name, p.start_s) for p in scenario.phases), key=lambda p: p.start_s)
    late = [phase for phase in phases if phase.start_s >= scenario.duration_s]
    warnings += [f"phase {phase.name!r} starts after the end" for phase in late]
    kept = [phase for phase in phases if phase not in late]
    if not kept or kept[0].start_s > 0:
        kept.insert(0, resolved.Phase("start" if kept else "run", 0.0))
    return tuple(kept)
