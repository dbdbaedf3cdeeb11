"""Actions that wait for a condition: ``when(metric("detector.latency") > 2.0, held="5s").do(...)``."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Literal, NoReturn, Protocol, get_args, runtime_checkable

import attrs

from wotemu.errors import ScenarioError
from wotemu.records.event_kinds import EVENT_KINDS
from wotemu.scenario.vocabulary.actions import (
    Action,
    TimedStep,
    inner_actions,
    number,
    parse_offset,
    seconds,
    shifted_steps,
)
from wotemu.scenario.vocabulary.reporting import check_event, check_metric
from wotemu.scenario.vocabulary.request_condition import RequestCondition
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.scenario.vocabulary.targets import replicas
from wotemu.scenario.vocabulary.written import Written, keeps_calls
from wotemu.suggestions import did_you_mean
from wotemu.topology.node import Node
from wotemu.topology.service import Broker
from wotemu.topology.topology import Topology
from wotemu.units import QuantityLike

Otherwise = Literal["skip", "fire", "fail"]
"""The action of a guard at its deadline: nothing, fire, or fail the run."""


@attrs.frozen
class MetricCondition:
    """A comparison of a metric (`wotemu.app.write_metric`) with a value.

    Of several replicas, the value that came last counts.
    """

    node: str
    key: str
    op: str
    value: float

    def to_dict(self, topology: Topology, where: str) -> dict[str, Any]:
        """The condition as JSON, with the names of the replicas whose metrics count."""
        names = replicas(self.node, topology, where)
        check_metric(self.node, self.key, topology, where)
        kind = {"kind": "metric", "replicas": names, "key": self.key}
        return {**kind, "op": self.op, "value": float(self.value)}

    def __str__(self) -> str:
        return f"{self.node}.{self.key} {self.op} {self.value:g}"

    def __bool__(self) -> NoReturn:
        where = source_location(str(self))
        hint = "give it to when(...), one comparison to each"
        raise ScenarioError("its value is known only during the run", where=where, hint=hint)


@attrs.frozen(eq=False)
class Metric:
    """A metric of a node's app, to compare with ``<``, ``<=``, ``>`` or ``>=``."""

    node: str
    key: str

    __hash__ = object.__hash__

    def __eq__(self, value: object) -> NoReturn:
        raise ScenarioError(
            "a measured value is rarely equal to a number",
            where=self._where(),
            hint="compare it with <, <=, > or >=",
        )

    def _where(self) -> str:
        return source_location(f'metric("{self.node}.{self.key}")')

    def _than(self, op: str, value: Any) -> MetricCondition:
        checked = number(value, "value", self._where(), least=-1e300, most=1e300)
        return MetricCondition(self.node, self.key, op, checked)

    def __gt__(self, value: float) -> MetricCondition:
        return self._than(">", value)

    def __ge__(self, value: float) -> MetricCondition:
        return self._than(">=", value)

    def __lt__(self, value: float) -> MetricCondition:
        return self._than("<", value)

    def __le__(self, value: float) -> MetricCondition:
        return self._than("<=", value)


def metric(name: str) -> Metric:
    """A number that a node's app reports, to compare in `when`: ``metric("detector.latency") > 2.0``.

    Args:
        name: ``"node.key"``, with the name of a node or of one replica.

    Raises:
        ScenarioError: The name is not of this form.
    """
    return Metric(*node_and_key(name, "metric", 'metric("node.key") > 2.0'))


def node_and_key(name: Any, word: str, example: str) -> tuple[str, str]:
    """The node and the key of a metric's name.

    Args:
        name: ``"node.key"``.
        word: Of the vocabulary, that was given the name.
        example: How to write it.

    Raises:
        ScenarioError: The name is not of this form.
    """
    node, dot, key = name.partition(".") if isinstance(name, str) else ("", "", "")
    if not (node and dot and key):
        raise ScenarioError(f"{name!r} is no metric", where=source_location(word), hint=f"write {example}")
    return node, key


@attrs.frozen
class EventCondition:
    """A number of events of one kind have happened, of one node or of any role."""

    event: str
    count: int
    node: str | None

    def to_dict(self, topology: Topology, where: str) -> dict[str, Any]:
        """The condition as JSON, with the sources whose events count; an empty list means all."""
        names = [] if self.node is None else replicas(self.node, topology, where)
        if self.node is not None:
            check_event(self.event, self.node, topology, where)
        sources = [f"agent:{name}" for name in names]
        return {"kind": "event", "event": self.event, "count": self.count, "sources": sources}

    def __str__(self) -> str:
        whose = f" of {self.node}" if self.node else ""
        return f"{self.count} x {self.event}{whose}"


_OUTSIDE = frozenset(
    {
        *("run.started", "run.stopping", "run.done", "run.failed", "run.left", "run.certified"),
        *("run.interrupted", "run.counters", "run.summary", "run.warning"),
    }
)
"""Kinds of events before or after the run, and those that only the screen shows: no guard gets them."""


