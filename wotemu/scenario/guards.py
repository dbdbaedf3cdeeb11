"""What waits for something else: ``when(metric("detector.latency") > 2.0, held="5s").do(...)``."""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random
from typing import Any, Literal, NoReturn, get_args

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.events import Event, TimedStep, is_events, moment
from wotemu.scenario.repeats import shifted
from wotemu.scenario.state import owners, replicas_of
from wotemu.topology.models import Broker, Node, Topology
from wotemu.units import Like, Seconds

Otherwise = Literal["skip", "fire", "fail"]
"""What a guard does that has not fired in time: nothing, fire then, or end the run as failed."""


@attrs.frozen
class MetricCondition:
    """A number that a node's app reports (`wotemu.app.write_metric`) compares so with a value.

    Of several replicas the one that reported last counts.
    """

    node: str
    key: str
    op: str
    value: float

    def to_dict(self, topology: Topology, where: str) -> dict[str, Any]:
        """As JSON holds it, with the replicas that may report."""
        names = _replicas(self.node, topology, where)
        kind = {"kind": "metric", "replicas": names, "key": self.key}
        return {**kind, "op": self.op, "value": float(self.value)}

    def __str__(self) -> str:
        return f"{self.node}.{self.key} {self.op} {self.value:g}"

    def __bool__(self) -> NoReturn:
        raise ScenarioError("nobody knows yet whether it holds", where=str(self), hint="give it to when(...)")


@attrs.frozen(eq=False)
class Metric:
    """A number that an app reports; compare it with ``<``, ``<=``, ``>`` or ``>=``."""

    node: str
    key: str

    def _than(self, op: str, value: Any) -> MetricCondition:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ScenarioError(f"{value!r} is no number", where=f'metric("{self.node}.{self.key}")')
        return MetricCondition(self.node, self.key, op, float(value))

    def __gt__(self, value: float) -> MetricCondition:
        return self._than(">", value)

    def __ge__(self, value: float) -> MetricCondition:
        return self._than(">=", value)

    def __lt__(self, value: float) -> MetricCondition:
        return self._than("<", value)

    def __le__(self, value: float) -> MetricCondition:
        return self._than("<=", value)


def metric(name: str) -> Metric:
    """The metric ``"node.key"``; the node may be one replica."""
    node, dot, key = name.partition(".") if isinstance(name, str) else ("", "", "")
    if not (node and dot and key):
        raise ScenarioError(f"{name!r} is no metric", where="metric", hint='write metric("node.key") > 2.0')
    return Metric(node, key)


@attrs.frozen
class EventCondition:
    """So many events of a kind have happened, of one node or of any role."""

    event: str
    count: int
    node: str | None

    def to_dict(self, topology: Topology, where: str) -> dict[str, Any]:
        """As JSON holds it, with the sources that count; none means all."""
        names = [] if self.node is None else _replicas(self.node, topology, where)
        sources = [f"agent:{name}" for name in names]
        return {"kind": "event", "event": self.event, "count": self.count, "sources": sources}

    def __str__(self) -> str:
        whose = f" of {self.node}" if self.node else ""
        return f"{self.count} x {self.event}{whose}"


def event(kind: str, count: int = 1, node: Node | Broker | str | None = None) -> EventCondition:
    """`count` events of a kind, such as ``"app.ready"`` or ``"app.crashed"``, since the run began."""
    if not isinstance(kind, str) or "." not in kind:
        raise ScenarioError(f"{kind!r} is no kind of event", where="event", hint='write event("app.ready")')
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ScenarioError(f"count={count!r} is no number of events", where=f"event({kind!r})")
    return EventCondition(kind, count, node.name if isinstance(node, Node | Broker) else node)


def _replicas(name: str, topology: Topology, where: str) -> list[str]:
    known = owners(topology)
    if name not in known:
        hint = f"the nodes are {', '.join(sorted(known))}"
        raise ScenarioError(f"there is no node {name!r}", where=where, hint=hint)
    return list(replicas_of(known[name])) if name == known[name].name else [name]


Condition = MetricCondition | EventCondition


@attrs.frozen
class When:
    """A condition, waiting for what is to happen once it holds."""

    condition: Condition
    held_s: float
    after_s: float

    def do(self, *events: Event, within: Like | None = None, otherwise: Otherwise = "skip") -> Guarded:
        """Carry out these events, once; their times count from the moment when the condition has held.

        `within` is a deadline after T0, by default the end of the run. What has not fired by then is
        skipped, or fires then, or fails the run, as `otherwise` says.
        """
        where = f"when({self.condition}).do"
        if not events:
            raise ScenarioError(
                "nothing is to be done", where=where, hint="write .do(at(0).crash(node), ...)"
            )
        if otherwise not in get_args(Otherwise):
            known = ", ".join(get_args(Otherwise))
            raise ScenarioError(f"otherwise={otherwise!r} is not known", where=where, hint=f"write {known}")
        deadline_s = None if within is None else moment(within, f"{where}, within")
        if deadline_s is not None and deadline_s <= self.after_s + self.held_s:
            raise ScenarioError(
                f"the deadline {Seconds(deadline_s)} passes before it can have held", where=where
            )
        inner = is_events(events, where)
        if any(isinstance(each, Guarded) for each in inner):
            raise ScenarioError("a guard can't wait inside another", where=where)
        return Guarded(where, self, inner, deadline_s, otherwise)


def when(condition: Condition, *, held: Like = 0, after: Like = 0) -> When:
    """Once `condition` has held without a break for `held`, counted from `after` (T0) on at the earliest."""
    if not isinstance(condition, MetricCondition | EventCondition):
        hint = 'write metric("node.key") > 2.0 or event("app.ready")'
        raise ScenarioError(f"{condition!r} is no condition", where="when", hint=hint)
    where = f"when({condition})"
    held_s = moment(held, f"{where}, held")
    if held_s and isinstance(condition, EventCondition):
        raise ScenarioError("what has happened stays so: leave out held", where=where)
    return When(condition, held_s, moment(after, f"{where}, after"))


@attrs.frozen(eq=False, repr=False)
class Guarded:
    """Events that wait for a condition. They have no times of their own until it holds."""

    where: str
    when: When
    events: tuple[Event, ...]
    deadline_s: float | None
    otherwise: Otherwise
    phase: str = ""
    label: str = ""

    @property
    def start_s(self) -> float:
        """From when on it is watched."""
        return self.when.after_s

    def steps(self, rng: Random, duration_s: float) -> Iterator[TimedStep]:  # noqa: ARG002
        """None before it fires: see `block`."""
        return iter(())

    def block(self, rng: Random, duration_s: float, fired_s: float) -> Iterator[TimedStep]:
        """Its steps, had it fired at this moment."""
        return shifted(self.events, fired_s, rng, duration_s)

    def __repr__(self) -> str:
        return f"<{self.where}>"
