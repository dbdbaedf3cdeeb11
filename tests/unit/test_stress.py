"""How a stress shares a core, where it has room, and what the certificate says of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wotemu.errors import HostError
from wotemu.records import Event
from wotemu.scenario import Scenario, at, during, resolve
from wotemu.scenario.vocabulary.actions import Action
from wotemu.topology.models import Network, Node, Topology
from wotemu_runtime.agent.stressor import PERIOD_S, DutyCycle
from wotemu_runtime.engines.swarm.requirements import check_faults
from wotemu_runtime.fidelity.faults import fault_without_effect
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.planner import make_plan
from wotemu_runtime.planning.stress_check import Room, check_stress


def used_share(share: float, end_s: float, got: float = 1.0) -> float:
    """The share of a core that a process uses until `end_s`, where it gets `got` of one."""
    now_s = cpu_s = 0.0
    cycle = DutyCycle(share, now_s, cpu_s)
    while now_s < end_s:
        cycle.next_period(now_s, cpu_s)
        if (left_s := cycle.cpu_until_s - cpu_s) > 0:
            cpu_s, now_s = cpu_s + left_s, now_s + left_s / got
        now_s = max(now_s, cycle.until_s)
    return cpu_s / now_s


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
def test_a_duty_cycle_uses_its_share(share: float) -> None:
    assert used_share(share, 10.0) == pytest.approx(share, rel=0.01)
    assert used_share(share, 10.0, got=0.25) == pytest.approx(min(share, 0.25), rel=0.05)


def test_what_a_paused_process_missed_is_not_made_up_for_long() -> None:
    cycle = DutyCycle(0.5, 0.0, 0.0)
    cycle.next_period(100.0, 1.0)
    assert cycle.until_s == pytest.approx(100 + PERIOD_S)
    assert cycle.cpu_until_s - 1.0 <= 0.1 + 1e-9


def plan_of(*events: Action) -> Plan:
    topology = Topology([Node("a", command=["true"], networks=[Network("n")], scale=2)])
    timeline, _ = resolve(topology, Scenario(events=events))
    return make_plan(topology, timeline, stack="test", root=Path("/"))


MACHINE = Room(2, 100 << 20)
LIMITS = {"a-1": Room(0.5, 32 << 20)}


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ([at(1).stress("a-2", cpu=3)], "this machine has 2"),
        ([at(1).stress("a-1", cpu=1)], "a-1 has 0.5"),
        ([at(1).stress("a-1", memory="32M")], "a-1 can't hold 32MiB"),
        ([at(1).stress("a-2", memory="64M"), at(2).stress("a-1", memory="40M")], "a-1 can't hold 40MiB"),
        ([at(1).stress("a-2", memory="101M")], "would hold 101MiB: this machine has 100MiB"),
        ([at(1).stress("a-2", cpu=1), at(2).limit("a-2", cpu=0.2)], "a-2 has 0.2"),
    ],
)
def test_a_stress_without_room_is_refused(events: list[Action], problem: str) -> None:
    with pytest.raises(HostError, match=problem):
        check_stress(plan_of(*events), LIMITS, MACHINE)


def test_a_stress_with_room_is_none_to_refuse() -> None:
    events = (
        during(1, 3).limit("a-1", cpu=1.0, memory="80M"),
        during(1, 2).stress("a-1", cpu=1.0, memory="64M"),
        during(3, 4).stress("a-2", memory="99M"),
    )
    check_stress(plan_of(*events), LIMITS, MACHINE)


def test_a_swarm_refuses_full_disks_and_takes_stress() -> None:
    check_faults(plan_of(at(1).stress("a", cpu=0.5)))
    with pytest.raises(HostError, match="on its machine's disk"):
        check_faults(plan_of(at(1).fill_disk("a")))


ASKED = {"cpu": 0.5, "mem_bytes": 64 << 20, "lasted_s": 10.0, "died": ""}
GOOD = {**ASKED, "cpu_s": 4.9, "held_bytes": 64 << 20, "throttled_s": 0.0}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (GOOD, None),
        ({**GOOD, "cpu": None, "mem_bytes": None, "cpu_s": 0.0, "held_bytes": 0}, None),
        ({**GOOD, "cpu_s": 2.0, "throttled_s": 5.0}, None),
        ({**GOOD, "cpu_s": 2.0}, "0.20 of 0.5 cores: this machine had no more"),
        ({**GOOD, "cpu_s": 7.0}, "7.00 s of CPU time in 10.00 s instead of 0.5 cores"),
        ({**GOOD, "held_bytes": 50 << 20}, "held 50MiB instead of 64MiB"),
        ({**GOOD, "held_bytes": 0, "lasted_s": 0.1, "cpu_s": 0.05}, None),
        ({**GOOD, "died": "killed by SIGKILL"}, "ended early: killed by SIGKILL"),
    ],
)
def test_a_stress_that_was_not_as_asked_is_no_valid_fault(data: dict[str, Any], text: str | None) -> None:
    found = fault_without_effect(Event(0.0, "stress.ended", "agent:a", "", data))
    assert (found is None) if text is None else (found is not None and text in found.text)
