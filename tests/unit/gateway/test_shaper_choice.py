"""What the `netem` shaper is not taken for, of what a timeline has."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from wotemu.errors import EmulationError, HostError
from wotemu.scenario import Scenario, at, resolve
from wotemu.scenario.timeline import Change
from wotemu.topology.models import Network, NetworkConditions, Node, Topology
from wotemu_gateways.netem.netem_shaper import NetemShaper
from wotemu_runtime.gateway.shaper_choice import check_duty_cycles, effective_shaper, late_raises
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.planner import make_plan


def rates(*values: float | None) -> list[Change]:
    """Changes of one hop's rate from each value to the next."""
    return [
        Change(i, float(i), "conditions", "field", "a", "up", {"rate_bps": before}, {"rate_bps": after})
        for i, (before, after) in enumerate(pairwise(values))
    ]


@pytest.mark.parametrize(
    "values",
    [
        (24e3, 10e6),
        (999e3, None),
        (10e6, 24e3, 48e3, 100e3),
        (24e3, 0, 10e6),
    ],
)
def test_a_low_rate_that_rises_much_is_beyond_netem(values: tuple[float | None, ...]) -> None:
    assert len(list(late_raises(rates(*values)))) == 1


@pytest.mark.parametrize(
    "values",
    [(1e6, 100e6), (24e3, 48e3, 96e3), (None, 24e3), (10e6, 24e3), (10e6, 0, 10e6), (0, 24e3)],
)
def test_other_changes_are_not(values: tuple[float | None, ...]) -> None:
    assert not list(late_raises(rates(*values)))


def test_hops_are_looked_at_one_by_one() -> None:
    other = Change(9, 9.0, "conditions", "field", "b", "up", {"rate_bps": 0}, {"rate_bps": 10e6})
    assert not list(late_raises([*rates(10e6, 24e3, 0), other]))
    assert list(late_raises([*rates(10e6, 24e3, 0), *rates(0, 10e6)]))


def plan_with(*events: Any, **conditions: Any) -> Plan:
    """Of one node on one network."""
    radio = Network("radio", NetworkConditions(rate="50kbit", **conditions))
    topology = Topology([Node("meter", command=["true"], networks=[radio])])
    timeline, _ = resolve(topology, Scenario(duration="9s", events=events))
    return make_plan(topology, timeline, stack="test", root=Path("/"))


@pytest.mark.parametrize(
    ("plan", "where"),
    [
        (plan_with(duty_cycle="1%"), "radio up"),
        (plan_with(at(3).set("meter@radio", "down", duty_cycle="1%")), "meter@radio down"),
    ],
)
def test_a_duty_cycle_is_refused_for_netem_and_auto_takes_tun(plan: Plan, where: str) -> None:
    with pytest.raises(HostError, match=f"{where}: NetEm imposes no duty cycle") as caught:
        check_duty_cycles(plan)
    assert caught.value.hint == "leave it out, or use --shaper tun"
    assert effective_shaper("auto", plan) == "tun"


def test_without_one_netem_does() -> None:
    plan = plan_with(duty_cycle="100%")
    check_duty_cycles(plan)
    assert effective_shaper("auto", plan) == "auto"


def test_one_that_is_set_by_hand_fails_under_netem() -> None:
    shaper = object.__new__(NetemShaper)  # it has to be refused before anything is asked of the kernel
    with pytest.raises(EmulationError, match="NetEm imposes no duty cycle"):
        shaper.set_hop("meter", "up", NetworkConditions(rate="50kbit", duty_cycle="1%"))
