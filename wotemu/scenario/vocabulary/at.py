"""Effects at one moment: ``at("20s").set(network, loss="5%")``."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from random import Random
from typing import Any

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.blocks import Heading, Protocol
from wotemu.scenario.condition_values import scaled
from wotemu.scenario.state import State
from wotemu.scenario.state.node_settings import NodeSetting, SettingKind
from wotemu.scenario.state.partitions import Named, Unnamed
from wotemu.scenario.timeline import Change, Direction, HopKey
from wotemu.scenario.vocabulary.actions import (
    MakeSteps,
    PlannedAction,
    Step,
    TimedStep,
    direction_of,
    parse_offset,
    seconds,
)
from wotemu.scenario.vocabulary.blocks import wanted_block
from wotemu.scenario.vocabulary.faults import (
    crash_steps,
    cutting,
    on_apps,
    parting,
    pausing,
    setting_on_nodes,
    unplugging,
)
from wotemu.scenario.vocabulary.impose import concerns, hop_keys, impose
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.scenario.vocabulary.targets import HopTarget, NodeTarget, reusable
from wotemu.scenario.vocabulary.verbs import Verbs, checked_groups
from wotemu.scenario.vocabulary.written import keeps_calls
from wotemu.topology.network import Network
from wotemu.units import QuantityLike

CUT = "cut"
"""The reason for which `Instant.cut` cuts a replica off, until `Instant.reconnect` takes it back; likewise
of `Instant.disconnect` and `Instant.connect`."""


PAUSE = "pause"
"""The reason for which `Instant.pause` suspends a replica, until `Instant.resume` takes it back."""


@keeps_calls
@attrs.frozen(repr=False)
class Instant(Verbs):
    """One moment. Its effects stay until something else changes them."""

    def restore(self, target: HopTarget | None = None, direction: Direction | None = None) -> PlannedAction:
        """Put the topology's own conditions back. A period that is under way still holds over them.

        Args:
            target: What `set` takes; None for everything.
            direction: ``"up"``, ``"down"``, or None for both.

        Returns:
            An action for `Scenario(events=[...])`.
        """
        where, target = self._where("restore"), reusable(target)
        step = _Restore(where, target, direction_of(direction, where))
        return self._action(where, "restore", target, self._once(step))

    def partition(self, *groups: NodeTarget, name: str | None = None) -> PlannedAction:
        """Separate groups of nodes from each other; a single group from all others.

        It adds to the partitions before it, until `heal`.

        Args:
            groups: Nodes or names, each group a list of them. Nodes in no group still reach all others.
            name: A name for `heal`. A partition replaces the one of the same name.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: There is no group.
        """
        where = self._where("partition")
        checked, name = checked_groups(groups, where), _checked_name(name, where)

        def make() -> Iterator[TimedStep]:
            yield self.start_us, parting(where, checked, Unnamed() if name is None else Named(name))

        return self._action(where, "partition", None, _without_chance(make))

    def block(
        self,
        nodes: NodeTarget,
        others: NodeTarget | None = None,
        *,
        port: int | None = None,
        protocol: Protocol | None = None,
        direction: Heading | None = None,
        name: str | None = None,
    ) -> PlannedAction:
        """Drop packets between nodes, all or those of a protocol or port, as a firewall does, until `heal`.

        It adds to the blocks and partitions before it.

        Args:
            nodes: Nodes or names on one side.
            others: Those on the other side; None for all others.
            port: Of either end: 1883 is all traffic with an MQTT broker. None for all.
            protocol: ``"tcp"``, ``"udp"``, ``"icmp"``, or None for all.
            direction: ``"out"``: from `nodes` to `others`; ``"in"``: to them; None for both.
            name: A name for `heal`. A block replaces the one of the same name.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("block")
        wanted = wanted_block(where, nodes, others, protocol, port, direction)
        name = _checked_name(name, where)

        def make() -> Iterator[TimedStep]:
            yield self.start_us, wanted.begin(Unnamed() if name is None else Named(name))

        return self._action(where, "block", wanted.nodes, _without_chance(make))

    def heal(self, name: str | None = None) -> PlannedAction:
        """End a partition or a block.

        Args:
            name: Its name; None ends all partitions and blocks that instants began.

        Returns:
            An action for `Scenario(events=[...])`.
        """
        where = self._where("heal")
        return self._action(where, "heal", None, self._once(_Heal(where, _checked_name(name, where))))

    def reconnect(self, target: HopTarget) -> PlannedAction:
        """Undo `cut`.

        Args:
            target: What `cut` takes.

        Returns:
            An action for `Scenario(events=[...])`.
        """
        where, target = self._where("reconnect"), reusable(target)
        return self._action(where, "reconnect", target, self._once(cutting(where, target, CUT, False)))

    def connect(self, node: NodeTarget, network: Network | str | None = None) -> PlannedAction:
        """Undo `disconnect`.

        Args:
            node: What `disconnect` takes.
            network: One of its networks; None for all.

        Returns:
            An action for `Scenario(events=[...])`.
        """
        where, node = self._where("connect"), reusable(node)
        return self._action(where, "connect", node, self._once(unplugging(where, node, network, CUT, False)))

    def resume(self, node: NodeTarget) -> PlannedAction:
        """Undo `pause`. A pause of a period, or by `churn`, ends by itself.

        Args:
            node: What `stop` takes.

        Returns:
            An action for `Scenario(events=[...])`.
        """
        where, node = self._where("resume"), reusable(node)
        return self._action(where, "resume", node, self._once(pausing(where, node, PAUSE, False)))

    def unlimit(self, node: NodeTarget) -> PlannedAction:
        """Undo `limit`: what the node's resources say holds again. A limit of a period stays until its end.

        Args:
            node: What `stop` takes.

        Returns:
            An action for `Scenario(events=[...])`.
        """
        return self._unset_on_node("unlimit", "limit", node)

    def unstress(self, node: NodeTarget) -> PlannedAction:
        """Undo `stress`. A stress of a period goes on until its end.

        Args:
            node: What `stop` takes.

        Returns:
            An action for `Scenario(events=[...])`.
        """
        return self._unset_on_node("unstress", "stress", node)

    def free_disk(self, node: NodeTarget) -> PlannedAction:
        """Undo `fill_disk`. What a period filled stays full until its end.

        Args:
            node: What `stop` takes.

        Returns:
            An action for `Scenario(events=[...])`.
        """
        return self._unset_on_node("free_disk", "fill_disk", node)

    def _unset_on_node(self, verb: str, kind: SettingKind, node: NodeTarget) -> PlannedAction:
        where, node = self._where(verb), reusable(node)
        return self._action(where, verb, node, self._once(setting_on_nodes(where, kind, node, None)))

    def restart(self, node: NodeTarget) -> PlannedAction:
        """Start a node's app again, with its network, whether it crashed, was stopped or still runs.

        Args:
            node: What `stop` takes.

        Returns:
            An action for `Scenario(events=[...])`.
        """
        return self._starting("restart", node, anew=True)

    def start(self, node: NodeTarget) -> PlannedAction:
        """Start the app of a node that was stopped or has crashed; one that runs stays as it is.

        Args:
            node: What `stop` takes.

        Returns:
            An action for `Scenario(events=[...])`.
        """
        return self._starting("start", node, anew=False)

    def _starting(self, verb: str, node: NodeTarget, *, anew: bool) -> PlannedAction:
        where, node = self._where(verb), reusable(node)
        step = on_apps(where, node, lambda state, at_us, name: state.start(at_us, name, anew=anew))
        return self._action(where, verb, node, self._once(step))

    def _setting(
        self, where: str, target: HopTarget, direction: Direction | None, wanted: Mapping[str, Any]
    ) -> MakeSteps:
        return self._once(_Set(where, target, direction, wanted))

    def _scaling(
        self, where: str, target: HopTarget, direction: Direction | None, factors: Mapping[str, float]
    ) -> MakeSteps:
        return self._once(_Scale(where, target, direction, factors))

    def _cutting(self, where: str, target: HopTarget) -> MakeSteps:
        return self._once(cutting(where, target, CUT, True))

    def _stopping(self, where: str, node: NodeTarget) -> MakeSteps:
        return self._once(on_apps(where, node, lambda state, at_us, name: state.stop(at_us, name)))

    def _pausing(self, where: str, node: NodeTarget) -> MakeSteps:
        return self._once(pausing(where, node, PAUSE, True))

    def _unplugging(self, where: str, node: NodeTarget, network: Network | str | None) -> MakeSteps:
        return self._once(unplugging(where, node, network, CUT, True))

    def _set_on_node(self, where: str, kind: SettingKind, node: NodeTarget, value: NodeSetting) -> MakeSteps:
        return self._once(setting_on_nodes(where, kind, node, value))

    def _crashing(self, where: str, node: NodeTarget) -> MakeSteps:
        # A new object each time: `every` may repeat the crash, and each is undone by itself.
        return _without_chance(lambda: crash_steps(where, node, self.start_us, object()))

    def _once(self, step: Step) -> MakeSteps:
        return _without_chance(lambda: [(self.start_us, step)])


