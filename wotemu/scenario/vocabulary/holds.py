"""What holds for as long as a period lasts: ``during("10s", "20s").set(link, loss="5%")``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Any

import attrs

from wotemu.scenario.state.layers import ScalingLayer
from wotemu.scenario.timeline import Direction
from wotemu.scenario.vocabulary.actions import Ending, Make, PlannedAction, Step, TimedStep, direction_of
from wotemu.scenario.vocabulary.at import factors_of, groups_of, settings
from wotemu.scenario.vocabulary.faults import Occurrence, crash_steps, cutting, on_apps, parting
from wotemu.scenario.vocabulary.stepped import Generated, same
from wotemu.scenario.vocabulary.targets import HopTarget, NodeTarget, reusable, target_label
from wotemu.topology.conditions import NetworkConditions


@attrs.frozen(repr=False)
class Hold:
    """From one moment to another, waiting for what holds between them and no longer."""

    start_us: int
    end_us: int
    source: str
    """The user's file and line, and the period."""

    def __repr__(self) -> str:
        return f"<{self.source}>"

    def set(
        self,
        target: HopTarget,
        preset: NetworkConditions | Direction | None = None,
        direction: Direction | None = None,
        **conditions: Any,
    ) -> PlannedAction:
        """Have these conditions hold; takes what ``at(...).set`` takes."""
        where, target = self._where("set"), reusable(target)
        way, wanted = settings(preset, direction, conditions, where)

        def make(_rng: Random, _span_us: int) -> Iterator[TimedStep]:
            layer = Generated(where, target, way, wanted)
            return layer.steps(self.start_us, self.end_us, [(self.start_us, same(wanted))])

        return self._event(where, "set", target, make)

    def scale(self, target: HopTarget, direction: Direction | None = None, **factors: float) -> PlannedAction:
        """Multiply conditions, whatever they are meanwhile: ``latency=2, rate=0.5``."""
        where, target = self._where("scale"), reusable(target)
        way, by = direction_of(direction, where), factors_of(factors, where)

        def make(_rng: Random, _span_us: int) -> Iterator[TimedStep]:
            layer = Generated(where, target, way, by, layer=ScalingLayer)
            return layer.steps(self.start_us, self.end_us, [(self.start_us, same(by))])

        return self._event(where, "scale", target, make)

    def partition(self, *groups: NodeTarget) -> PlannedAction:
        """Cut the groups of nodes off from each other; a single group from all others.

        It holds beside other partitions, and ``at(...).heal()`` does not end it.
        """
        where = self._where("partition")
        checked = groups_of(groups, where)

        def begin(span: Occurrence) -> Step:
            return parting(where, checked, span)

        def end(span: Occurrence) -> Step:
            return lambda state, at_us: state.part(at_us, span, None, where)

        return self._held(where, "partition", None, begin, end)

    def cut(self, target: HopTarget) -> PlannedAction:
        """Cut a network, a node, one link (``"reader@field"``) or one replica (``"reader-2"``) off."""
        where, target = self._where("cut"), reusable(target)
        return self._held(
            where,
            "cut",
            target,
            lambda span: cutting(where, target, span, True),
            lambda span: cutting(where, target, span, False),
        )

    def stop(self, node: NodeTarget) -> PlannedAction:
        """Ask the node's app to end (SIGTERM), and start it again at the end; its network stays."""
        where, node = self._where("stop"), reusable(node)
        return self._held(
            where,
            "stop",
            node,
            lambda span: on_apps(where, node, lambda state, t, name: state.pause(t, name, span, True)),
            lambda span: on_apps(where, node, lambda state, t, name: state.pause(t, name, span, False)),
        )

    def crash(self, node: NodeTarget) -> PlannedAction:
        """Crash the node, and restart it at the end."""
        where, node = self._where("crash"), reusable(node)

        def make(_rng: Random, _span_us: int) -> Iterator[TimedStep]:
            span = Occurrence(where)
            yield from crash_steps(where, node, self.start_us, span)
            revive = on_apps(where, node, lambda state, at_us, name: state.revive(at_us, name, span))
            yield self.end_us, Ending(revive)

        return self._event(where, "crash", node, make)

    # What periods share

    def _where(self, verb: str) -> str:
        return f"{self.source}.{verb}"

    def _event(
        self, where: str, verb: str, target: Any, make: Make, notes: tuple[str, ...] = ()
    ) -> PlannedAction:
        text = verb if target is None else f"{verb} {target_label(target)}"
        return PlannedAction(where, text, self.start_us, make, target=target, notes=notes)

    def _held(
        self,
        where: str,
        verb: str,
        target: Any,
        begin: Callable[[Occurrence], Step],
        end: Callable[[Occurrence], Step],
    ) -> PlannedAction:
        """An event of two steps, which have one span in common each time."""

        def make(_rng: Random, _span_us: int) -> Iterable[TimedStep]:
            span = Occurrence(where)
            return [(self.start_us, begin(span)), (self.end_us, Ending(end(span)))]

        return self._event(where, verb, target, make)
