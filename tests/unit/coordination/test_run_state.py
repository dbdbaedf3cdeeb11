"""What a run's events mean for the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wotemu.errors import AppStartError, HostError, WotemuError
from wotemu.records import Event
from wotemu.scenario import Scenario
from wotemu.scenario.resolver import resolve
from wotemu.topology.models import Network, NetworkConditions, Node, Topology
from wotemu_runtime.coordination.run_control import RunControl
from wotemu_runtime.coordination.run_state import RunState
from wotemu_runtime.planning.planner import make_plan

FIELD = Network("field", NetworkConditions())
TOPOLOGY = Topology([Node("cam", command=["true"], networks=[FIELD], scale=2)])


def event(kind: str, source: str, message: str = "", **data: Any) -> Event:
    return Event(0.0, kind, source, message, data)


@pytest.fixture
def state() -> RunState:
    timeline, _ = resolve(TOPOLOGY, Scenario())
    return RunState(make_plan(TOPOLOGY, timeline, stack="test", root=Path("/")), RunControl(lambda: 0.0))


def failure_of(state: RunState, event: Event) -> WotemuError | None:
    state.take([event])
    return state.control.failure


def test_roles_that_ended_or_go_on_unrecorded_are_over(state: RunState) -> None:
    state.take([event("role.muted", "agent:cam-1")])
    state.ended.add("gateway:field")
    assert (state.muted, state.over) == ({"agent:cam-1"}, {"agent:cam-1", "gateway:field"})


def test_phases_and_guards_that_a_coordinator_before_told_are_not_told_again(state: RunState) -> None:
    state.take([event("run.phase", "coordinator", phase="calm")])
    state.take([event("guard.fired", "coordinator", id=1)])
    state.take([event("guard.skipped", "coordinator", id=4)])
    assert (state.phases, state.guards) == ({"calm"}, {1, 4})


def test_losses_add_up_by_who_lost_what(state: RunState) -> None:
    state.take([event("records.lost", "agent:cam-1", what="logs", count=3)])
    state.take([event("records.lost", "agent:cam-1", what="logs", count=4)])
    state.take([event("interface.dropped", "gateway:field", count=5)])
    state.take([event("gateway.moved", "gateway:field", lost=6)])
    state.take([event("gateway.moved", "gateway:radio", lost=0)])
    assert dict(state.losses) == {
        ("agent:cam-1", "logs"): 7,
        ("gateway:field", "frames before the gateway took them"): 5,
        ("gateway:field", "packets under way when a node moved"): 6,
    }


def test_a_machine_that_is_unable_ends_the_run_with_its_own_words(state: RunState) -> None:
    error = failure_of(
        state, event("role.unable", "gateway:field", "no sch_netem", where="edge-1", hint="modprobe")
    )
    assert isinstance(error, HostError)
    assert (error.message, error.where, error.hint) == ("no sch_netem", "edge-1", "modprobe")


@pytest.mark.parametrize(
    ("data", "message", "where", "hint"),
    [
        (
            {"error": "no module", "where": "field 'app'", "hint": "h"},
            "no module",
            "Node 'cam', field 'app'",
            "h",
        ),
        ({"error": "", "where": "", "hint": ""}, "it ended at once", "Node 'cam'", None),
    ],
)
def test_an_app_that_never_started_ends_the_run_and_names_its_node(
    state: RunState, data: dict[str, str], message: str, where: str, hint: str | None
) -> None:
    error = failure_of(state, event("app.never_started", "agent:cam-2", **data))
    assert isinstance(error, AppStartError)
    assert (error.message, error.where) == (message, where)
    assert error.hint == hint if hint else "output is in the logs" in str(error.hint)


def test_what_means_nothing_for_the_run_changes_nothing(state: RunState) -> None:
    before = repr(state)
    assert failure_of(state, event("app.crashed", "agent:cam-1", exit="exit code 1")) is None
    assert repr(state) == before
