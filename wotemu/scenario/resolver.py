"""Resolves a scenario to its timeline: a pure function of topology, scenario and seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from random import Random
from typing import Self

import attrs

from wotemu.errors import InputError, ScenarioError, TopologyError
from wotemu.scenario.duty_cycles import HINT, without_rate
from wotemu.scenario.lint import lint
from wotemu.scenario.objectives.plans import objective_plans
from wotemu.scenario.scenario import Scenario
from wotemu.scenario.state import State, conditions_hash
from wotemu.scenario.state.observations import Observed
from wotemu.scenario.timeline import Change, GuardPlan, Timeline
from wotemu.scenario.vocabulary.actions import MAX_STEPS, Action, Ending, Step, microseconds, seconds
from wotemu.scenario.vocabulary.when import GuardedActions
from wotemu.scenario.vocabulary.written import Written
from wotemu.suggestions import did_you_mean
from wotemu.topology.topology import Topology
from wotemu.units import QuantityLike, Seconds

MAX_CHANGES = 1_000_000
"""More changes than this are a mistake: a timeline has to fit into memory and onto the bus."""

FRAME_STEPS = 3
"""Steps of a period beside those that its `every` makes: its begin, its first one and its end."""

Origin = tuple[int, int, int]
"""The number of a change's action in the scenario, of the step in it, and of the change in that.

