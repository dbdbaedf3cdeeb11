"""The picture of a plan: what is drawn is what the hops will impose, in a page of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from wotemu.scenario import Scenario, at, during, resolve
from wotemu.scenario.state import base_conditions
from wotemu.scenario.timeline import Timeline
from wotemu.scenario.vocabulary.actions import Action
from wotemu.topology.models import GilbertElliott, Link, Network, NetworkConditions, Node, Topology
from wotemu_gateways.conditions.hop_conditions import described_hop
from wotemu_report.blocks import Figure
from wotemu_report.charts import palette
from wotemu_report.page.render import figure_spec
from wotemu_report.planned.hop_figures import network_section
from wotemu_report.planned.hop_lines import MAX_POINTS, QUANTITIES, StepLine, hop_groups, thinned
from wotemu_report.planned.plan_page import plan_axis, plan_page


def topology(count: int, *, shared: bool = False, step_ms: int = 1) -> Topology:
    """Nodes whose links differ in their latency, unless `step_ms` is 0."""
    network = Network("field", NetworkConditions(latency="40ms", rate="15mbit", loss="1%"), shared=shared)
    nodes = []
    for number in range(count):
        own = NetworkConditions(latency=f"{1 + number * step_ms}ms")
        nodes.append(Node(f"n{number}", command=["sleep", "1"], networks=[Link(network, up=own, down=own)]))
    return Topology(nodes)


def timeline_of(of: Topology, *events: Action, duration: str = "60s") -> Timeline:
    return resolve(of, Scenario(duration=duration, events=events))[0]


def figures(of: Topology, timeline: Timeline) -> list[Figure]:
    section = network_section(of.networks[0], of, timeline, plan_axis(timeline))
    return [block for block in section.blocks if isinstance(block, Figure)]


def ranges(spec: Any) -> Iterator[list[str]]:
    """The ranges of all scales in a chart."""
    if isinstance(spec, dict):
        if isinstance(spec.get("range"), list):
            yield spec["range"]
        for value in spec.values():
            yield from ranges(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from ranges(value)


@pytest.mark.parametrize("shared", [False, True])
def test_lines_are_network_and_link_composed(shared: bool) -> None:
    of = topology(2, shared=shared)
    timeline = timeline_of(
        of,
        at(5).set("field", latency="100ms", loss_model=GilbertElliott("5%", "50%"), rate=0),
        at(7).set("n1", "up", loss="10%", rate="1mbit", latency="30ms"),
        at(7).set("field", rate="2mbit"),
        during(10, 20).ramp("n0", latency=("1ms", "200ms")),
    )
    current = base_conditions(of)
    for until in (5, 7, 15, 60):
        for change in timeline.changes:
            if change.at_s <= until and change.network and change.direction:
                key = change.network, change.node, change.direction
                current[key] = NetworkConditions.from_dict(change.after)
        for quantity in QUANTITIES:
            lines = {
                name: dict(line())
                for line, names in hop_groups(quantity, of.networks[0], of, timeline)
                for name in names
            }
            for node in ("n0", "n1"):
                for way in ("up", "down"):
                    hop = described_hop(current, ("field", node, way), shared=shared)
                    line = lines[f"{node} {way}"]
                    drawn = line[max(at_s for at_s in line if at_s <= until)]
                    assert drawn == pytest.approx(quantity.read(hop.to_dict()))
            if shared and quantity.title == "Rate":
                whole = current["field", None, "up"].rate
                line = lines["all together up"]
                assert line[max(at_s for at_s in line if at_s <= until)] == whole


def test_a_long_line_is_thinned_but_keeps_its_extremes() -> None:
    line = (*((float(second), float(second % 7 or 9)) for second in range(5000)), (5000.5, 99.0))
    kept = thinned(line, 5001.0)
    assert len(kept) <= MAX_POINTS
    assert set(kept) <= set(line) and kept == tuple(sorted(kept))
    assert {1.0, 9.0, 99.0} <= {value for _, value in kept}
    assert thinned(line[:MAX_POINTS], 5001.0) == line[:MAX_POINTS]


def test_no_two_lines_have_one_colour_and_the_others_are_counted() -> None:
    of = topology(50)
    drawn = figures(of, timeline_of(of, at(1).set("field", latency="50ms")))[0]
    assert "hops, which differ from these, are not drawn" in drawn.caption
    colours = next(each for each in ranges(figure_spec(drawn)) if str(each[0]).startswith("#"))
    assert len(set(colours)) == len(colours) == len(palette.SERIES)


def test_a_page_does_not_grow_with_nodes_and_steps() -> None:
    """Fifty links that differ, 3000 steps of their network: hardly larger than a page of little."""
    of = topology(50)
    walk = during(0, 3000).random_walk(
        "field", latency=("10ms", "200ms"), rate=("1mbit", "15mbit"), loss=(0, "5%")
    )
    long, short = timeline_of(of, walk, duration="3000s"), timeline_of(of, at(1).set("field", loss="5%"))
    assert len(long.changes) > 5000
    size = len(plan_page("x", of, long, [], "1")) - len(plan_page("x", of, short, [], "1"))
    assert size < 1_000_000


def test_an_outage_is_drawn_at_the_bottom_of_the_rates() -> None:
    of = topology(1)
    rates = figures(of, timeline_of(of, at(1).set("field", rate=0), at(2).set("field", rate="1mbit")))[2]
    assert "an outage, a rate of 0, is drawn at the bottom" in rates.caption
    assert "[100000.0, 100000000.0]" in str(figure_spec(rates))


@pytest.mark.parametrize(("shared", "down"), [(False, ((0, None), (5, 1.0))), (True, ((0, None),))])
def test_a_duty_cycle_has_a_chart_where_there_is_one(shared: bool, down: StepLine) -> None:
    of = topology(1, shared=shared)
    timeline = timeline_of(of, at(5).set("field", duty_cycle="1%"))
    assert "Duty cycle" not in [figure.title for figure in figures(of, timeline_of(of))]
    assert figures(of, timeline)[-1].title == "Duty cycle"
    groups = hop_groups(QUANTITIES[-1], of.networks[0], of, timeline)
    assert {name: line() for line, (name,) in groups} == {"n0 up": ((0, None), (5, 1.0)), "n0 down": down}
