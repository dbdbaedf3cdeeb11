"""From a scenario to its timeline: a pure function of topology, scenario and seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from random import Random

import attrs

from wotemu.errors import InputError, ScenarioError
from wotemu.scenario.events import Event, Step, TimedStep
from wotemu.scenario.guards import Guarded
from wotemu.scenario.lint import lint
from wotemu.scenario.scenario import Scenario
from wotemu.scenario.state import State
from wotemu.scenario.timeline import Change, Guard, Phase, Timeline
from wotemu.topology.models import Topology
from wotemu.units import Seconds

MIN_DERIVED_PHASES, MAX_DERIVED_PHASES = 2, 12
"""A run with fewer or more beginnings than these is not cut into phases of its own accord."""

Origin = tuple[int, int, int]
"""An event's place in the scenario, its step's, and the change's: what it is wherever it comes in time."""


def resolve(topology: Topology, scenario: Scenario) -> tuple[Timeline, list[str]]:
    """The timeline, and warnings about what the scenario asks for but won't get, or may not mean.

    Raises `ScenarioError` where it names what the topology does not have.
    """
    resolver = Resolver(topology, scenario)
    return resolver.timeline, resolver.warnings


@attrs.frozen
class _Timed:
    at_s: float
    event: int
    number: int
    step: Step


class Resolver:
    """Resolves one scenario, and again with each guard that fires; a change keeps its id throughout.

    `timeline` and `warnings` are those before the start, where no guard has fired.
    """

    def __init__(self, topology: Topology, scenario: Scenario) -> None:
        self._topology = topology
        self._scenario = scenario
        self._ids: dict[Origin, int] = {}
        self._guards = [
            (place, event) for place, event in enumerate(scenario.events) if isinstance(event, Guarded)
        ]
        self._late: Counter[int] = Counter()
        self.timeline = self.resolve({})
        sources = {number: origin[0] for origin, number in self._ids.items()}
        self.warnings = self._left_out() + lint(topology, scenario, self.timeline, sources)

    def __repr__(self) -> str:
        return f"Resolver({len(self.timeline.changes)} changes, {len(self._guards)} guards)"

    def resolve(self, fired: Mapping[int, float]) -> Timeline:
        """The timeline with these guards fired, id -> seconds after T0.

        Their events happen as though they had been written with those times, so that everything after
        takes them into account.
        """
        scenario, state = self._scenario, State.of(self._topology)
        changes: list[tuple[Origin, Change]] = []
        self._late.clear()
        end_s = scenario.duration_s
        for timed in sorted(self._steps(fired), key=lambda item: item.at_s):
            for number, change in enumerate(timed.step(state, timed.at_s)):
                if change.at_s < end_s:
                    changes.append(((timed.event, timed.number, number), change))
                else:
                    self._late[timed.event] += 1
        numbered = tuple(change.numbered(self._id(origin)) for origin, change in changes)
        guards = tuple(self._guard(number, fired.get(number)) for number in range(len(self._guards)))
        return Timeline(scenario.seed, scenario.duration_s, _phases(scenario), numbered, guards)

    def _id(self, origin: Origin) -> int:
        return self._ids.setdefault(origin, len(self._ids))

    def _steps(self, fired: Mapping[int, float]) -> Iterator[_Timed]:
        """Every event's steps; each draws from a stream of its own, so events don't disturb each other."""
        guards = {place: number for number, (place, _) in enumerate(self._guards)}
        for place, event in enumerate(self._scenario.events):
            if not isinstance(event, Guarded):
                yield from self._of(place, event)
            elif guards[place] in fired:
                yield from self._of(place, event, fired[guards[place]])

    def _of(self, place: int, event: Event, fired_s: float | None = None) -> Iterator[_Timed]:
        scenario = self._scenario
        rng = Random(f"{scenario.seed}/{place}")  # noqa: S311  # repeatable on purpose
        try:
            if isinstance(event, Guarded) and fired_s is not None:
                steps = list(event.block(rng, scenario.duration_s, fired_s))
            else:
                steps = list(event.steps(rng, scenario.duration_s))
        except InputError:
            raise
        except (TypeError, ValueError) as error:
            raise ScenarioError(str(error), where=event.where) from error
        for number, (at_s, step) in enumerate(steps):
            yield _Timed(at_s, place, number, step)

    def _guard(self, number: int, fired_s: float | None) -> Guard:
        """A guard with its changes as they would be had it fired at T0."""
        place, event = self._guards[number]
        state = State.of(self._topology)
        steps: list[TimedStep] = [(t.at_s, t.step) for t in self._of(place, event, 0.0)]
        ordered = sorted(steps, key=lambda item: item[0])
        changes = [change for at_s, step in ordered for change in step(state, at_s)]
        condition = event.when.condition
        return Guard(
            id=number,
            text=f"{condition}" + (f" for {Seconds(event.when.held_s)}" if event.when.held_s else ""),
            condition=condition.to_dict(self._topology, event.where),
            held_s=event.when.held_s,
            after_s=event.when.after_s,
            deadline_s=event.deadline_s,
            otherwise=event.otherwise,
            changes=tuple(change.numbered(place) for place, change in enumerate(changes)),
            fired_s=fired_s,
        )

    def _left_out(self) -> list[str]:
        end = Seconds(self._scenario.duration_s)
        return [
            f"{self._scenario.events[event].where}: {count} of its changes are left out: the end is at {end}"
            for event, count in sorted(self._late.items())
        ] + [
            f"phase {phase.name!r} is left out: the end is at {end}"
            for phase in self._scenario.phases
            if phase.start_s >= self._scenario.duration_s
        ]


def _phases(scenario: Scenario) -> tuple[Phase, ...]:
    """The scenario's phases and those that events name; where there are none, one for each beginning."""
    named = [Phase(phase.name, phase.start_s) for phase in scenario.phases]
    named += [Phase(event.phase, event.start_s) for event in scenario.events if event.phase]
    phases = [phase for phase in named or _derived(scenario) if phase.start_s < scenario.duration_s]
    phases.sort(key=lambda phase: phase.start_s)
    if not phases or phases[0].start_s > 0:
        phases.insert(0, Phase("start" if phases else "run", 0.0))
    return tuple(phases)


def _derived(scenario: Scenario) -> list[Phase]:
    begins: dict[float, list[str]] = {}
    for event in scenario.events:
        if event.label and event.start_s < scenario.duration_s:
            begins.setdefault(event.start_s, []).append(event.label)
    if not MIN_DERIVED_PHASES <= len(begins) <= MAX_DERIVED_PHASES:
        return []
    names = {start_s: ", ".join(dict.fromkeys(labels)) for start_s, labels in begins.items()}
    times = Counter(names.values())
    return [
        Phase(f"{name} at {Seconds(start_s)}" if times[name] > 1 else name, start_s)
        for start_s, name in sorted(names.items())
    ]
