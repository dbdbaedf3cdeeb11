"""Changes of conditions that are made while a run goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.condition_values import CONDITIONS, all_fields, parse_conditions
from wotemu.scenario.timeline import DIRECTIONS
from wotemu.scenario.vocabulary.actions import PlannedAction, direction_of
from wotemu.scenario.vocabulary.at import Instant
from wotemu.scenario.vocabulary.during import Period
from wotemu.topology.conditions import NetworkConditions, values_from_json, values_to_json
from wotemu.topology.link_conditions import LinkConditions
from wotemu.units import Quantity
from wotemu_runtime.control.live_change import OnHops, instant


@attrs.frozen(kw_only=True)
class SetConditions(OnHops):
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
class Restore(OnHops):
    """Put the topology's own conditions back. See `Instant.restore`."""

    VERB = "restore"

    def _act(self, when: Instant | Period) -> PlannedAction:
        return instant(when, self).restore(self.targets, self.direction)
