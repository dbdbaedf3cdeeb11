"""The words that ``at(...)`` and ``during(...)`` share: one takes effect for good, the other for a while."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import chain
from typing import Any, Unpack

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.condition_values import all_fields, check_graded, parse_conditions
from wotemu.scenario.state.node_settings import NodeSetting, SettingKind
from wotemu.scenario.timeline import Direction
from wotemu.scenario.vocabulary.actions import MakeSteps, PlannedAction, direction_of, number
from wotemu.scenario.vocabulary.node_settings import clock_skew, disk_fill, node_limits, node_stress
from wotemu.scenario.vocabulary.targets import HopTarget, NodeTarget, reusable, target_label
from wotemu.scenario.vocabulary.written import keeps_calls
from wotemu.topology.condition_types import ConditionFactors, ConditionValues
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.link_conditions import LinkConditions
from wotemu.topology.network import Network
from wotemu.units import QuantityLike


@keeps_calls
@attrs.frozen(repr=False)
class Verbs(ABC):
    """A moment or a period; each of its methods makes an action for `Scenario(events=[...])`.

    Attributes:
        start_us: When it begins, in microseconds after T0.
        source: The user's file and line, and the word as it is written, for messages.
    """

    start_us: int
    source: str

    def __repr__(self) -> str:
        return f"<{self.source}>"

    def set(
        self,
        target: HopTarget,
        preset: NetworkConditions | LinkConditions | Direction | None = None,
        direction: Direction | None = None,
        **conditions: Unpack[ConditionValues],
    ) -> PlannedAction:
        """Set conditions: at an instant for good, in a period until its end. Other conditions stay.

        Without a direction, a network's delay, jitter and loss are set for one crossing of it and its rate
        for both hops; a link's or node's conditions are set for its hop up and its hop down.

        Args:
            target: A Network, Link or Node, a name such as ``"reader@field"``, a tag, or several of them.
            preset: All conditions at once, such as ``NetworkConditions.LTE``, or those of each way, such as
                ``LinkConditions.NB_IOT``. It may be left out.
            direction: ``"up"``, ``"down"``, or None for both.
            conditions: Conditions by name, as ``latency="300ms"``. They take precedence over the preset's.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where, target = self._where("set"), reusable(target)
        settings = _settings(preset, direction, conditions, where)
        makes = [self._setting(where, target, way, wanted) for way, wanted in settings]
        return self._action(where, "set", target, makes[0] if len(makes) == 1 else _one_by_one(makes))

    def scale(
        self, target: HopTarget, direction: Direction | None = None, **factors: Unpack[ConditionFactors]
    ) -> PlannedAction:
        """Multiply conditions: ``latency=2, rate=0.5``. At an instant once, in a period whatever they are.

        Shares stop at 100 %; a rate without a limit stays so.

        Args:
            target: What `set` takes.
            direction: ``"up"``, ``"down"``, or None for both.
            factors: Factors by names of conditions that are quantities.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where, target = self._where("scale"), reusable(target)
        way, checked = direction_of(direction, where), _checked_factors(factors, where)
        return self._action(where, "scale", target, self._scaling(where, target, way, checked))

    def cut(self, target: HopTarget) -> PlannedAction:
        """Cut off a network, a node, one link or one replica, as by pulling the plug.

        Args:
            target: What `set` takes, or the name of one replica: ``"reader-2"``, ``"reader-2@field"``.

        Returns:
            An action for `Scenario(events=[...])`.
        """
        where, target = self._where("cut"), reusable(target)
        return self._action(where, "cut", target, self._cutting(where, target))

    def disconnect(self, node: NodeTarget, network: Network | str | None = None) -> PlannedAction:
        """Unplug a node from a network: its interface has no carrier, as without a cable or an access point.

        Unlike with `cut`, programs that watch the interface notice. Other networks stay. A period plugs it in
        again at its end. On a swarm the interface is down, and its routes are gone.

        Args:
            node: What `stop` takes.
            network: One of its networks; None for all.

        Returns:
            An action for `Scenario(events=[...])`.
        """
        where, node = self._where("disconnect"), reusable(node)
        return self._action(where, "disconnect", node, self._unplugging(where, node, network))

    def stop(self, node: NodeTarget) -> PlannedAction:
        """Ask a node's app to end (SIGTERM); the node's network stays. A period starts it again at its end.

        Args:
            node: A Node or Broker, its name or that of one replica, a tag, or several of them.

        Returns:
            An action for `Scenario(events=[...])`.
        """
        where, node = self._where("stop"), reusable(node)
        return self._action(where, "stop", node, self._stopping(where, node))

    def crash(self, node: NodeTarget) -> PlannedAction:
        """Cut off a node's network, then kill its app, as a power failure does. A period restarts it.

        Args:
            node: What `stop` takes.

        Returns:
            An action for `Scenario(events=[...])`.
        """
        where, node = self._where("crash"), reusable(node)
        return self._action(where, "crash", node, self._crashing(where, node))

    def pause(self, node: NodeTarget) -> PlannedAction:
        """Suspend all processes of a node, as a machine that hangs; its network stays. A period resumes it.

        Its kernel still answers: connections are accepted and data is acknowledged until buffers are full.
        What is to start in it meanwhile starts once it is resumed, also after a crash.

        Args:
            node: What `stop` takes.

        Returns:
            An action for `Scenario(events=[...])`.
        """
        where, node = self._where("pause"), reusable(node)
        return self._action(where, "pause", node, self._pausing(where, node))

    def limit(
        self, node: NodeTarget, *, cpu: float | None = None, memory: QuantityLike | None = None
    ) -> PlannedAction:
        """Limit the CPU time or memory of a node, in place of what its resources say. A period puts it back.

        Args:
            node: What `stop` takes.
            cpu: Cores, such as 0.25; None leaves it.
            memory: Bytes, such as ``"64M"``; None leaves it. What needs more is killed by the kernel.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("limit")
        return self._setting_of_node(where, "limit", node, node_limits(cpu, memory, where))

    def stress(
        self, node: NodeTarget, *, cpu: float | None = None, memory: QuantityLike | None = None
    ) -> PlannedAction:
        """Run a program beside a node's app that computes and holds memory. A period ends it.

        It runs within the node's limits, and competes with the app for them.

        Args:
            node: What `stop` takes.
            cpu: Cores that it uses, such as 0.5; above 1 it is several processes. None is none.
            memory: Bytes that it holds, such as ``"64M"``; None is none.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("stress")
        return self._setting_of_node(where, "stress", node, node_stress(cpu, memory, where))

    def fill_disk(self, node: NodeTarget, *, leave: QuantityLike = 0) -> PlannedAction:
        """Leave a node's scratch folder hardly any room: what writes more gets ENOSPC. A period ends it.

        Args:
            node: What `stop` takes.
            leave: Bytes that are left free, such as ``"1M"``.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: `leave` is no size, with the file and line where it is written.
        """
        where = self._where("fill_disk")
        return self._setting_of_node(where, "fill_disk", node, disk_fill(leave, where))

    def skew_clock(self, node: NodeTarget, *, by: QuantityLike) -> PlannedAction:
        """Have a node's wall clock be wrong, as without NTP or a battery. A period sets it right at its end.

        What its programs read as the time jumps, and runs on from there. What counts seconds (monotonic
        clocks, sleeps, timeouts) does not notice.

        Args:
            node: What `stop` takes.
            by: How far it is ahead of the right time, such as ``"+3m"``; behind it, such as ``"-2h"``; 0 sets
                it right.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: `by` is no duration, with the file and line where it is written.
        """
        where = self._where("skew_clock")
        return self._setting_of_node(where, "skew_clock", node, clock_skew(by, where))

    def _setting_of_node(
        self, where: str, kind: SettingKind, node: NodeTarget, value: NodeSetting
    ) -> PlannedAction:
        node = reusable(node)
        return self._action(where, kind, node, self._set_on_node(where, kind, node, value))

    # What an instant and a period do differently: the steps of each word.

    @abstractmethod
    def _setting(
        self, where: str, target: HopTarget, direction: Direction | None, wanted: Mapping[str, Any]
    ) -> MakeSteps: ...

    @abstractmethod
    def _scaling(
        self, where: str, target: HopTarget, direction: Direction | None, factors: Mapping[str, float]
    ) -> MakeSteps: ...

    @abstractmethod
    def _cutting(self, where: str, target: HopTarget) -> MakeSteps: ...

    @abstractmethod
    def _stopping(self, where: str, node: NodeTarget) -> MakeSteps: ...

    @abstractmethod
    def _pausing(self, where: str, node: NodeTarget) -> MakeSteps: ...

    @abstractmethod
    def _unplugging(self, where: str, node: NodeTarget, network: Network | str | None) -> MakeSteps: ...

    @abstractmethod
    def _set_on_node(
        self, where: str, kind: SettingKind, node: NodeTarget, value: NodeSetting
    ) -> MakeSteps: ...

    @abstractmethod
    def _crashing(self, where: str, node: NodeTarget) -> MakeSteps: ...

    def _where(self, verb: str) -> str:
        return f"{self.source}.{verb}"

    def _action(
        self, where: str, verb: str, target: Any, make: MakeSteps, notes: tuple[str, ...] = ()
    ) -> PlannedAction:
        text = verb if target is None else f"{verb} {target_label(target)}"
        return PlannedAction(where, text, self.start_us, make, target=target, notes=notes)


def checked_groups(groups: tuple[NodeTarget, ...], where: str) -> tuple[NodeTarget, ...]:
    """The groups of a partition.

    Raises:
        ScenarioError: There is none.
    """
    if not groups:
        raise ScenarioError("no group is given", where=where, hint="write .partition([a, b], [c])")
    return tuple(reusable(group) for group in groups)


def _settings(
    preset: NetworkConditions | LinkConditions | Direction | None,
    direction: Direction | None,
    conditions: Mapping[str, Any],
    where: str,
) -> list[tuple[Direction | None, dict[str, Any]]]:
    """The directions and the conditions that `Verbs.set` got; its second argument may be either."""
    wanted: dict[str, Any] = {}
    if isinstance(preset, LinkConditions):
        only = direction_of(direction, where)
        ways: dict[Direction, NetworkConditions] = {"up": preset.up, "down": preset.down}
        given = parse_conditions(conditions, where) if conditions else {}
        return [(way, all_fields(each) | given) for way, each in ways.items() if only in (None, way)]
    if isinstance(preset, NetworkConditions):
        wanted = all_fields(preset)
    elif preset is not None and direction is not None:
        raise ScenarioError(f"{preset!r} is no NetworkConditions or LinkConditions", where=where)
    else:
        direction = preset or direction
    way = direction_of(direction, where)
    if conditions or not wanted:
        wanted |= parse_conditions(conditions, where)
    return [(way, wanted)]


def _one_by_one(makes: list[MakeSteps]) -> MakeSteps:
    """The steps of several, in turn."""
    return lambda rng, span_us: chain.from_iterable(make(rng, span_us) for make in makes)


def _checked_factors(factors: Mapping[str, Any], where: str) -> dict[str, float]:
    if not factors:
        raise ScenarioError("no condition is given", where=where, hint="write latency=2, rate=0.5, ...")
    for name, factor in factors.items():
        check_graded(name, where)
        number(factor, name, where)
    return dict(factors)
