"""The base of all changes that are made while a run goes on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import attrs

from wotemu.errors import InputError, ScenarioError
from wotemu.scenario.timeline import Direction
from wotemu.scenario.vocabulary.actions import (
    PlannedAction,
    microseconds,
    parse_length,
    seconds,
)
from wotemu.scenario.vocabulary.at import Instant
from wotemu.scenario.vocabulary.during import Period
from wotemu.units import QuantityLike

Names = tuple[str, ...]


def names(names: str | Iterable[str]) -> Names:
    """Names as a tuple, also of a single one."""
    return (names,) if isinstance(names, str) else tuple(names)


def groups_of(groups: Iterable[str | Iterable[str]]) -> tuple[Names, ...]:
    """Groups of names as tuples."""
    return tuple(names(group) for group in groups)


@attrs.frozen(kw_only=True)
class LiveChange(ABC):
    """One change. `for_s` seconds later what it did ends, as a period of a scenario does; None: it stays."""

    VERB: ClassVar[str]
    _kinds: ClassVar[dict[str, type[LiveChange]]] = {}

    for_s: float | None = None

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "VERB" in vars(cls):
            LiveChange._kinds[cls.VERB] = cls

    @abstractmethod
    def _act(self, when: Instant | Period) -> PlannedAction:
        """The action of a scenario for it."""

    @abstractmethod
    def _arguments(self) -> list[str]:
        """What it is given in a script, as Python source."""

    def action(self, at_us: int) -> PlannedAction:
        """The action, `at_us` microseconds after T0.

        Raises:
            ScenarioError: What it is given can't be.
        """
        try:
            if self.for_s is None:
                return self._act(Instant(at_us, "live"))
            return self._act(Period(at_us, "live", at_us + microseconds(self.for_s)))
        except ScenarioError as error:
            error.where = self.text
            raise

    def source(self, at_s: float) -> str:
        """The same as a line of a scenario: ``at("12.5s").set("phone@field", latency="300ms")``."""
        begin = _time(at_s)
        when = f"at({begin!r})" if self.for_s is None else f"during({begin!r}, {_time(at_s + self.for_s)!r})"
        return f"{when}.{self.VERB}({', '.join(self._arguments())})"

    @property
    def text(self) -> str:
        """What it does, for people: ``set phone@field latency=300ms for 30s``."""
        words = [self.VERB, *(each.replace("'", "") for each in self._shown_arguments())]
        return " ".join(words if self.for_s is None else [*words, "for", str(seconds(_us(self.for_s)))])

    def _shown_arguments(self) -> list[str]:
        """What it is given, for people."""
        return self._arguments()

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        given = attrs.asdict(self, recurse=False)
        return {"verb": self.VERB, **{name: value for name, value in given.items() if value is not None}}

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> LiveChange:
        """What `to_dict` gave.

        Raises:
            InputError: It is no change, or one of another version of WoTemu.
        """
        kind = LiveChange._kinds.get(str(data.get("verb")))
        if kind is None:
            known = ", ".join(LiveChange._kinds)
            raise InputError(f"there is no change {data.get('verb')!r}", hint=f"known are {known}")
        try:
            return kind(**{name: value for name, value in data.items() if name != "verb"})
        except TypeError as error:
            raise InputError(f"{data['verb']}: {error}") from error


def _us(time_s: float) -> int:
    return microseconds(time_s)


def _time(time_s: float) -> str:
    """An exact offset, as a scenario takes it."""
    return f"{_us(time_s) / 1e6:.6f}".rstrip("0").rstrip(".") + "s"


def parse_for(value: QuantityLike | None, where: str) -> float | None:
    """How long a change is to hold, in seconds; None for good.

    Raises:
        ScenarioError: It can't be read, or is no time.
    """
    return None if value is None else float(seconds(parse_length(value, where)))


@attrs.frozen(kw_only=True)
class OnTargets(LiveChange):
    """A change of targets, by their names."""

    targets: Names = attrs.field(converter=names)

    def _arguments(self) -> list[str]:
        return [repr(self.targets[0]) if len(self.targets) == 1 else repr(list(self.targets))]


@attrs.frozen(kw_only=True)
class OnHops(OnTargets):
    """A change of hops."""

    direction: Direction | None = None

    def _arguments(self) -> list[str]:
        return [*super()._arguments(), *([repr(self.direction)] if self.direction else [])]


def instant(when: Instant | Period, change: LiveChange) -> Instant:
    """The moment of a change that undoes something, which nothing undoes in turn.

    Raises:
        ScenarioError: It is to hold for a while only.
    """
    if not isinstance(when, Instant):
        raise ScenarioError("it does not end by itself", where=change.VERB, hint="leave out for how long")
    return when