It identifies a change whatever guards fire, so that the change keeps its id when they do.
"""


def resolve(topology: Topology, scenario: Scenario) -> tuple[Timeline, list[str]]:
    """Resolve a scenario on a topology.

    Args:
        topology: What the scenario changes.
        scenario: What changes and when.

    Returns:
        The timeline, and warnings about what can be run but may not do what it is meant to do.

    Raises:
        ScenarioError: The scenario names something that the topology does not have, or asks for something
            that can't be.
    """
    resolver = Resolver(topology, scenario)
    return resolver.timeline, resolver.warnings


@attrs.frozen
class _TimedStep:
    at_us: int
    event: int
    number: int
    step: Step


class Resolver:
    """Resolves one scenario, and again with each guard that fires; a change keeps its id throughout.

    Attributes:
        timeline: The timeline before the run, where no guard has fired.
        warnings: What may not do what it is meant to do, a sentence each.
    """

    def __init__(self, topology: Topology, scenario: Scenario) -> None:
        """Resolve the scenario without any guard.

        Args:
            topology: What the scenario changes.
            scenario: What changes and when.

        Raises:
            ScenarioError: The scenario names something that the topology does not have, or asks for something
                that can't be.
        """
        self._topology = topology
        self._scenario = scenario
        self._ids: dict[Origin, int] = {}
        self._by_hand: set[int] = set()
        self._guards = [
            (place, event) for place, event in enumerate(scenario.events) if isinstance(event, GuardedActions)
        ]
        self._objectives = objective_plans(scenario.expect, topology)
        state = State.of(topology)
        changes = self._apply(self._steps({}), state)
        self._check_duty_cycles(changes)
        late = self._late(changes)
        self.timeline = self._timeline({}, changes)
        self.warnings = lint(topology, scenario, self.timeline, state.observed, late)

    @classmethod
    def overriding(
        cls, topology: Topology, scenario: Scenario, *, duration: QuantityLike | None, seed: int | None
    ) -> Self:
        """Resolve a scenario with another duration or seed.

        Objectives of phases that the duration cuts off are left out, each with a warning.

        Args:
            topology: What the scenario changes.
            scenario: What changes and when.
            duration: In place of the scenario's; None keeps it.
            seed: In place of the scenario's; None keeps it.

        Raises:
            ScenarioError: As when a resolver is made.
        """
        asked = scenario.overridden(duration=duration, seed=seed)
        resolver = cls(topology, asked)
        resolver.warnings += [
            f"{each.where}: it is not judged: a run of {Seconds(asked.duration_s)} ends before the phase"
            f" {each.named_phase!r} begins"
            for each in scenario.expect
            if each not in asked.expect
        ]
        return resolver

    def __repr__(self) -> str:
        return f"Resolver({len(self.timeline.changes)} changes, {len(self._guards)} guards)"

    def resolve(self, fired: Mapping[int, float], live: Sequence[Action] = ()) -> Timeline:
        """The timeline with some guards fired, and with actions that were added while the run goes on.

        All of them take place as though they had been written with those times, so that everything later
        takes them into account. Changes get their ids in the order of the calls.

        Args:
            fired: Seconds after T0 at which guards fired, by id.
            live: The actions that were added so far, in their order.

        Raises:
            ScenarioError: One of `live` is not possible, or makes a later action impossible. No id is taken.
        """
        times = {number: microseconds(fired_s) for number, fired_s in fired.items()}
        steps = [*self._steps(times), *self._live_steps(live)]
        state = State.of(self._topology)
        changes = self._apply(steps, state, live)
        if not self._guards:  # which may begin partitions
            self._check_healed(state.observed)
        if live:
            self._check_duty_cycles(changes, live)
        return self._timeline(times, changes)

    def is_by_hand(self, change: int) -> bool:
        """Whether a change, by its id, follows from an action that was added while the run went on."""
        return change in self._by_hand

    def _check_healed(self, observed: Observed) -> None:
        """Refuse to heal what nothing begins; in the scenario's file the linter warns of it."""
        for name, place in observed.healed.items():
            if place >= len(self._scenario.events) and name not in observed.named:
                hint = did_you_mean(name, sorted(observed.named)) or "none has a name"
                raise ScenarioError(f"no partition or block is called {name!r}", where="live.heal", hint=hint)

    def _check_duty_cycles(self, changes: Sequence[_Applied], live: Sequence[Action] = ()) -> None:
        """Refuse duty cycles without a rate, of `live` actions only where there are any."""
        found = without_rate(self._topology, (applied.change for applied in changes))
        if found is None:
            return
        if found.change is None:
            network, node, _ = found.hop
            where = f"Link to {network!r} of {node!r}" if node else f"Network {network!r}, field 'conditions'"
            owner = None if node else ("networks", network)
            raise TopologyError(found.text, where=where, hint=HINT, field="conditions", owner=owner)
        place = changes[found.change].origin[0]
        events = (*self._scenario.events, *live)
        if live and place < len(self._scenario.events):
            return
        error = ScenarioError(found.text, where=events[place].where, hint=HINT, field="duty_cycle")
        _locate(error, events[place])
        raise error

    def _timeline(self, fired: Mapping[int, int], changes: Iterable[_Applied]) -> Timeline:
        scenario = self._scenario
        in_time = [applied for applied in changes if applied.at_us < scenario.duration_us]
        guards = tuple(self._guard(number, fired.get(number)) for number in range(len(self._guards)))
        return Timeline(
            seed=scenario.seed,
            duration_s=scenario.duration_s,
            phases=scenario.timeline_phases,
            changes=tuple(applied.change.numbered(self._id(applied.origin)) for applied in in_time),
            guards=guards,
            conditions_hash=conditions_hash(self._topology),
            objectives=self._objectives,
        )

    def _id(self, origin: Origin) -> int:
        number = self._ids.setdefault(origin, len(self._ids))
        if origin[0] >= len(self._scenario.events):
            self._by_hand.add(number)
        return number

    def _late(self, changes: Iterable[_Applied]) -> Counter[int]:
        """How many changes come after the end, by action. A period that ends with the run is not late."""
        end_us = self._scenario.duration_us
        return Counter(
            applied.origin[0]
            for applied in changes
            if applied.at_us > end_us or (applied.at_us == end_us and not applied.is_ending)
        )

    # Steps

    def _steps(self, fired: Mapping[int, int]) -> list[_TimedStep]:
        """The steps of every action.

        Each action draws from a random stream of its own, so that adding one leaves the others as they are.
        """
        guards = {place: number for number, (place, _) in enumerate(self._guards)}
        steps: list[_TimedStep] = []
        for place, event in enumerate(self._scenario.events):
            if not isinstance(event, GuardedActions):
                steps += self._steps_of(place, event)
            elif guards[place] in fired:
                steps += self._steps_of(place, event, fired[guards[place]])
            if len(steps) > MAX_STEPS + FRAME_STEPS * (place + 1):
                error = ScenarioError(
                    f"with it the scenario has more than {MAX_STEPS} steps",
                    where=event.where,
                    hint="take a longer every=",
                )
                _locate(error, event)
                raise error
        return steps

    def _live_steps(self, live: Sequence[Action]) -> Iterator[_TimedStep]:
        for place, event in enumerate(live, len(self._scenario.events)):
            yield from self._steps_of(place, event)

    def _steps_of(self, place: int, event: Action, fired_us: int | None = None) -> Iterator[_TimedStep]:
        span_us = self._scenario.duration_us
        rng = Random(f"{self._scenario.seed}/{place}")  # noqa: S311  # repeatable on purpose
        try:
            if isinstance(event, GuardedActions) and fired_us is not None:
                steps = event.block(rng, span_us, fired_us)
            else:
                steps = iter(event.steps(rng, span_us))
            for number, (at_us, step) in enumerate(steps):
                if number > MAX_STEPS + FRAME_STEPS:
                    raise ScenarioError(f"it has more than {MAX_STEPS} steps", where=event.where)
                yield _TimedStep(at_us, place, number, step)
        except InputError as error:
            _locate(error, event)
            raise
        except (ArithmeticError, TypeError, ValueError) as error:
            raise _unexpected(error, event) from error

    def _apply(
        self, steps: Iterable[_TimedStep], state: State, live: Sequence[Action] = ()
    ) -> list[_Applied]:
        """The changes that steps make, in the order of their times; at one time, as they are written."""
        events = (*self._scenario.events, *live)
        found: list[_Applied] = []
        for _, timed in groupby(sorted(steps, key=lambda item: item.at_us), key=lambda item: item.at_us):
            found += _merged([applied for each in timed for applied in _apply_step(each, state, events)])
            if len(found) > MAX_CHANGES:
                raise ScenarioError(
                    f"its timeline has more than {MAX_CHANGES} changes",
                    where=events[found[-1].origin[0]].where,
                    hint="take a longer every=, or fewer targets",
                )
        return found

    def _guard(self, number: int, fired_us: int | None) -> GuardPlan:
        """A guard, with its changes as if it fired at T0."""
        place, event = self._guards[number]
        changes = self._apply(self._steps_of(place, event, 0), State.of(self._topology))
        self._check_duty_cycles(changes)
        try:
            condition = event.when.condition.to_dict(self._topology, event.where)
        except InputError as error:
            _locate(error, event)
            raise
        return GuardPlan(
            id=number,
            text=event.text,
            condition=condition,
            held_s=float(seconds(event.when.held_us)),
            after_s=float(seconds(event.when.after_us)),
            deadline_s=None if event.deadline_us is None else float(seconds(event.deadline_us)),
            otherwise=event.otherwise,
            changes=tuple(applied.change.numbered(place) for place, applied in enumerate(changes)),
            fired_s=None if fired_us is None else float(seconds(fired_us)),
        )


