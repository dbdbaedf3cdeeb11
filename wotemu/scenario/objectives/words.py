"""The words for figures: ``p95("readproperty", node="phone")``, ``lost_events("reading")``, ..."""

from __future__ import annotations

from typing import Any, Literal, TypedDict, Unpack, get_args

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.objectives.figures import Figure, Selection, Unit
from wotemu.scenario.vocabulary.on_wire import OnWire
from wotemu.scenario.vocabulary.source_location import source_location
from wotemu.scenario.vocabulary.targets import NodeTarget, reusable, target_label
from wotemu.scenario.vocabulary.when import node_and_key
from wotemu.suggestions import did_you_mean

Operation = Literal["readproperty", "writeproperty", "invokeaction"]
"""The operations that are requests."""
Binding = Literal["http", "ws", "coap", "mqtt", "zenoh"]
Role = Literal["consumer", "producer"]
_SUBSCRIPTIONS = ("observeproperty", "subscribeevent", "unobserveproperty", "unsubscribeevent")


class Requests(TypedDict, total=False):
    """Which requests a figure is computed of; what is left out means all.

    Attributes:
        node: Whose requests: a Node, its name or a replica's, a tag, or several.
        thing: The Thing's id.
        name: The affordance's name.
        binding: ``http``, ``ws``, ``coap``, ``mqtt`` or ``zenoh``.
        role: Who measured, by default the ``consumer``: its durations include the network, those of a
            ``producer`` only its handler.
    """

    node: NodeTarget
    thing: str
    name: str
    binding: Binding
    role: Role


def p50(operation: Operation | OnWire | None = None, **requests: Unpack[Requests]) -> Figure:
    """The median of the durations of requests, compared with a duration: ``p50("readproperty") < "200ms"``.

    A failed request counts as one that was never answered. What an app cancelled, or was under way when the
    run ended, does not count.

    Args:
        operation: ``readproperty``, ``writeproperty`` or ``invokeaction``; None for all. Or requests that
            were seen on the wire, with `http` or `coap`.
        requests: ``node``, ``thing``, ``name``, ``binding``, ``role``: see `Requests`.

    Raises:
        ScenarioError: There is no such operation, binding or role.
    """
    return _of_requests("p50", "s", operation, requests)


def p90(operation: Operation | OnWire | None = None, **requests: Unpack[Requests]) -> Figure:
    """The 90th percentile of the durations of requests; see `p50`."""
    return _of_requests("p90", "s", operation, requests)


def p95(operation: Operation | OnWire | None = None, **requests: Unpack[Requests]) -> Figure:
    """The 95th percentile of the durations of requests; see `p50`."""
    return _of_requests("p95", "s", operation, requests)


def p99(operation: Operation | OnWire | None = None, **requests: Unpack[Requests]) -> Figure:
    """The 99th percentile of the durations of requests; see `p50`."""
    return _of_requests("p99", "s", operation, requests)


def mean(operation: Operation | OnWire | None = None, **requests: Unpack[Requests]) -> Figure:
    """The mean duration of the requests that succeeded; arguments are those of `p50`."""
    return _of_requests("mean", "s", operation, requests)


def errors(operation: Operation | OnWire | None = None, **requests: Unpack[Requests]) -> Figure:
    """The failed share of requests, compared with a share: ``errors("writeproperty") < "1%"``.

    Arguments are those of `p50`.
    """
    return _of_requests("errors", "share", operation, requests)


def throughput(operation: Operation | OnWire | None = None, **requests: Unpack[Requests]) -> Figure:
    """Requests a second that succeeded, compared with a rate: ``throughput("readproperty") > "5/s"``.

    Arguments are those of `p50`.
    """
    return _of_requests("throughput", "/s", operation, requests)


def requests(operation: Operation | OnWire | None = None, **requests: Unpack[Requests]) -> Figure:
    """How many requests ended, well or not, compared with a number: ``requests(http("POST", "/log")) > 10``.

    What is seen on the wire, `when` takes, too. Arguments are those of `p50`.
    """
    return _of_requests("requests", "count", operation, requests)


def failures(operation: Operation | OnWire | None = None, **requests: Unpack[Requests]) -> Figure:
    """How many requests failed, compared with a number: ``failures("writeproperty") == 0``.

    What is seen on the wire, `when` takes, too. Arguments are those of `p50`.
    """
    return _of_requests("failures", "count", operation, requests)


def availability(node: NodeTarget | None = None) -> Figure:
    """The share of the time in which a node's requests were answered: ``availability("phone") > "99%"``.

    A failed request counts against it until the next one begins, a slow one until just before its answer. Of
    several nodes, the lowest counts.

    Args:
        node: Whose: a Node, its name or a replica's, a tag, or several; None for all that made requests.
    """
    return Figure("availability", _whose(node) or "every node", "share", Selection(node=reusable(node)))


def lost_events(name: str, *, thing: str | None = None, binding: Binding | None = None) -> Figure:
    """Notifications of an event that subscribers were sent and did not get: ``lost_events("reading") == 0``.

    What is emitted while a node is not subscribed is not sent to it. Producers on MQTT and Zenoh send to the
    broker alone, so that there is no data for these.

    Args:
        name: The event's name.
        thing: The Thing's id; None for all.
        binding: ``http``, ``ws`` or ``coap``; None for all.

    Raises:
        ScenarioError: The name is no text, or there is no such binding.
    """
    where = source_location("lost_events")
    _check_text("name", name, where, required=True)
    _check_text("thing", thing, where)
    _check_choice("binding", binding, get_args(Binding), where)
    over = f" over {binding}" if binding else ""
    select = Selection(name=name, thing=thing or "", binding=binding or "")
    return Figure("lost_events", f"{name}{over}", "count", select)