def at(time: QuantityLike) -> Instant:
    """The moment at which something happens.

    Args:
        time: An offset from T0: a number of seconds, or text such as ``"20s"`` or ``"1:30"``.

    Returns:
        An object whose methods are what can happen, such as ``at("20s").crash(node)``.

    Raises:
        ScenarioError: The time can't be read.
    """
    start_us = parse_offset(time, source_location(f"at({time!r})"))
    return Instant(start_us, source_location(f"at({seconds(start_us)})"))


def _without_chance(make: Callable[[], Iterable[TimedStep]]) -> MakeSteps:
    """Steps that neither draw random numbers nor last as long as the scenario."""

    def steps(_rng: Random, _span_us: int) -> Iterable[TimedStep]:
        return make()

    return steps


def _checked_name(name: Any, where: str) -> str | None:
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise ScenarioError(f"{name!r} is not a name", where=where, field="name")
    return name


@attrs.frozen
class _Set:
    where: str
    target: HopTarget
    direction: Direction | None
    wanted: Mapping[str, Any]

    def __call__(self, state: State, at_us: int) -> Iterator[Change]:
        return impose(state, at_us, self.target, self.direction, self.wanted, self.where)


@attrs.frozen
class _Scale:
    where: str
    target: HopTarget
    direction: Direction | None
    factors: Mapping[str, float]

    def __call__(self, state: State, at_us: int) -> Iterator[Change]:
        for key in hop_keys(self.target, self.direction, state, self.where):
            yield from state.set_instant(at_us, key, self._scaled(state, key))

    def _scaled(self, state: State, key: HopKey) -> dict[str, Any]:
        own = {name: by for name, by in self.factors.items() if concerns(key, self.direction, name)}
        return scaled(state.instants[key], own, self.where)


@attrs.frozen
class _Restore:
    where: str
    target: HopTarget | None
    direction: Direction | None

    def __call__(self, state: State, at_us: int) -> Iterator[Change]:
        if self.target is not None:
            keys = hop_keys(self.target, self.direction, state, self.where)
        else:
            keys = [key for key in state.base if self.direction in (None, key[2])]
        for key in keys:
            yield from state.restore(at_us, key)


@attrs.frozen
class _Heal:
    where: str
    name: str | None

    def __call__(self, state: State, at_us: int) -> Iterator[Change]:
        if self.name is not None:
            state.observed.healed.setdefault(self.name, state.event)
        for each in list(state.partitions):
            if self._means(each):
                yield from state.part(at_us, each, None, self.where)
        for each in list(state.blocks):
            if self._means(each):
                yield from state.block(at_us, each, None, self.where)

    def _means(self, name: Hashable) -> bool:
        return name == Named(self.name) if self.name is not None else isinstance(name, Named | Unnamed)
