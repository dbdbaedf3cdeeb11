"""Each hop's delay, loss, rate and duty cycle over time by a timeline, as step functions. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from wotemu.scenario.state import base_conditions
from wotemu.scenario.timeline import Direction, Timeline
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.network import Network
from wotemu.topology.topology import Topology
from wotemu_report.charts import theme

MAX_POINTS = 600
"""Of one line: a screen shows no more, and the page would grow with the scenario."""


@attrs.frozen
class HopQuantity:
    """One quantity of a hop's conditions.

    Attributes:
        title, caption: Of its figure.
        nothing: Says that no hop has it.
        label: A Vega expression for the labels of its axis.
        read: Its value, from conditions as JSON has them.
        joined: Its value where a network's and a link's conditions come together.
        log: Whether its axis is logarithmic.
        is_of_senders: Whether a shared network imposes it on each sender alone, and it is shown only where
            there is any.
    """

    title: str
    caption: str
    nothing: str
    label: str
    read: Callable[[Mapping[str, Any]], float | None]
    joined: Callable[[float | None, float | None], float | None]
    log: bool = False
    is_of_senders: bool = False


def _latency_ms(conditions: Mapping[str, Any]) -> float:
    return float(conditions["latency_s"] * 1e3)


def _loss_percent(conditions: Mapping[str, Any]) -> float:
    if "loss_model" not in conditions:
        return float(conditions["loss"] * 100)
    return 100 * NetworkConditions.from_dict(dict(conditions)).mean_loss


def _rate(conditions: Mapping[str, Any]) -> float | None:
    return None if conditions["rate_bps"] is None else float(conditions["rate_bps"])


def _duty_cycle_percent(conditions: Mapping[str, Any]) -> float | None:
    return 100 * conditions["duty_cycle"] if "duty_cycle" in conditions else None


def _sum(first: float | None, second: float | None) -> float:
    return (first or 0.0) + (second or 0.0)


def _either_percent(first: float | None, second: float | None) -> float:
    return 100 * (1 - (1 - (first or 0.0) / 100) * (1 - (second or 0.0) / 100))


def _lower(first: float | None, second: float | None) -> float | None:
    return min((rate for rate in (first, second) if rate is not None), default=None)


QUANTITIES = (
    HopQuantity(
        "Latency", "One-way delay; jitter comes on top.", "No hop delays.", theme.DURATION, _latency_ms, _sum
    ),
    HopQuantity(
        "Loss",
        "Share of packets, in the long run.",
        "No hop loses packets.",
        theme.PERCENT,
        _loss_percent,
        _either_percent,
    ),
    HopQuantity(
        "Rate",
        "A hop without a limit has no line; an outage, a rate of 0, is drawn at the bottom.",
        "No hop limits the rate.",
        theme.RATE,
        _rate,
        _lower,
        log=True,
    ),
    HopQuantity(
        "Duty cycle",
        "The share of the time in which a hop may send at its rate; a hop without one has no line.",
        "No hop has a duty cycle.",
        theme.PERCENT,
        _duty_cycle_percent,
        _lower,
        is_of_senders=True,
    ),
)

StepLine = tuple[tuple[float, float | None], ...]
"""Offsets from T0 in seconds, each with the value from then on, until the next one; None: no limit."""


def hop_groups(
    quantity: HopQuantity, network: Network, topology: Topology, timeline: Timeline
) -> list[tuple[Callable[[], StepLine], list[str]]]:
    """The hops of a network, grouped by what they add to it: those of a group have one line.

    A shared network's rate is a group of its own: it holds for all hops together.

    Returns:
        For each group a function that composes its line (which takes long for many steps, and not all are
        drawn), and the names of its hops.
    """
    own = _own_lines(quantity, network, topology, timeline)
    apart = network.shared and quantity.log
    alike: dict[tuple[Direction, StepLine], list[str]] = {}
    for (node, way), line in own.items():
        if node is not None:
            alike.setdefault((way, line), []).append(f"{node} {way}")
    groups: list[tuple[Callable[[], StepLine], list[str]]] = []
    if apart:
        groups.append(
            (partial(_joined, quantity, own[None, "up"], ()), ["all together up", "all together down"])
        )
    for (direction, line), names in alike.items():
        is_receiver = network.shared and quantity.is_of_senders and direction == "down"
        first = () if apart or is_receiver else own[None, direction]
        groups.append((partial(_joined, quantity, first, line), names))
    return groups


def _own_lines(
    quantity: HopQuantity, network: Network, topology: Topology, timeline: Timeline
) -> dict[tuple[str | None, Direction], StepLine]:
    """The lines of the network itself (node None) and of each link, by node and direction."""
    points = {
        (node, way): [(0.0, quantity.read(conditions.to_dict()))]
        for (name, node, way), conditions in base_conditions(topology).items()
        if name == network.name
    }
    for change in timeline.changes:
        if change.action == "conditions" and change.network == network.name and change.direction:
            points[change.node, change.direction].append((change.at_s, quantity.read(change.after)))
    return {key: _steps(line) for key, line in points.items()}


def _joined(quantity: HopQuantity, first: StepLine, second: StepLine) -> StepLine:
    """Two lines composed: a point wherever either has one. An empty one adds nothing to the other."""
    if not (first and second):
        return first or second
    times = sorted({at_s for line in (first, second) for at_s, _ in line})
    values = (_values_at(line, times) for line in (first, second))
    return _steps(
        (at_s, quantity.joined(one, other)) for at_s, one, other in zip(times, *values, strict=True)
    )


def _values_at(line: StepLine, times: Sequence[float]) -> Iterator[float | None]:
    """The values of a line at these times, which are in order and include all of its own."""
    values, current = dict(line), line[0][1]
    for at_s in times:
        current = values.get(at_s, current)
        yield current


def _steps(points: Iterable[tuple[float, float | None]]) -> StepLine:
    """Only the points at which the value changes; of several at one time the last."""
    found: list[tuple[float, float | None]] = []
    for at_s, value in dict(points).items():
        if not found or found[-1][1] != value:
            found.append((at_s, value))
    return tuple(found)


def thinned(line: StepLine, end_s: float) -> StepLine:
    """At most `MAX_POINTS` points of a line: the first, lowest and highest value of each interval of time.

    Sampling would lose short peaks.
    """
    if len(line) <= MAX_POINTS:
        return line
    intervals: dict[int, list[tuple[float, float | None]]] = {}
    count = MAX_POINTS // 3
    for point in line:
        intervals.setdefault(min(int(point[0] / end_s * count), count - 1), []).append(point)
    chosen = set()
    for points in intervals.values():
        ordered = sorted(points, key=lambda point: math.inf if point[1] is None else point[1])
        chosen |= {points[0], ordered[0], ordered[-1]}
    return tuple(sorted(chosen, key=lambda point: point[0]))