def event(kind: str, count: int = 1, node: Node | Broker | str | None = None) -> EventCondition:
    """A condition for `when`: events of a kind have happened since the run began.

    Args:
        kind: A kind of `wotemu.records.event_kinds`, such as ``"app.ready"`` or ``"app.crashed"``.
        count: How many events are needed.
        node: Whose events count; None for all.

    Raises:
        ScenarioError: There is no such kind, or no guard gets events of it.
    """
    where = source_location(f"event({kind!r})")
    if not isinstance(kind, str) or kind not in EVENT_KINDS:
        raise ScenarioError(
            f"{kind!r} is no kind of event",
            where=where,
            field="kind",
            hint=did_you_mean(kind, sorted(EVENT_KINDS)),
        )
    if kind.startswith("report.") or kind in _OUTSIDE:
        raise ScenarioError(
            f"guards don't get {kind!r}: it comes before or after the scenario, or only on the screen",
            where=where,
        )
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ScenarioError(f"count={count!r} is no number of events", where=where, field="count")
    if not isinstance(node, Node | Broker | str | None):
        raise ScenarioError(f"node={node!r} is no Node or name", where=where, field="node")
    return EventCondition(kind, count, node.name if isinstance(node, Node | Broker) else node)


Condition = MetricCondition | EventCondition | RequestCondition


@runtime_checkable
class ComparedFigure(Protocol):
    """A figure of objectives, compared with a limit."""

    def condition(self) -> RequestCondition:
        """What a guard waits for. Raises ScenarioError where it is nothing that guards see."""


@keeps_calls
@attrs.frozen
class When:
    """A condition; `do` says what happens when it holds."""

    where: str
    condition: Condition
    held_us: int
    after_us: int

    def do(
        self, *events: Action, within: QuantityLike | None = None, otherwise: Otherwise = "skip"
    ) -> GuardedActions:
        """Let actions take place once, when the condition holds.

        Args:
            events: The actions. Their times count from the moment when the condition has held. An `every`
                among them goes on to its `until`, or to the end of the run.
            within: The deadline after T0, by default the end of the run.
            otherwise: What happens at the deadline if the condition has not held: ``"skip"`` the actions,
                ``"fire"``, or ``"fail"`` the run.

        Returns:
            An action for `Scenario(events=[...])`.

        Raises:
            ScenarioError: An action can't wait, or the deadline comes too early.
        """
        where = f"{self.where}.do"
        inner = inner_actions(events, where)
        if not isinstance(otherwise, str) or otherwise not in get_args(Otherwise):
            known = ", ".join(get_args(Otherwise))
            raise ScenarioError(
                f"otherwise={otherwise!r} is not known", where=where, field="otherwise", hint=f"write {known}"
            )
        deadline_us = None if within is None else parse_offset(within, where, "within")
        if deadline_us is not None and deadline_us <= self.after_us + self.held_us:
            raise ScenarioError(
                f"the deadline within={within!r} is before the condition can have held",
                where=where,
                field="within",
            )
        if any(isinstance(each, GuardedActions) for each in inner):
            raise ScenarioError("a guard can't wait inside another", where=where)
        return GuardedActions(where, self, inner, deadline_us, otherwise)


def when(condition: Condition | ComparedFigure, *, held: QuantityLike = 0, after: QuantityLike = 0) -> When:
    """Wait for a condition: ``when(metric("node.key") > 2.0, held="5s").do(at(0).crash(node))``.

    Args:
        condition: A comparison of `metric(...)`, `event(...)`, or a number of requests that were seen on the
            wire: ``failures(http("GET", "/status", node="client")) >= 3``.
        held: For how long it has to hold without a break.
        after: The offset from T0 from which on it is watched.

    Returns:
        An object whose method `do` takes what happens then.

    Raises:
        ScenarioError: It is no condition, or a duration can't be read.
    """
    if isinstance(condition, ComparedFigure):
        condition = condition.condition()
    if not isinstance(condition, Condition):
        hint = 'write metric("node.key") > 2.0, event("app.ready") or failures(http("GET", "/status")) >= 3'
        raise ScenarioError(f"{condition!r} is no condition", where=source_location("when"), hint=hint)
    where = source_location(f"when({condition})")
    held_us = parse_offset(held, where, "held")
    if held_us and not isinstance(condition, MetricCondition):
        raise ScenarioError("what happened can't end: leave out held", where=where, field="held")
    return When(where, condition, held_us, parse_offset(after, where, "after"))


@attrs.frozen(eq=False, repr=False)
class GuardedActions:
    """Actions that wait for a condition. They have no times until it holds."""

    where: str
    when: When
    events: tuple[Action, ...]
    deadline_us: int | None
    otherwise: Otherwise
    phase: str = ""
    label: str = ""
    written: Written | None = None

    @property
    def start_us(self) -> int:
        """When the condition is first watched, in microseconds after T0."""
        return self.when.after_us

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings of the linter about the actions."""
        return tuple(dict.fromkeys(note for event in self.events for note in event.notes))

    def steps(self, rng: Random, span_us: int) -> Iterator[TimedStep]:  # noqa: ARG002
        """No steps: the guard has not fired. See `block`."""
        return iter(())

    def block(self, rng: Random, span_us: int, fired_us: int) -> Iterator[TimedStep]:
        """The steps, if the guard fires at `fired_us` of a scenario that lasts `span_us`."""
        return shifted_steps(self.events, fired_us, rng, max(0, span_us - fired_us))

    def named(self, phase: str) -> NoReturn:
        """Not possible, as the begin of a phase has to be known before the run.

        Raises:
            ScenarioError: Always.
        """
        raise ScenarioError(
            f"phase {phase!r} can't begin when a guard fires: that time is not known before the run",
            where=f"{self.where}.named",
            hint="name a Phase of the scenario instead",
        )

    @property
    def text(self) -> str:
        """The condition and how long it has to hold, in words."""
        held = f" for {seconds(self.when.held_us)}" if self.when.held_us else ""
        return f"{self.when.condition}{held}"

    def __repr__(self) -> str:
        return f"<{self.where}>"
