"""Changes that are made while a run goes on: the words of a scenario as values that JSON can hold.

Each becomes the action that a scenario would have for it, so that what it means, what it may be aimed at, and
what undoes it are the same as in a script.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import attrs

from wotemu.errors import InputError, ScenarioError
from wotemu.scenario.condition_values import CONDITIONS, all_fields, parse_conditions
from wotemu.scenario.timeline import DIRECTIONS, Direction
from wotemu.scenario.vocabulary.actions import (
    PlannedAction,
    direction_of,
    microseconds,
    parse_length,
    seconds,
)
from wotemu.scenario.vocabulary.at import Instant
from wotemu.scenario.vocabulary.during import Period
from wotemu.topology.conditions import NetworkConditions, values_from_json, values_to_json
from wotemu.topology.link_conditions import LinkConditions
from wotemu.units import Quantity, QuantityLike

Names = tuple[str, ...]


def _names(names: str | Iterable[str]) -> Names:
    """Names as a tuple, also of a single one."""
    return (names,) if isinstance(names, str) else tuple(names)


def _groups(groups: Iterable[str | Iterable[str]]) -> tuple[Names, ...]:
    return tuple(_names(group) for group in groups)


@attrs.frozen(kw_only=True)
class LiveChange(ABC):
    """One change. `for_s` seconds later what it did ends, as a period of a scenario does; None: it stays."""

    VERB: ClassVar[str]

    for_s: float | None = None

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
        kind = _KINDS.get(str(data.get("verb")))
        if kind is None:
            raise InputError(
                f"there is no change {data.get('verb')!r}", hint=f"known are {', '.join(_KINDS)}"
            )
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
class _OnTargets(LiveChange):
    """A change of targets, by their names."""

    targets: Names = attrs.field(converter=_names)

    def _arguments(self) -> list[str]:
        return [repr(self.targets[0]) if len(self.targets) == 1 else repr(list(self.targets))]


@attrs.frozen(kw_only=True)
class _OnHops(_OnTargets):
    """A change of hops."""

    direction: Direction | None = None

    def _arguments(self) -> list[str]:
        return [*super()._arguments(), *([repr(self.direction)] if self.direction else [])]


@attrs.frozen(kw_only=True)
class SetConditions(_OnHops):
    """Set conditions, which are here as `NetworkConditions.to_dict` has them. See `Verbs.set`.

    Attributes:
        conditions: Those of both ways, or those up where `down` has others.
        down: Those down; None: the same.
    """

    VERB = "set"

    conditions: Mapping[str, Any] = attrs.field(converter=dict)
    down: Mapping[str, Any] | None = None

    @classmethod
    def of(
        cls,
        targets: str | Iterable[str],
        preset: NetworkConditions | LinkConditions | None = None,
        direction: str | None = None,
        for_s: float | None = None,
        **conditions: Any,
    ) -> Self:
        """From what people write: ``SetConditions.of("phone@field", latency="300ms")``.

        Raises:
            ScenarioError: A condition or the direction can't be.
        """
        way, given, down = direction_of(direction, "set"), {}, None
        if isinstance(preset, LinkConditions):
            given = values_to_json(all_fields(preset.down if way == "down" else preset.up))
            down = None if way else values_to_json(all_fields(preset.down))
        elif preset is not None:
            given = values_to_json(all_fields(preset))
        if conditions or preset is None:
            named = values_to_json(parse_conditions(conditions, "set"))
            given, down = given | named, None if down is None else down | named
        return cls(targets=targets, direction=way, conditions=given, down=down, for_s=for_s)

    def _act(self, when: Instant | Period) -> PlannedAction:
        if (both := self._both()) is not None:
            return when.set(self.targets, both)
        return when.set(self.targets, self.direction, **self._values())

    def _arguments(self) -> list[str]:
        target, *direction = super()._arguments()
        if (both := self._both()) is not None:
            return [target, _link_source(both)]
        if (preset := self._preset()) is not None:
            return [target, _preset_source(preset), *direction]
        return [target, *direction, *_given(self._values())]

    def _shown_arguments(self) -> list[str]:
        if (both := self._both()) is not None:
            ways = (f"{way}: {' '.join(_given(_not_by_default(getattr(both, way))))}" for way in DIRECTIONS)
            return [*super()._arguments(), *ways, "and nothing else"]
        if (preset := self._preset()) is not None:
            return [*super()._arguments(), *_given(preset), "and nothing else"]
        return self._arguments()

    def _preset(self) -> dict[str, Any] | None:
        """What a preset sets, which is all of them, but for defaults; None of single conditions."""
        values = self._values()
        return _not_by_default(NetworkConditions(**values)) if values.keys() == set(CONDITIONS) else None

    def _both(self) -> LinkConditions | None:
        """The conditions of each way, where they are set apart."""
        if self.down is None:
            return None
        up, down = (NetworkConditions(**_values(each)) for each in (self.conditions, self.down))
        return LinkConditions(up=up, down=down)

    def _values(self) -> Any:
        return _values(self.conditions)


def _values(conditions: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return values_from_json(conditions)
    except (KeyError, TypeError, ValueError) as error:
        raise ScenarioError(f"{dict(conditions)!r} are no conditions: {error}", where="set") from error


def _not_by_default(conditions: NetworkConditions) -> dict[str, Any]:
    defaults = all_fields(NetworkConditions())
    return {name: value for name, value in all_fields(conditions).items() if value != defaults[name]}


def _link_source(both: LinkConditions) -> str:
    """Conditions of both ways as Python source, by their name where they have one."""
    for name, preset in LinkConditions.presets().items():
        if preset == both:
            return f"LinkConditions.{name}"
    up, down = (_preset_source(_not_by_default(each)) for each in (both.up, both.down))
    return f"LinkConditions(up={up}, down={down})"


def _preset_source(values: Mapping[str, Any]) -> str:
    """A preset as Python source, by its name where it has one."""
    wanted = NetworkConditions(**values)
    for name, preset in NetworkConditions.presets().items():
        if preset == wanted:
            return f"NetworkConditions.{name}"
    return f"NetworkConditions({', '.join(_given(values))})"


def _given(values: Mapping[str, Any]) -> list[str]:
    """Conditions as arguments in Python source."""
    return [f"{name}={_literal(value)}" for name, value in values.items()]


def _literal(value: Any) -> str:
    """A condition as Python source."""
    if isinstance(value, Quantity):
        return repr(str(value))
    return repr(value.to_dict() if hasattr(value, "to_dict") else value)


@attrs.frozen(kw_only=True)
class Restore(_OnHops):
    """Put the topology's own conditions back. See `Instant.restore`."""

    VERB = "restore"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return _instant(when, self).restore(self.targets, self.direction)


