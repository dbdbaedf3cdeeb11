"""A scenario: what changes and when, as it is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.events import Event, is_events, moment
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
        return float(Seconds.offset(self.start))


def _phase_tuple(phases: Iterable[Phase]) -> tuple[Phase, ...]:
    return tuple(phases)


def _event_tuple(events: Iterable[Event]) -> tuple[Event, ...]:
    return is_events(events, "Scenario, field 'events'")


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
        names = [phase.name for phase in self.phases] + [event.phase for event in self.events if event.phase]
        for name in names:
            if names.count(name) > 1:
                raise ScenarioError(f"two phases are called {name!r}", where="Scenario, field 'phases'")

    @property
    def duration_s(self) -> float:
        """Seconds from T0 to the end."""
        return float(Seconds.offset(self.duration))

    def overridden(self, *, duration: Like | None = None, seed: int | None = None) -> Scenario:
        """The same scenario with another duration or seed."""
        changes: dict[str, Any] = {} if duration is None else {"duration": duration}
        return attrs.evolve(self, **(changes if seed is None else {**changes, "seed": seed}))
