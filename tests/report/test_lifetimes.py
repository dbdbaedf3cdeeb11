"""Lifetimes of replicas, their machines, what Things emitted, and traffic by interface: figures by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wotemu.records import Change, Emission, Flow
from wotemu_report.blocks import Figure, Table
from wotemu_report.queries.cpu_and_memory_use import machines
from wotemu_report.queries.flow_traffic import interface_rates, interface_totals
from wotemu_report.queries.lifetimes import (
    CRASHED,
    ENDED,
    LOST,
    PAUSED,
    STARTING,
    UP,
    Moment,
    intervals,
    lifetime_totals,
    lifetimes,
)
from wotemu_report.queries.subscriptions import emission_totals
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.lifetimes import lifetime_blocks

from .many_nodes import many_nodes_run
from .synthetic import T0, write_table


def states(*moments: tuple[float, str] | tuple[float, str, bool]) -> list[tuple[str, float, float]]:
    given = [Moment(each[0], each[1], "", len(each) > 2) for each in moments]
    return [each[:3] for each in intervals(given, 60.0)]


def test_an_app_is_in_the_state_that_the_last_event_says() -> None:
    assert states((-1, STARTING), (2, UP), (30, CRASHED), (33, STARTING), (34, UP), (60.2, ENDED)) == [
        (STARTING, 0, 2),
        (UP, 2, 30),
        (CRASHED, 30, 33),
        (STARTING, 33, 34),
        (UP, 34, 60),
    ]
    assert states((-2, STARTING), (-1, UP)) == [(UP, 0, 60)]
    assert states((0, UP), (20, ENDED)) == [(UP, 0, 20), (ENDED, 20, 60)]
    assert states() == []


def test_pauses_and_absences_lie_above_what_the_app_is_in() -> None:
    assert states((0, UP), (10, PAUSED), (20, PAUSED, True)) == [(UP, 0, 10), (PAUSED, 10, 20), (UP, 20, 60)]
    assert states((0, UP), (10, PAUSED), (12, CRASHED), (20, PAUSED, True)) == [
        (UP, 0, 10), (PAUSED, 10, 12), (CRASHED, 12, 60)
    ]  # fmt: skip
    assert states((0, UP), (10, LOST), (11, LOST), (20, STARTING), (21, LOST, True), (22, UP)) == [
        (UP, 0, 10), (LOST, 10, 21), (STARTING, 21, 22), (UP, 22, 60)
    ]  # fmt: skip


def add_events(run_dir: Path, *events: tuple[float, str, str, dict[str, object]]) -> None:
    with (run_dir / "events.jsonl").open("a") as file:
        for at, kind, source, data in events:
            file.write(
                json.dumps({"t": T0 + at, "kind": kind, "source": source, "message": kind, "data": data})
            )
            file.write("\n")


def test_lifetimes_of_a_run(run_dir: Path) -> None:
    add_events(
        run_dir,
        (-3.0, "role.ready", "agent:reader-3g-1", {"host": "machine-2"}),
        (-3.0, "role.ready", "agent:thing", {"host": "machine-1"}),
        (-3.0, "host.found", "agent:thing", {"host": "machine-1", "cpu": "Cortex-A72", "cpus": 4}),
        (37.0, "app.started", "agent:reader-3g-1", {}),
        (38.0, "app.ready", "agent:reader-3g-1", {}),
    )
    paused = [
        Change(8, T0 + at, T0 + at, "pause", "gate", json.dumps(not on), json.dumps(on), ok=True, error="")
        for at, on in ((50.0, True), (55.0, False))
    ]
    write_table(run_dir, "changes", paused)
    run = RunData.load(run_dir)
    spans = lifetimes(run)
    own = {
        name: [(row["state"], row["s"], row["end"]) for row in spans.to_dicts() if row["node"] == name]
        for name in ("reader-3g-1", "gate")
    }
    up_at = pytest.approx(0.36)
    assert own["reader-3g-1"] == [
        (STARTING, pytest.approx(0.01), up_at), (UP, up_at, 34), (CRASHED, 34, 37), (STARTING, 37, 38),
        (UP, 38, 60),
    ]  # fmt: skip
    assert [each[0] for each in own["gate"]] == [STARTING, UP, PAUSED, UP]
    totals = {row["node"]: row for row in lifetime_totals(run).to_dicts()}
    assert totals["reader-3g-1"] == {
        "node": "reader-3g-1", "machine": "machine-2", "first": up_at,
        "up": pytest.approx((60 - 0.36 - 4) / 60), "started": 2, "crashed": 1, "last": UP,
    }  # fmt: skip
    of_machines = {row["host"]: row for row in machines(run).to_dicts()}
    assert list(of_machines) == ["bench", "machine-1", "machine-2"]
    assert (of_machines["machine-1"]["cpu"], of_machines["machine-1"]["nodes"]) == ("Cortex-A72", 1)
    assert of_machines["machine-1"]["cpu_p50"] == pytest.approx(22, abs=2)  # of the thing alone
    assert of_machines["machine-2"]["cpu_max"] < 20


def test_only_the_worst_of_many_replicas_are_drawn(tmp_path: Path) -> None:
    run_dir = many_nodes_run(tmp_path / "run")
    add_events(run_dir, *((1.0, "app.ready", f"agent:sensor-{n}", {}) for n in range(120)))
    add_events(run_dir, (20.0, "app.crashed", "agent:sensor-99", {}))
    figure, table = lifetime_blocks(RunData.load(run_dir))
    assert isinstance(figure, Figure)
    assert isinstance(table, Table)
    drawn = figure.layers[0].rows["node"].unique()
    assert "sensor-99" in drawn
    assert drawn.len() == 40
    assert "The 40 that were up for the shortest time, of 120." in figure.caption
    assert [row[0] for row in table.rows] == ["sensor-*"]
    assert table.listed == 120


def test_emissions_and_interfaces_by_node(run_dir: Path) -> None:
    emitted = [
        Emission(T0 + at, node, "urn:lamp", "event", "on", "subscribeevent", 10 * int(at), 1)
        for at, node in ((1.0, "thing"), (3.0, "thing"), (2.0, "gate"))
    ]
    write_table(run_dir, "emissions", emitted)
    rows = [
        Flow(T0 + 1, "gate", "wired", "up", "tcp", "http", "gate", "thing", 1, 80, 2, 200),
        Flow(T0 + 1, "gate", "wired", "down", "tcp", "http", "thing", "gate", 80, 1, 3, 3000),
        Flow(T0 + 1, "gate", "field", "up", "udp", "", "gate", "reader-3g-1", 1, 2, 1, 50),
    ]
    write_table(run_dir, "flows", rows)
    run = RunData.load(run_dir)
    assert emission_totals(run).rows() == [
        ("gate", "urn:lamp", "event", "on", 1, 2.0, 2.0, 20.0),
        ("thing", "urn:lamp", "event", "on", 2, 1.0, 3.0, 20.0),
    ]
    flows = run.tables["flows"]
    assert interface_totals(flows).rows() == [
        ("gate", "field", "udp", "udp", 50, 0, 1, 0),
        ("gate", "wired", "http", "tcp", 200, 3000, 2, 3),
    ]
    rates, names = interface_rates(run, flows)
    assert names == ["gate · field", "gate · wired"]
    busy = {(row["series"], row["side"]): row["rate"] for row in rates.to_dicts() if row["s"] == 1}
    assert busy == {
        ("gate · wired", "sent"): 200, ("gate · wired", "received"): 3000, ("gate · field", "sent"): 50
    }  # fmt: skip
