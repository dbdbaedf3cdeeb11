"""The commands that watch a run or read its record, against a control socket of the test's own."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.cli.conftest import Invoke
from tests.cli.fake_run import CHANGE, EVENTS, FakeRun, record
from wotemu.cli.commands.events import scenario_text
from wotemu.cli.commands.logs import replicas_of
from wotemu.errors import InputError
from wotemu.topology.link_conditions import LinkConditions
from wotemu_runtime.control.live_changes import (
    SetConditions,
)
from wotemu_runtime.control.requests import ConditionsNow, RunStatus
from wotemu_runtime.recording.timed_log import TimedLog, packed_time


def test_show_puts_hops_with_the_same_conditions_in_one_row(run: FakeRun, invoke: Invoke) -> None:
    lines = invoke("show", "yard").output.splitlines()
    assert lines[0] == (
        "yard  running, 12.3 s of 60s, phase calm; 3 nodes, 1 network, local engine, process 7"
    )
    assert "partition: cam-1 | hub" in lines
    assert "blocked on net: cam-1 ↔ hub: tcp port 1883" in lines
    assert "hub: stressed by 0.5 cores" in lines
    rows = [line.split() for line in lines]
    assert ["crashed", "1", "cam-2"] in rows
    assert ["net", "cam-1,", "cam-2", "latency", "200ms", "latency", "1ms"] in rows
    assert ["hub", "cut", "off", "cut", "off"] in rows


@pytest.mark.usefixtures("run")
def test_show_as_json_has_status_and_hops(invoke: Invoke) -> None:
    found = json.loads(invoke("show", "yard", "--json").output)
    assert (found["doing"], found["now_s"], found["apps"]["cam-2"]) == ("running", 12.34, "crashed")
    assert len(found["hops"]) == 6


@pytest.mark.usefixtures("run")
def test_events_have_times_since_t0_and_can_not_control_the_terminal(invoke: Invoke) -> None:
    lines = invoke("events", "yard").output.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["0.000", "deploy.started"],
        ["1.000", "app.started"],
        ["+0.000", "run.t0"],
        ["+2.500", "control.change"],
        ["+3.000", "app.crashed"],
    ]
    assert "\x1b" not in lines[-1] and "boom" in lines[-1]


@pytest.mark.usefixtures("run")
def test_events_of_some_kinds_as_json_know_t_0_too(invoke: Invoke) -> None:
    lines = invoke("events", "yard", "--kind", "app.crash*", "--json").output.splitlines()
    (event,) = map(json.loads, lines)
    assert (event["kind"], event["at"], event["source"]) == ("app.crashed", 3.0, "agent:cam-1")


def scenario_of(text: str) -> Any:
    names: dict[str, Any] = {}
    exec(compile(text, "pasted", "exec"), names)
    return names["scenario"]()


def test_a_session_by_hand_becomes_a_scenario_that_can_be_pasted(run: FakeRun, invoke: Invoke) -> None:
    (run.run_dir / "timeline.json").write_text(json.dumps({"duration_s": 60.0, "seed": 7}))
    text = invoke("events", "yard", "--as-scenario").output
    assert f"{CHANGE.source(2.5)},  # ann (process 7)" in text
    scenario = scenario_of(text)
    assert (scenario.duration, scenario.seed, len(scenario.events)) == ("60s", 7, 1)


def test_conditions_of_two_ways_become_a_scenario_that_can_be_pasted() -> None:
    named = SetConditions.of("phone", LinkConditions.NB_IOT)
    spelled = SetConditions.of("phone", LinkConditions.NB_IOT, loss="2%")
    made = [
        attrs.evolve(EVENTS[0], data={"source": each.source(1.0), "who": "ann"}) for each in (named, spelled)
    ]
    assert len(scenario_of(scenario_text("yard", {"duration_s": 9}, made)).events) == 2
    text = scenario_text("yard", {"duration_s": 9}, made[:1])
    assert text.startswith("from wotemu import LinkConditions, Scenario, at\n")
    assert len(scenario_of(text).events) == 1


def write_log(run_dir: Path, replica: str, lines: dict[float, str]) -> None:
    (run_dir / "logs" / f"{replica}.log").write_text("".join(f"{line}\n" for line in lines.values()))
    (run_dir / "logs" / f"{replica}.times").write_bytes(b"".join(map(packed_time, lines)))


@pytest.mark.parametrize("name", ["yard", "runs/yard"])
def test_events_and_logs_of_a_record_can_be_read(invoke: Invoke, folder: Path, name: str) -> None:
    write_log(record(folder), "cam-1", {102.5: "up", 104.0: "\x1b[2Jseen"})
    assert len(invoke("events", name).output.splitlines()) == len(EVENTS)
    lines = invoke("logs", name, "cam-1").output.splitlines()
    assert lines[0].split() == ["+0.500", "up"]
    assert lines[1].split()[0] == "+2.000" and "\x1b" not in lines[1]


def test_logs_of_replicas_are_merged_by_time(run: FakeRun, invoke: Invoke) -> None:
    record = [json.dumps(attrs.asdict(event)) for event in EVENTS]
    (run.run_dir / "events.jsonl").write_text("".join(f"{line}\n" for line in record))
    write_log(run.run_dir, "cam-1", {103.0: "a", 105.0: "c"})
    write_log(run.run_dir, "cam-2", {104.0: "b"})
    lines = [line.split() for line in invoke("logs", "yard", "cam").output.splitlines()]
    assert lines == [["+1.000", "cam-1", "a"], ["+2.000", "cam-2", "b"], ["+3.000", "cam-1", "c"]]
    first = json.loads(invoke("logs", "yard", "cam-2", "--json").output)
    assert first == {"t": 104.0, "at": 2.0, "node": "cam-2", "line": "b"}


def test_what_is_followed_ends_with_the_run(run: FakeRun, invoke: Invoke) -> None:
    """A line that is printed meanwhile is shown, whether it comes before the run's end or just at it."""

    def print_and_end() -> None:
        write_log(run.run_dir, "cam-1", {103.0: "a", 105.0: "b"})
        run.end()

    write_log(run.run_dir, "cam-1", {103.0: "a"})
    later = threading.Timer(0.2, print_and_end)
    later.start()
    lines = invoke("logs", "yard", "cam-1", "--follow").output.splitlines()
    later.join()
    assert [line.split()[-1] for line in lines] == ["a", "b"]
    assert len(invoke("events", "yard", "--follow").output.splitlines()) == len(EVENTS)