@attrs.frozen
class _Applied:
    """A change, its origin, and whether it ends a period."""

    at_us: int
    origin: Origin
    change: Change
    is_ending: bool


def _apply_step(timed: _TimedStep, state: State, events: Sequence[Action]) -> Iterator[_Applied]:
    state.event = timed.event
    is_ending = isinstance(timed.step, Ending)
    try:
        for number, change in enumerate(timed.step(state, timed.at_us)):
            yield _Applied(timed.at_us, (timed.event, timed.number, number), change, is_ending)
    except InputError as error:
        _locate(error, events[timed.event])
        raise
    except (ArithmeticError, TypeError, ValueError) as error:
        raise _unexpected(error, events[timed.event]) from error


def _merged(changes: list[_Applied]) -> list[_Applied]:
    """The changes of one moment, one at most for each thing; none where a thing is as it was before.

    All starts and ends of apps count: a restart leads from a running app to a running app.
    """
    latest: dict[object, _Applied] = {}
    for applied in changes:
        change = applied.change
        thing = (change.action, change.network, change.node, change.direction)
        key: object = applied.origin if change.action == "app" else thing
        before = latest.pop(key, None)
        if before is None:
            latest[key] = applied
        elif before.change.before != change.after:
            latest[key] = attrs.evolve(applied, change=attrs.evolve(change, before=before.change.before))
    return list(latest.values())


def _unexpected(error: Exception, event: Action) -> ScenarioError:
    found = ScenarioError(f"{type(error).__name__}: {error}", where=event.where)
    _locate(found, event)
    return found


def _locate(error: InputError, event: Action) -> None:
    """Give an error the place where its action is written, unless it has one."""
    written = getattr(event, "written", None)
    if error.place is None and isinstance(written, Written):
        error.place = written.place