@attrs.frozen(kw_only=True)
class Partition(LiveChange):
    """Separate groups of nodes from each other. See `Instant.partition`."""

    VERB = "partition"

    groups: tuple[Names, ...] = attrs.field(converter=_groups)
    name: str | None = None

    def _act(self, when: Instant | Period) -> PlannedAction:
        if isinstance(when, Instant):
            return when.partition(*self.groups, name=self.name)
        if self.name is not None:
            raise ScenarioError(
                "a partition with a name ends when it is healed",
                where="partition",
                hint="leave out one of both",
            )
        return when.partition(*self.groups)

    def _arguments(self) -> list[str]:
        named = [] if self.name is None else [f"name={self.name!r}"]
        return [*(repr(list(group)) for group in self.groups), *named]


@attrs.frozen(kw_only=True)
class Heal(LiveChange):
    """End a partition, or all of them. See `Instant.heal`."""

    VERB = "heal"

    name: str | None = None

    def _act(self, when: Instant | Period) -> PlannedAction:
        return _instant(when, self).heal(self.name)

    def _arguments(self) -> list[str]:
        return [] if self.name is None else [repr(self.name)]


@attrs.frozen(kw_only=True)
class Cut(_OnTargets):
    """Cut off a network, node, link or replica. See `Verbs.cut`."""

    VERB = "cut"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return when.cut(self.targets)


@attrs.frozen(kw_only=True)
class Reconnect(_OnTargets):
    """Undo `Cut`. See `Instant.reconnect`."""

    VERB = "reconnect"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return _instant(when, self).reconnect(self.targets)


@attrs.frozen(kw_only=True)
class Crash(_OnTargets):
    """Crash nodes or replicas. See `Verbs.crash`."""

    VERB = "crash"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return when.crash(self.targets)


@attrs.frozen(kw_only=True)
class Stop(_OnTargets):
    """Ask the apps of nodes or replicas to end. See `Verbs.stop`."""

    VERB = "stop"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return when.stop(self.targets)


@attrs.frozen(kw_only=True)
class Pause(_OnTargets):
    """Suspend the processes of nodes or replicas. See `Verbs.pause`."""

    VERB = "pause"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return when.pause(self.targets)


@attrs.frozen(kw_only=True)
class Resume(_OnTargets):
    """Undo `Pause`. See `Instant.resume`."""

    VERB = "resume"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return _instant(when, self).resume(self.targets)


@attrs.frozen(kw_only=True)
class Start(_OnTargets):
    """Start the apps of nodes or replicas that do not run. See `Instant.start`."""

    VERB = "start"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return _instant(when, self).start(self.targets)


@attrs.frozen(kw_only=True)
class Restart(_OnTargets):
    """Start the apps of nodes or replicas again. See `Instant.restart`."""

    VERB = "restart"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return _instant(when, self).restart(self.targets)


def _instant(when: Instant | Period, change: LiveChange) -> Instant:
    """The moment of a change that undoes something, which nothing undoes in turn.

    Raises:
        ScenarioError: It is to hold for a while only.
    """
    if not isinstance(when, Instant):
        raise ScenarioError("it does not end by itself", where=change.VERB, hint="leave out for how long")
    return when


_KINDS: dict[str, type[LiveChange]] = {
    kind.VERB: kind
    for kind in (
        SetConditions, Restore, Partition, Heal, Cut, Reconnect, Crash, Stop, Start, Restart,
        Pause, Resume,
    )
}  # fmt: skip

__all__ = [
    "Crash",
    "Cut",
    "Heal",
    "LiveChange",
    "Partition",
    "Pause",
    "Reconnect",
    "Restart",
    "Restore",
    "Resume",
    "SetConditions",
    "Start",
    "Stop",
    "parse_for",
]
