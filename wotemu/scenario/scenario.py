"""Scenarios and phases, as deployment files write them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario import timeline
from wotemu.scenario.objectives.expect import Objective
from wotemu.scenario.objectives.plans import check_phases
from wotemu.scenario.phases import Begin, phase_names, timeline_phases
from wotemu.scenario.vocabulary.actions import Action, checked_actions, parse_offset, seconds
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.topology._fields import Checked
from wotemu.units import QuantityLike

DEFAULT_DURATION_S = 60.0
MIN_DURATION_US = 10_000
"""A shorter scenario is a mistake: changes take hold within milliseconds, not exactly on time."""


@attrs.frozen
class Phase(Checked):
    """A named part of the scenario, from its start to that of the next one. Reports compare phases.

    Attributes:
        name: Unique in the scenario.
        start: Offset from T0: a number of seconds, or text such as ``"20s"``.

    Raises:
        ScenarioError: The name is empty, or the start can't be read.
    """

    ERROR = ScenarioError

    name: str
    start: QuantityLike

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ScenarioError(
                f"{self.name!r} is not a name", where=source_location("Phase, field 'name'"), field="name"
            )
        _check_offset(self.start, source_location(f"Phase {self.name!r}"), "start")

    @property
    def start_us(self) -> int:
        """Microseconds after T0."""
        return parse_offset(self.start, f"Phase {self.name!r}, field 'start'")


def _check_offset(value: QuantityLike, where: str, field: str) -> int:
    """As `parse_offset`, of a field."""
    try:
        return parse_offset(value, f"{where}, field {field!r}")
    except ScenarioError as error:
        error.field = field
        raise


def _phase_tuple(phases: Iterable[Phase]) -> tuple[Phase, ...]:
    where = source_location("Scenario, field 'phases'")
    if isinstance(phases, Phase | str) or not isinstance(phases, Iterable):
        raise ScenarioError(f"{phases!r} is no list of phases", where=where, hint='write [Phase("calm", 0)]')
    found = tuple(phases)
    for phase in found:
        if not isinstance(phase, Phase):
            raise ScenarioError(f"{phase!r} is not a Phase", where=where)
    return found


def _event_tuple(events: Iterable[Action]) -> tuple[Action, ...]:
    return checked_actions(events, source_location("Scenario, field 'events'"))


def _objective_tuple(objectives: Iterable[Objective]) -> tuple[Objective, ...]:
    where = source_location("Scenario, field 'expect'")
    hint = 'write expect=[expect(p95("readproperty") < "500ms")]'
    if isinstance(objectives, Objective | str) or not isinstance(objectives, Iterable):
        raise ScenarioError(f"{objectives!r:.80} is no list of objectives", where=where, hint=hint)
    found = tuple(objectives)
    for objective in found:
        if not isinstance(objective, Objective):
            raise ScenarioError(f"{objective!r:.80} is no objective", where=where, hint=hint)
        objective.check()
    return found


@attrs.frozen(kw_only=True)
class Scenario(Checked):
    """What changes in a deployment, and when.

    Attributes:
        duration: From T0 to the end: a number of seconds, or text such as ``"5m"``. 60 s by default.
        seed: Seed of the random number generators. Equal topology, scenario and seed give an equal timeline.
        phases: The parts that reports compare. Without any, each action that can name one begins a phase.
        events: The actions: ``[at("20s").set(...), during("30s", "40s").cut(...), ...]``.
        expect: The objectives: ``[expect(p95("readproperty") < "500ms").during("fade"), ...]``. `wotemu run`
            exits with 1 where one is not met.

    Raises:
        ScenarioError: A value can't be, with the file and line where it is written.
    """

    ERROR = ScenarioError

    duration: QuantityLike = DEFAULT_DURATION_S
    seed: int = 0
    phases: tuple[Phase, ...] = attrs.field(default=(), converter=_phase_tuple)
    events: tuple[Action, ...] = attrs.field(default=(), converter=_event_tuple)
    expect: tuple[Objective, ...] = attrs.field(default=(), converter=_objective_tuple)

    def __attrs_post_init__(self) -> None:
        where = source_location("Scenario")
        if not (duration_us := _check_offset(self.duration, where, "duration")):
            raise ScenarioError("it lasts no time", where=f"{where}, field 'duration'", field="duration")
        if duration_us < MIN_DURATION_US:
            least = seconds(MIN_DURATION_US)
            raise ScenarioError(
                f"{self.duration!r} is less than {least}",
                where=f"{where}, field 'duration'",
                field="duration",
            )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ScenarioError(
                f"{self.seed!r} is not a whole number", where=f"{where}, field 'seed'", field="seed"
            )
        names = [phase.name for phase in self.phases] + [event.phase for event in self.events if event.phase]
        for name in names:
            if names.count(name) > 1:
                raise ScenarioError(
                    f"two phases are called {name!r}", where=f"{where}, field 'phases'", field="phases"
                )
        check_phases(
            self.expect,
            reached=[phase.name for phase in self.timeline_phases],
            names=phase_names(self._named_phases, self.events, self.duration_us),
        )

    @property
    def _named_phases(self) -> list[Begin]:
        """The begins of phases that have a name: the scenario's, and those that its actions begin."""
        named = [(phase.start_us, phase.name) for phase in self.phases]
        return named + [(event.start_us, event.phase) for event in self.events if event.phase]

    @property
    def timeline_phases(self) -> tuple[timeline.Phase, ...]:
        """The phases as the timeline has them: in order, without those that begin after the end."""
        return timeline_phases(self._named_phases, self.events, self.duration_us)

    @property
    def duration_us(self) -> int:
        """Microseconds from T0 to the end."""
        return parse_offset(self.duration, "Scenario, field 'duration'")

    @property
    def duration_s(self) -> float:
        """Seconds from T0 to the end."""
        return float(seconds(self.duration_us))

    def overridden(self, *, duration: QuantityLike | None = None, seed: int | None = None) -> Scenario:
        """The same scenario with another duration or seed, without the objectives of phases that it cuts off.

        Args:
            duration: In place of the scenario's; None keeps it.
            seed: In place of the scenario's; None keeps it.
        """
        changes: dict[str, Any] = {} if seed is None else {"seed": seed}
        if duration is not None:
            phases = attrs.evolve(self, duration=duration, expect=()).timeline_phases
            reached = {"", *(phase.name for phase in phases)}
            kept = [each for each in self.expect if each.named_phase in reached]
            changes |= {"duration": duration, "expect": kept}
        return attrs.evolve(self, **changes)
