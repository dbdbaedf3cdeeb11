"""Deployments for property tests."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from wotemu import (
    Link,
    LinkConditions,
    Network,
    NetworkConditions,
    Node,
    NodeApp,
    Phase,
    Scenario,
    Topology,
    at,
    during,
    event,
    every,
    metric,
    saw,
    sine,
    tag,
    when,
)
from wotemu.scenario import PathLoss
from wotemu.topology.loss_models import GilbertElliott
from wotemu.units import Fraction, Rate, Seconds


def pick(values: Sequence[Any]) -> st.SearchStrategy[Any]:
    """One of several values, of whatever types."""
    return st.sampled_from(values)


NUMBERS = itertools.count()
"""Two tags must not have one name."""
PRESETS = [NetworkConditions.LTE, NetworkConditions.WIFI, NetworkConditions.GPRS]
LINK_PRESETS = pick(list(LinkConditions.presets().values()))
TIMES = st.floats(1e-3, 0.2).map(Seconds) | pick(["20ms", "1.5s", "0.1s"])
SHARES = st.floats(0, 0.99).map(Fraction) | pick(["5%", 0.05, "0.1%"])
RATES = st.floats(1e4, 1e9).map(Rate) | pick(["1.5mbit", "250kbit"])
QUEUES = pick(["200ms", "64K", "100p", None])
MOMENTS = pick([0, 1, "2.5s", "1:01", 7.25, "300ms"])
DIRECTIONS = pick(["up", "down", None])


@st.composite
def conditions(draw: st.DrawFn) -> NetworkConditions:
    if draw(st.booleans()):
        return PRESETS[draw(st.integers(0, len(PRESETS) - 1))]
    values: dict[str, Any] = {"latency": draw(TIMES), "loss": draw(SHARES)}
    if draw(st.booleans()):
        values |= {"rate": draw(RATES), "queue": draw(QUEUES), "overhead": draw(st.integers(-4, 9))}
        if draw(st.booleans()):
            values["duty_cycle"] = draw(pick(["1%", "0.1%", 0.1]))
    if draw(st.booleans()):
        model = GilbertElliott(draw(SHARES), draw(SHARES), bad_loss=draw(SHARES))
        values |= {"loss_model": model, "ecn": draw(st.booleans()), "reorder_gap": draw(st.integers(1, 5))}
    if draw(st.booleans()):
        values |= {"jitter": draw(TIMES), "distribution": draw(pick(["pareto", "uniform"]))}
    return NetworkConditions(**values)


@st.composite
def links(draw: st.DrawFn, network: Network) -> Any:
    one = draw(conditions())
    both = draw(LINK_PRESETS)
    ways = [Link(network, up=one), Link(network, down=one), Link(network, both)]
    return draw(pick([Link(network), Link(network, one), *ways]))


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    names = draw(st.lists(pick(["field", "yard", "n1", "n0"]), min_size=1, max_size=3, unique=True))
    networks = [Network(name, draw(conditions()), shared=draw(st.booleans())) for name in names]
    pool = {network.name: draw(links(network)) for network in networks}
    nodes = []
    for number in range(draw(st.integers(1, 4))):
        on = draw(st.lists(pick(networks), min_size=1, unique_by=lambda each: each.name))
        ways = [draw(pick([each, pool[each.name], Link(each)]) | links(each)) for each in on]
        runs = draw(
            pick(
                [
                    {"command": ["run", "--x", "no"]},
                    {"app": NodeApp("reader", params={"x": [1.5, "1e3", None]})},
                ]
            )
        )
        nodes.append(
            Node(
                f"n{number}",
                networks=ways,
                scale=draw(st.integers(1, 3)),
                env=draw(pick([{}, {"A": "~"}])),
                **runs,
            )
        )
    return Topology(nodes)


@st.composite
def targets(draw: st.DrawFn, topology: Topology) -> Any:
    """What conditions are set of."""
    ways = [each for node in topology.nodes for each in node.networks]
    names = [f"{node.name}@{link.network.name}" for node in topology.nodes for link in node.links]
    one = pick(
        [
            *topology.networks,
            *topology.nodes,
            *ways,
            *names,
            *(f"node:{each.name}" for each in topology.nodes),
        ]
    )
    several = draw(st.lists(one, min_size=1, max_size=3))
    name = f"{draw(pick(['all of it', '~', 'no']))} {next(NUMBERS)}"
    return draw(pick([several[0], several, tag(name, *several)]))


@st.composite
def instants(draw: st.DrawFn, topology: Topology) -> Any:
    moment, target = at(draw(MOMENTS)), draw(targets(topology))
    node = draw(pick([*topology.nodes, *(name for each in topology.nodes for name in each.replicas)]))
    verb = draw(st.integers(0, 8))
    if verb == 0:
        return moment.set(target, draw(conditions() | LINK_PRESETS), direction=draw(DIRECTIONS))
    if verb == 1:
        return moment.set(target, draw(DIRECTIONS), latency=draw(TIMES), loss=draw(SHARES))
    if verb == 2:
        return moment.scale(target, draw(DIRECTIONS), latency=draw(st.floats(0.1, 3)))
    if verb == 3:
        return moment.partition(node, name=draw(pick([None, "~", "a"])))
    plain = [
        moment.heal(),
        moment.restore(),
        moment.restore(target),
        moment.cut(target),
        moment.reconnect(target),
    ]
    on_nodes = [moment.crash(node), moment.restart([node]), moment.stop(node), moment.start(node)]
    return draw(pick([*plain, *on_nodes]))


@st.composite
def periods(draw: st.DrawFn, topology: Topology) -> Any:
    start = draw(st.floats(0, 5))
    period, target = during(start, start + draw(st.floats(0.5, 5))), draw(targets(topology))
    node, keep = draw(pick(topology.nodes)), draw(st.booleans())
    networks = [link.network for link in node.links]
    verb = draw(st.integers(0, 8))
    if verb == 0:
        return period.ramp(
            target, "up", every="500ms", latency=draw(TIMES), rate=("1mbit", draw(RATES)), keep=keep
        )
    if verb == 1:
        shape = draw(pick(["saw", sine("3s") + saw(2, weight=0.3, shift=0.1), sine(1.1)]))
        return period.wave(target, shape, every=draw(pick(["1s", 0.7])), loss=(0, draw(SHARES)))
    if verb == 2:
        return period.random_walk(target, step="20%", latency=("1ms", "2s"), keep=keep)
    if verb == 3:
        return period.flap(node, up="1s", down=0.4, jitter=draw(SHARES))
    if verb == 4:
        return period.churn([node], rate="30/min", downtime=("1s", 2), fault="stress", cpu=0.1)
    if verb == 5:
        return period.move(node, [(number, each) for number, each in enumerate(networks)], gap="10ms")
    if verb == 6:
        sites = {each: (float(number), 100.5) for number, each in enumerate(networks)}
        model = draw(pick([None, PathLoss(exponent=2.7, shadowing_db=1.5)]))
        return period.travel(node, [(0, (0.0, 1.0)), ("3s", (300, 0))], stations=sites, model=model)
    plain = [period.crash(node), period.partition(node), period.stop([node]), period.cut(target)]
    return draw(pick([*plain, period.set(target, corrupt=draw(SHARES)), period.scale(target, loss=2)]))


@st.composite
def deployments(draw: st.DrawFn) -> tuple[Topology, Scenario]:
    """A topology, and a scenario that may not fit it."""
    topology = draw(topologies())
    one: st.SearchStrategy[Any] = instants(topology) | periods(topology)
    events = draw(st.lists(one, max_size=4))
    if draw(st.booleans()):
        events.append(every(draw(pick(["3s", 2.5])), start=1, until="9s").do(draw(instants(topology))))
    if draw(st.booleans()):
        condition = draw(pick([metric("n0.x") > 0.1, metric("n0.a.b") <= -3, event("app.ready", node="n0")]))
        guard = when(condition, after=0.5).do(*draw(st.lists(one, min_size=1, max_size=2)), within="20s")
        events.insert(0, guard)
    if draw(st.booleans()) and events:
        events[-1] = events[-1].named("last") if events[-1].label else events[-1]
    phases = draw(pick([(), (Phase("calm", 0), Phase("no", "1:01"))]))
    duration: Any = draw(pick([20, "0:30", Seconds(12.3456789)]))
    return topology, Scenario(duration=duration, seed=draw(st.integers(0, 9)), phases=phases, events=events)