def test_ps_lists_the_runs_of_this_machine_also_without_docker(
    run: FakeRun, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.delenv("DOCKER_HOST", raising=False)
    for name in [each for each in sys.modules if each.startswith("wotemu_runtime.engines.swarm.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiodocker", None)
    result = invoke("ps")
    assert result.exit_code == 0
    assert result.output.splitlines()[1].split()[:3] == ["yard", "local", "running"]
    (listed,) = json.loads(invoke("ps", "--json").output)
    assert (listed["on"], listed["name"], listed["run_dir"]) == ("machine", "yard", str(run.run_dir))


def test_a_node_s_name_means_its_replicas_in_order() -> None:
    known = ["cam-1", "cam-10", "cam-2", "cam-x", "hub"]
    assert replicas_of("cam", known) == ["cam-1", "cam-2", "cam-10"]
    assert replicas_of("hub", known) == ["hub"]
    with pytest.raises(InputError, match="'hu'"):
        replicas_of("hu", known)


def test_a_log_that_grows_is_read_line_by_line(tmp_path: Path) -> None:
    """A line is read once it ends and its time is stored, whichever of the files is flushed first."""
    log = TimedLog(tmp_path / "cam.log")
    assert log.new_lines() == []
    (tmp_path / "cam.log").write_bytes(b"one\ntw")
    assert log.new_lines() == []
    (tmp_path / "cam.times").write_bytes(packed_time(1.0) + packed_time(2.0)[:4])
    assert log.new_lines() == [(1.0, "one")]
    (tmp_path / "cam.log").write_bytes(b"one\ntwo\nthr")
    assert log.new_lines() == []
    (tmp_path / "cam.times").write_bytes(packed_time(1.0) + packed_time(2.0))
    assert log.new_lines() == [(2.0, "two")]
    assert log.new_lines(is_over=True) == []


def test_a_run_on_the_swarm_of_docker_host_is_asked_over_its_bus(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    class OnSwarm:
        """Answers as the bus would."""

        async def status(self) -> RunStatus:
            return FakeRun(folder).status()

        async def conditions(self) -> ConditionsNow:
            return FakeRun(folder).conditions()

    @asynccontextmanager
    async def control_on_swarm(name: str) -> AsyncGenerator[OnSwarm, None]:
        if name != "yard":
            raise InputError(f"there is no stack {name!r}", where="--stack")
        yield OnSwarm()

    monkeypatch.setenv("DOCKER_HOST", "ssh://manager")
    monkeypatch.setattr("wotemu_runtime.runs.swarm_access.control_on_swarm", control_on_swarm)
    assert "12.3 s of 60s" in invoke("show", "yard").output
    result = invoke("show", "yarf")
    assert result.exit_code == 2
    assert "no emulation 'yarf' of yours runs on this machine" in result.stderr
    assert "on the swarm of DOCKER_HOST: there is no stack 'yarf'" in result.stderr
