"""Each hop's delay, loss and rate over time, as a timeline will make them. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import attrs

from wotemu.scenario.state import base_conditions
from wotemu.scenario.timeline import Direction, Timeline
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.models import Network, Topology
from wotemu_report.charts import series

MAX_POINTS = 600
"""Of one line: more would not be seen on a screen, and the page would grow with the scenario."""
_RATE = (
    "datum.value >= 1e9 ? format(datum.value / 1e9, '~r') + ' Gbit/s' : datum.value >= 1e6 ?"
    " format(datum.value / 1e6, '~r') + ' Mbit/s' : datum.value >= 1e3 ? format(datum.value / 1e3, '~r')"
    " + ' kbit/s' : format(datum.value, '~r') + ' bit/s'"
)


@attrs.frozen
class Quantity:
    """One thing to draw: how conditions as JSON have it, how two in a row add up, its axis."""

    title: str
    caption: str
    nothing: str
    label: str
    read: Callable[[Mapping[str, Any]], float | None]
    joined: Callable[[float | None, float | None], float | None]
    log: bool = False


def _latency_ms(conditions: Mapping[str, Any]) -> float:
    return float(conditions["latency_s"] * 1e3)


def _loss_percent(conditions: Mapping[str, Any]) -> float:
    if "loss_model" not in conditions:
        return float(conditions["loss"] * 100)
    return 100 * NetworkConditions.from_dict(dict(conditions)).mean_loss


def _rate(conditions: Mapping[str, Any]) -> float | None:
    return None if conditions["rate_bps"] is None else float(conditions["rate_bps"])


def _sum(first: float | None, second: float | None) -> float:
    return (first or 0.0) + (second or 0.0)


def _either_percent(first: float | None, second: float | None) -> float:
    return 100 * (1 - (1 - (first or 0.0) / 100) * (1 - (second or 0.0) / 100))


def _lower(first: float | None, second: float | None) -> float | None:
    return min((rate for rate in (first, second) if rate is not None), default=None)


QUANTITIES = (
    Quantity(
        "Latency", "One-way delay; jitter comes on top.", "No hop delays.", series.DURATION, _latency_ms, _sum
    ),
    Quantity(
        "Loss",
        "Share of packets, in the long run.",
        "No hop loses.",
        "format(datum.value, '~r') + ' %'",
        _loss_percent,
        _either_percent,
    ),
    Quantity(
        "Rate",
        "Where a line is missing, nothing limits; an outage, a rate of 0, is drawn at the bottom.",
        "No hop limits the rate.",
        _RATE,
        _rate,
        _lower,
        log=True,
    ),
)

Line = tuple[tuple[float, float | None], ...]
"""A value from an offset from T0 on, until the next one."""


def kinds_of(
    quantity: Quantity, network: Network, topology: Topology, timeline: Timeline
) -> list[tuple[Callable[[], Line], list[str]]]:
    """Hops whose links do the same on the same way: how to compose their line, and their names.

    Of a shared network the rate is all hops' together.
    """
    own = _own_lines(quantity, network, topology, timeline)
    apart = network.shared and quantity.log
    alike: dict[tuple[Direction, Line], list[str]] = {}
    for (node, way), line in own.items():
        if node is not None:
            alike.setdefault((way, line), []).append(f"{node} {way}")
    kinds: list[tuple[Callable[[], Line], list[str]]] = []
    if apart:
        kinds.append(
            (partial(_joined, quantity, own[None, "up"], ()), ["all together up", "all together down"])
        )
    for (direction, line), names in alike.items():
        first = () if apart else own[None, direction]
        kinds.append((partial(_joined, quantity, first, line), names))
    return kinds


def _own_lines(
    quantity: Quantity, network: Network, topology: Topology, timeline: Timeline
) -> dict[tuple[str | None, Direction], Line]:
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


def _joined(quantity: Quantity, first: Line, second: Line) -> Line:
    """Two lines composed: a point wherever either has one. An empty one adds nothing."""
    if not (first and second):
        return first or second
    times = sorted({at_s for line in (first, second) for at_s, _ in line})
    values = (_values_at(line, times) for line in (first, second))
    return _steps(
        (at_s, quantity.joined(one, other)) for at_s, one, other in zip(times, *values, strict=True)
    )


def _values_at(line: Line, times: Sequence[float]) -> Iterator[float | None]:
    """What a line has at these times, which rise and contain all of its own."""
    values, current = dict(line), line[0][1]
    for at_s in times:
        current = values.get(at_s, current)
        yield current


def _steps(points: Iterable[tuple[float, float | None]]) -> Line:
    """Only the points at which the value becomes another one; of several at one time the last."""
    found: list[tuple[float, float | None]] = []
    for at_s, value in dict(points).items():
        if not found or found[-1][1] != value:
            found.append((at_s, value))
    return tuple(found)


def thinned(line: Line, end_s: float) -> Line:
    """At most `MAX_POINTS` of a line: of each stretch of time its first, lowest and highest value."""
    if len(line) <= MAX_POINTS:
        return line
    stretches: dict[int, list[tuple[float, float | None]]] = {}
    count = MAX_POINTS // 3
    for point in line:
        stretches.setdefault(min(int(point[0] / end_s * count), count - 1), []).append(point)
    kept = set()
    for points in stretches.values():
        ordered = sorted(points, key=lambda point: math.inf if point[1] is None else point[1])
        kept |= {points[0], ordered[0], ordered[-1]}
    return tuple(sorted(kept, key=lambda point: point[0]))
