"""The commands that watch and change a run, against a control socket of the test's own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.cli.conftest import Invoke
from wotemu.cli.commands.change_conditions import parse_conditions
from wotemu.cli.commands.events import scenario_text
from wotemu.cli.commands.logs import replicas_of
from wotemu.errors import InputError, ScenarioError
from wotemu.records import Event
from wotemu.scenario.blocks import Block as Traffic
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.link_conditions import LinkConditions
from wotemu_runtime.control.client import ControlClient
from wotemu_runtime.control.live_changes import (
    Block,
    Connect,
    Crash,
    Disconnect,
    FillDisk,
    FreeDisk,
    Heal,
    Limit,
    LiveChange,
    Partition,
    Pause,
    Restart,
    Restore,
    Resume,
    SetConditions,
    Start,
    Stop,
    Stress,
    Unlimit,
    Unstress,
)
from wotemu_runtime.control.requests import Changed, ConditionsNow, HopNow, LoggedEvent, RunStatus
from wotemu_runtime.control.server import control_server
from wotemu_runtime.control.socket_path import control_folder
from wotemu_runtime.recording.timed_log import TimedLog, packed_time

CHANGE = SetConditions.of("net", latency="200ms")
EVENTS = [
    Event(100.0, "deploy.started", "coordinator", "deploying", {}),
    Event(101.0, "app.started", "agent:cam-1", "started", {}),
    Event(101.5, "run.t0", "coordinator", "T0: now", {"t0": 102.0}),
    Event(104.5, "control.change", "coordinator", "ann (process 7): set net latency=200ms",
          {"who": "ann (process 7)", "at_s": 2.5, "change": CHANGE.to_dict(), "source": CHANGE.source(2.5)}),
    Event(105.0, "app.crashed", "agent:cam-1", "\x1b[2Jboom", {"exit": 1}),
]  # fmt: skip


class FakeRun:
    """A run that has two replicas of a camera, and remembers what it was asked."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.changes: list[LiveChange] = []
        self.stops: list[bool] = []
        self.answer: dict[str, Any] = {}
        self.over = asyncio.Event()
        self.end: Callable[[], object] = self.over.set
        """Ends the run, from the test's thread."""

    async def change(self, change: LiveChange, who: str) -> Changed:
        if isinstance(change, Crash) and "nobody" in change.targets:
            raise ScenarioError("there is no node 'nobody'", where="crash nobody", hint="known are cam")
        self.changes.append(change)
        return attrs.evolve(Changed(2.5, change.text, 2, 0.0012), **self.answer)

    async def execute(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    async def capture(self, replica: str, who: str) -> Any:
        raise NotImplementedError

    def stop(self, *, at_once: bool, who: str) -> None:
        self.stops.append(at_once)
        self.over.set()

    def status(self) -> RunStatus:
        return RunStatus(
            name="yard", pid=7, engine="local", doing="running", now_s=12.34, duration_s=60.0, phase="calm",
            nodes=3, networks=1, run_dir=str(self.run_dir), events=len(EVENTS),
        )  # fmt: skip

    def conditions(self) -> ConditionsNow:
        slow, quick = {"latency_s": 0.2}, {"latency_s": 0.001}
        hops = [
            HopNow("net", name, way, slow if way == "up" else quick, name == "hub")
            for name in ("cam-1", "cam-2", "hub")
            for way in ("up", "down")
        ]
        apps = {"cam-1": "running", "cam-2": "crashed", "hub": "running"}
        blocks = {"net": [Traffic(("cam-1",), ("hub",), "tcp", 1883).to_dict()]}
        faults = ("hub: stressed by 0.5 cores",)
        return ConditionsNow(12.34, tuple(hops), (("cam-1",), ("hub",)), apps, blocks, faults)

    async def events(
        self, kinds: tuple[str, ...], *, after: int | None, follow: bool
    ) -> AsyncGenerator[LoggedEvent, None]:
        from fnmatch import fnmatchcase

        for number, event in enumerate(EVENTS if after is not None else [], 1):
            if not kinds or any(fnmatchcase(event.kind, kind) for kind in kinds):
                yield LoggedEvent(number, event)
        if follow:
            await self.over.wait()


Serve = Callable[[str], FakeRun]


@pytest.fixture
def run(folder: Path) -> Iterator[FakeRun]:
    """A run named yard, whose socket is served on a thread."""
    loop, ready, ended = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    run_dir = folder / "records" / "yard"
    (run_dir / "logs").mkdir(parents=True)
    (run_dir / "manifest.json").write_text("{}")
    fake = FakeRun(run_dir)
    fake.end = lambda: loop.call_soon_threadsafe(fake.over.set)

    async def serve() -> None:
        async with control_server("yard", fake):
            ready.set()
            await ended.wait()
        for _ in range(5):  # closed connections are let go in the next rounds of the loop
            await asyncio.sleep(0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    yield fake
    # asyncio of Python 3.11 leaks a connection that it accepts while a server closes; they come in order.
    asyncio.run(ControlClient("yard").status())
    loop.call_soon_threadsafe(ended.set)
    thread.join(10)
    loop.close()


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["set", "yard", "net", "latency=200ms"], SetConditions.of("net", latency="200ms")),
        (
            ["set", "yard", "cam@net,hub", "loss=5%", "rate=none", "--for", "30s", "--direction", "up"],
            SetConditions.of(["cam@net", "hub"], None, "up", 30.0, loss="5%", rate=None),
        ),
        (["restore", "yard", "net"], Restore(targets="net")),
        (["partition", "yard", "a,b", "c,d"], Partition(groups=[["a", "b"], ["c", "d"]])),
        (["partition", "yard", "a", "--for", "2m"], Partition(groups=["a"], for_s=120.0)),
        (
            ["block", "yard", "a,b", "c", "--port", "1883", "--protocol", "tcp", "--as", "mqtt"],
            Block(targets=["a", "b"], others="c", port=1883, protocol="tcp", name="mqtt"),
        ),
        (["block", "yard", "a", "--direction", "out"], Block(targets="a", direction="out")),
        (["heal", "yard"], Heal()),
        (["heal", "yard", "split"], Heal(name="split")),
        (["crash", "yard", "cam-1", "hub"], Crash(targets=["cam-1", "hub"])),
        (["pause", "yard", "cam-1", "--for", "2s"], Pause(targets=["cam-1"], for_s=2.0)),
        (["resume", "yard", "cam-1"], Resume(targets=["cam-1"])),
        (
            ["limit", "yard", "a", "--cpu", "0.5", "--memory", "64M"],
            Limit(targets="a", cpu=0.5, memory="64M"),
        ),
        (["unlimit", "yard", "a"], Unlimit(targets="a")),
        (
            ["stress", "yard", "a", "--cpu", "0.5", "--memory", "64M", "--for", "20s"],
            Stress(targets="a", cpu=0.5, memory="64M", for_s=20.0),
        ),
        (["unstress", "yard", "a,b"], Unstress(targets=["a", "b"])),
        (["fill-disk", "yard", "a", "--leave", "1M"], FillDisk(targets="a", leave="1M")),
        (["fill-disk", "yard", "a"], FillDisk(targets="a")),
        (["free-disk", "yard", "a"], FreeDisk(targets="a")),
        (["disconnect", "yard", "a", "--network", "n"], Disconnect(targets="a", network="n")),
        (["connect", "yard", "a"], Connect(targets="a")),
        (["restart", "yard", "cam-1"], Restart(targets="cam-1")),
        (["start", "yard", "cam-1"], Start(targets="cam-1")),
        (["stop", "yard", "cam-1", "--for", "5s"], Stop(targets="cam-1", for_s=5.0)),
    ],
)
def test_a_change_is_sent_as_it_was_typed(
    run: FakeRun, invoke: Invoke, arguments: list[str], wanted: LiveChange
) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    assert run.changes == [wanted]
    assert run.stops == []
    assert result.output == f"+2.500 {wanted.text}: 2 changes, the latest 1.2 ms late\n"


