"""The commands that change a run, against a control socket of the test's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Invoke
from tests.cli.fake_run import FakeRun, record
from wotemu.cli.commands.change_conditions import parse_conditions
from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.link_conditions import LinkConditions
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
    SkewClock,
    Start,
    Stop,
    Stress,
    Unlimit,
    Unstress,
)
from wotemu_runtime.control.socket_path import control_folder


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
        (["skew-clock", "yard", "a", "--by", "+3m"], SkewClock(targets="a", by="+3m")),
        (
            ["skew-clock", "yard", "a", "--by", "-2h", "--for", "9s"],
            SkewClock(targets="a", by="-2h", for_s=9.0),
        ),
        (["skew-clock", "yard", "a", "--by", "0"], SkewClock(targets="a", by="0")),
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


def test_a_run_is_stopped_and_its_end_waited_for(run: FakeRun, invoke: Invoke) -> None:
    result = invoke("stop", "yard")
    assert result.exit_code == 0
    assert run.stops == [False]
    assert result.output == f"yard: ended; its record is in {run.run_dir}\n"


def test_words_of_conditions() -> None:
    preset, values = parse_conditions(["lte", "jitter=10ms", "rate=unlimited", "ecn=on", "reorder-gap=3"])
    assert preset == NetworkConditions.LTE
    assert parse_conditions(["nb-iot"]) == (LinkConditions.NB_IOT, {})
    assert values == {"jitter": "10ms", "rate": None, "ecn": True, "reorder_gap": 3}
