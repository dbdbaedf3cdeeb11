"""The effects that last as long as a period: ``during("10s", "20s").set(link, loss="5%")``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random
from typing import Any

import attrs

from wotemu.scenario.blocks import Heading, Protocol
from wotemu.scenario.state.layers import ScalingLayer
from wotemu.scenario.state.node_settings import NodeSetting, SettingKind
from wotemu.scenario.timeline import Direction
from wotemu.scenario.vocabulary.actions import Ending, MakeSteps, PlannedAction, Step, TimedStep
from wotemu.scenario.vocabulary.blocks import wanted_block
from wotemu.scenario.vocabulary.faults import (
    Occurrence,
    crash_steps,
    cutting,
    on_apps,
    parting,
    pausing,
    setting_on_nodes,
    unplugging,
)
from wotemu.scenario.vocabulary.stepped import SteppedLayer, same_for_all
from wotemu.scenario.vocabulary.targets import HopTarget, NodeTarget
from wotemu.scenario.vocabulary.verbs import Verbs, checked_groups
from wotemu.scenario.vocabulary.written import keeps_calls
from wotemu.topology.network import Network


@keeps_calls
@attrs.frozen(repr=False)
class Holds(Verbs):
    """A period whose effects begin with it and end with it.

    Attributes:
        end_us: When it ends, in microseconds after T0.
    """

    end_us: int

    def partition(self, *groups: NodeTarget) -> PlannedAction:
        """Separate groups of nodes from each other; a single group from all others.

        It adds to other partitions, and ``at(...).heal()`` does not end it.

        Args:
            groups: Nodes or names, each group a list of them. Nodes in no group still reach all others.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: There is no group.
        """
        where = self._where("partition")
        checked = checked_groups(groups, where)

        def begin(period: Occurrence) -> Step:
            return parting(where, checked, period)

        def end(period: Occurrence) -> Step:
            return lambda state, at_us: state.part(at_us, period, None, where)

        return self._action(where, "partition", None, self._begin_and_end(where, begin, end))

    def block(
        self,
        nodes: NodeTarget,
        others: NodeTarget | None = None,
        *,
        port: int | None = None,
        protocol: Protocol | None = None,
        direction: Heading | None = None,
    ) -> PlannedAction:
        """Drop packets between nodes, all or those of a protocol or port, as a firewall does.

        It adds to other blocks and partitions, and ``at(...).heal()`` does not end it.

        Args:
            nodes: Nodes or names on one side.
            others: Those on the other side; None for all others.
            port: Of either end: 1883 is all traffic with an MQTT broker. None for all.
            protocol: ``"tcp"``, ``"udp"``, ``"icmp"``, or None for all.
            direction: ``"out"``: from `nodes` to `others`; ``"in"``: to them; None for both.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: A value can't be, with the file and line where it is written.
        """
        where = self._where("block")
        wanted = wanted_block(where, nodes, others, protocol, port, direction)
        return self._action(
            where, "block", wanted.nodes, self._begin_and_end(where, wanted.begin, wanted.end)
        )

    def _setting(
        self, where: str, target: HopTarget, direction: Direction | None, wanted: Mapping[str, Any]
    ) -> MakeSteps:
        def make(_rng: Random, _span_us: int) -> Iterator[TimedStep]:
            layer = SteppedLayer(where, target, direction, wanted)
            return layer.steps(self.start_us, self.end_us, [(self.start_us, same_for_all(wanted))])

        return make

    def _scaling(
        self, where: str, target: HopTarget, direction: Direction | None, factors: Mapping[str, float]
    ) -> MakeSteps:
        def make(_rng: Random, _span_us: int) -> Iterator[TimedStep]:
            layer = SteppedLayer(where, target, direction, factors, layer=ScalingLayer)
            return layer.steps(self.start_us, self.end_us, [(self.start_us, same_for_all(factors))])

        return make

    def _cutting(self, where: str, target: HopTarget) -> MakeSteps:
        return self._begin_and_end(
            where,
            lambda period: cutting(where, target, period, True),
            lambda period: cutting(where, target, period, False),
        )

    def _stopping(self, where: str, node: NodeTarget) -> MakeSteps:
        return self._begin_and_end(
            where,
            lambda period: on_apps(where, node, lambda state, t, name: state.halt(t, name, period, True)),
            lambda period: on_apps(where, node, lambda state, t, name: state.halt(t, name, period, False)),
        )

    def _pausing(self, where: str, node: NodeTarget) -> MakeSteps:
        return self._begin_and_end(
            where,
            lambda period: pausing(where, node, period, True),
            lambda period: pausing(where, node, period, False),
        )

    def _unplugging(self, where: str, node: NodeTarget, network: Network | str | None) -> MakeSteps:
        return self._begin_and_end(
            where,
            lambda period: unplugging(where, node, network, period, True),
            lambda period: unplugging(where, node, network, period, False),
        )

    def _set_on_node(self, where: str, kind: SettingKind, node: NodeTarget, value: NodeSetting) -> MakeSteps:
        return self._begin_and_end(
            where,
            lambda period: setting_on_nodes(where, kind, node, value, period),
            lambda period: setting_on_nodes(where, kind, node, None, period),
        )

    def _crashing(self, where: str, node: NodeTarget) -> MakeSteps:
        def make(_rng: Random, _span_us: int) -> Iterator[TimedStep]:
            crash = Occurrence(where)
            yield from crash_steps(where, node, self.start_us, crash)
            revive = on_apps(where, node, lambda state, at_us, name: state.revive(at_us, name, crash))
            yield self.end_us, Ending(revive)

        return make

    def _begin_and_end(
        self, where: str, begin: Callable[[Occurrence], Step], end: Callable[[Occurrence], Step]
    ) -> MakeSteps:
        """Two steps that share one occurrence: a new one each time, as `every` may repeat the period."""

        def make(_rng: Random, _span_us: int) -> Iterable[TimedStep]:
            period = Occurrence(where)
            return [(self.start_us, begin(period)), (self.end_us, Ending(end(period)))]

        return make