@pytest.mark.usefixtures("run")
def test_a_change_can_be_answered_as_json(invoke: Invoke) -> None:
    answer = json.loads(invoke("heal", "yard", "--json").output)
    assert (answer["at_s"], answer["changes"], answer["late_s"]) == (2.5, 2, 0.0012)


@pytest.mark.parametrize(
    ("answer", "text"),
    [({"failed": ("conditions of net: no such qdisc",)}, "no such qdisc"), ({"unanswered": 1}, "1 of its 2")],
)
def test_a_change_that_did_not_take_hold_fails(
    run: FakeRun, invoke: Invoke, answer: dict[str, Any], text: str
) -> None:
    run.answer = answer
    result = invoke("heal", "yard")
    assert result.exit_code == 3
    assert text in result.stderr


def test_what_is_so_already_is_said(run: FakeRun, invoke: Invoke) -> None:
    run.answer = {"changes": 0, "late_s": None}
    assert "it was so already, nothing is changed" in invoke("heal", "yard").output


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["set", "yard", "net", "latncy=1s"], "latncy", "did you mean 'latency'?"),
        (["set", "yard", "net", "latency=fast"], "fast", ""),
        (["set", "yard", "net", "LTF"], "'LTF' is no CONDITION=VALUE", "did you mean 'LTE'?"),
        (["set", "yard", "net", "nb-iott"], "'nb-iott' is no CONDITION=VALUE", "did you mean 'NB_IOT'?"),
        (["set", "yard", "net", "5G"], "'5G' is no CONDITION=VALUE", "did you mean 'NR_THREE_UK'?"),
        (["set", "yard", "net", "LTE", "WIFI"], "one preset only", ""),
        (["set", "yard", "net", "loss=1%", "loss=2%"], "loss is given twice", ""),
        (["set", "yard", "net", "reorder_gap=x"], "whole number", ""),
        (["set", "yard", "net,", "loss=1%"], "empty name", "with commas"),
        (["set", "yard", "net"], "Missing argument", ""),
        (["set", "yard", "net", "loss=1%", "--for", "0"], "no time at all", ""),
        (["crash", "yard", "nobody"], "there is no node 'nobody'", "known are cam"),
        (["heal", "yarf"], "no emulation 'yarf'", "did you mean 'yard'?"),
        (["heal", "../yard"], "can't name a run", ""),
        (["show", "yarf"], "no emulation 'yarf'", "did you mean 'yard'?"),
        (["stop", "yarf"], "no emulation 'yarf'", "did you mean 'yard'?"),
        (["logs", "yarf", "cam"], "no emulation 'yarf'", "did you mean 'yard'?"),
        (["logs", "yard", "camm"], "no log of a node 'camm'", "known are cam-1"),
        (["events", "yarf"], "no emulation 'yarf'", "did you mean 'yard'?"),
        (["events", "yard", "--kind", "ap.*"], "no kind of event is like 'ap.*'", "app."),
        (["events", "yard", "--as-scenario", "--json"], "goes with no other option", ""),
        (["run", "deployment.py", "--follow", "--quiet"], "either --follow, or --quiet", ""),
        (["stop"], "give the NAME of a run", ""),
        (["stop", "yard", "--stack", "x"], "give --compose-file and --stack", ""),
        (["stop", "--stack", "x"], "give --compose-file and --stack", ""),
        (["stop", "yard", "cam", "--at-once"], "give no NODE", ""),
        (["stop", "yard", "--for", "5s"], "go with a NODE", ""),
    ],
)  # fmt: skip
def test_what_can_not_be_is_refused_and_nothing_is_done(
    run: FakeRun, invoke: Invoke, arguments: list[str], message: str, hint: str
) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr and hint in result.stderr
    assert "Traceback" not in result.stderr
    assert (run.changes, run.stops) == ([], [])