@attrs.frozen
class AppMetric:
    """The values of an app's metric, of which one figure can be limited: ``app("node.key").p99``."""

    node: str
    key: str

    def _figure(self, statistic: str) -> Figure:
        select = Selection(node=self.node, key=self.key, statistic=statistic)
        return Figure(statistic, f"{self.node}.{self.key}", "number", select)

    @property
    def p50(self) -> Figure:
        """The median."""
        return self._figure("p50")

    @property
    def p90(self) -> Figure:
        """The 90th percentile."""
        return self._figure("p90")

    @property
    def p95(self) -> Figure:
        """The 95th percentile."""
        return self._figure("p95")

    @property
    def p99(self) -> Figure:
        """The 99th percentile."""
        return self._figure("p99")

    @property
    def mean(self) -> Figure:
        """The mean."""
        return self._figure("mean")

    @property
    def min(self) -> Figure:
        """The least."""
        return self._figure("min")

    @property
    def max(self) -> Figure:
        """The greatest."""
        return self._figure("max")

    @property
    def last(self) -> Figure:
        """The last."""
        return self._figure("last")


STATISTICS = ("p50", "p90", "p95", "p99", "mean", "min", "max", "last")
"""The figures of an app's metric."""


def app(name: str) -> AppMetric:
    """A number that a node's app reports (`wotemu.app.write_metric`): ``app("detector.latency").p99 < 2.0``.

    Its figures are ``p50``, ``p90``, ``p95``, ``p99``, ``mean``, ``min``, ``max`` and ``last``.

    Args:
        name: ``"node.key"``, with the name of a node or of one replica.

    Raises:
        ScenarioError: The name is not of this form.
    """
    return AppMetric(*node_and_key(name, "app", 'app("node.key").p99 < 2.0'))


@attrs.frozen
class NodeFigures:
    """A node, of which one figure can be limited: ``node("edge").restarts == 0``."""

    target: Any

    def _figure(self, kind: str) -> Figure:
        return Figure(kind, _whose(self.target), "count", Selection(node=self.target))

    @property
    def restarts(self) -> Figure:
        """How often its app was started again after an error, all its replicas together.

        What the scenario restarts does not count.
        """
        return self._figure("restarts")

    @property
    def crashes(self) -> Figure:
        """How often its app ended with an error, all its replicas together.

        What the scenario crashes does not count.
        """
        return self._figure("crashes")


NODE_FIGURES = ("restarts", "crashes")
"""The figures of a node."""


def node(target: NodeTarget) -> NodeFigures:
    """A node, to limit its ``restarts`` or ``crashes``: ``node("edge").restarts == 0``.

    Args:
        target: A Node, its name or a replica's, a tag, or several.
    """
    return NodeFigures(reusable(target))


def _of_requests(kind: str, unit: Unit, operation: str | OnWire | None, requests: Requests) -> Figure:
    where = source_location(kind)
    if isinstance(operation, OnWire):
        return _seen_on_wire(kind, unit, operation, requests, where)
    for field in requests:
        if field not in Requests.__annotations__:
            hint = did_you_mean(field, Requests.__annotations__)
            raise ScenarioError(f"requests have no {field!r}", where=where, hint=hint)
    if operation in _SUBSCRIPTIONS:
        hint = "its notifications are in lost_events(...)"
        raise ScenarioError(f"{operation!r} is no request: it has no duration", where=where, hint=hint)
    node, role = reusable(requests.get("node")), requests.get("role", "consumer")
    _check_choice("operation", operation, get_args(Operation), where)
    _check_choice("binding", requests.get("binding"), get_args(Binding), where)
    _check_choice("role", role, get_args(Role), where)
    thing, name, binding = requests.get("thing"), requests.get("name"), requests.get("binding")
    _check_text("thing", thing, where)
    _check_text("name", name, where)
    parts = [operation or "requests", name, node is not None and f"of {_whose(node)}"]
    parts += [thing and f"to {thing}", binding and f"over {binding}"]
    parts += [role == "producer" and "as producers measured"]
    select = Selection(
        operation=operation or "",
        thing=thing or "",
        name=name or "",
        binding=binding or "",
        role=role,
        node=node,
    )
    return Figure(kind, " ".join(part for part in parts if part), unit, select)


def _seen_on_wire(kind: str, unit: Unit, wire: OnWire, requests: Requests, where: str) -> Figure:
    for field in requests:
        known = [each.name for each in attrs.fields(OnWire) if each.name != "protocol"]
        hint = (
            f"write {wire.protocol}(..., {field}=...)" if field in known else f"known are {', '.join(known)}"
        )
        raise ScenarioError(f"{field}= is of requests of WoTPy", where=where, hint=hint)
    return Figure(kind, wire.text, unit, Selection(wire=wire))


def _whose(target: Any) -> str:
    return "" if target is None else target_label(reusable(target))


def _check_choice(field: str, value: Any, known: tuple[str, ...], where: str) -> None:
    if value is not None and (not isinstance(value, str) or value not in known):
        hint = did_you_mean(value, known)
        raise ScenarioError(f"{field}={value!r} is not known", where=where, hint=hint)


def _check_text(field: str, value: Any, where: str, *, required: bool = False) -> None:
    if value is None and not required:
        return
    if not isinstance(value, str) or not value.strip():
        raise ScenarioError(f"{field}={value!r} is no name", where=where)