COMMANDS = [
    ["show", "yard"],
    ["set", "yard", "net", "loss=1%"],
    ["crash", "yard", "cam"],
    ["stop", "yard"],
    ["logs", "yard", "cam"],
    ["events", "yard"],
]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_where_nothing_runs_each_command_says_so(invoke: Invoke, arguments: list[str]) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "no emulation 'yard' of yours runs on this machine" in result.stderr
    assert "wotemu run FILE starts one" in result.stderr


@pytest.mark.parametrize("arguments", COMMANDS[:4])
def test_a_run_that_is_over_has_a_record(invoke: Invoke, folder: Path, arguments: list[str]) -> None:
    record(folder)
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "the run is over" in result.stderr
    assert "wotemu report runs/yard" in result.stderr


def test_a_socket_whose_process_died_is_told_apart(invoke: Invoke) -> None:
    import socket

    control_folder().mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(control_folder() / "yard.sock"))
    result = invoke("show", "yard")
    assert result.exit_code == 2
    assert "the process that ran it is gone" in result.stderr


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


def record(folder: Path) -> Path:
    """The record of a run named yard, that is over."""
    run_dir = folder / "runs" / "yard"
    (run_dir / "logs").mkdir(parents=True)
    (run_dir / "manifest.json").write_text("{}")
    lines = [json.dumps(attrs.asdict(event)) for event in EVENTS]
    (run_dir / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return run_dir


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


def test_a_run_is_stopped_and_its_end_waited_for(run: FakeRun, invoke: Invoke) -> None:
    result = invoke("stop", "yard")
    assert result.exit_code == 0
    assert run.stops == [False]
    assert result.output == f"yard: ended; its record is in {run.run_dir}\n"


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


def test_words_of_conditions() -> None:
    preset, values = parse_conditions(["lte", "jitter=10ms", "rate=unlimited", "ecn=on", "reorder-gap=3"])
    assert preset == NetworkConditions.LTE
    assert parse_conditions(["nb-iot"]) == (LinkConditions.NB_IOT, {})
    assert values == {"jitter": "10ms", "rate": None, "ecn": True, "reorder_gap": 3}


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
