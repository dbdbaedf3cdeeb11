"""``wotemu plan``: what it prints for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import TWO_NODES, Invoke, Write
from wotemu import load
from wotemu.scenario import resolve
from wotemu_runtime.engines.local import fault_check
from wotemu_runtime.engines.local.cgroups import trial
from wotemu_runtime.engines.local.cgroups.limits import CPU


def planned(invoke: Invoke, path: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(invoke("plan", path, "--json").stdout)
    return found


@pytest.mark.parametrize("language", ["yaml", "json"])
def test_a_deployment_is_printed_as_a_form_with_the_same_timeline(
    invoke: Invoke, write: Write, folder: Path, language: str
) -> None:
    path = write("print('hello')\n" + TWO_NODES)
    done = invoke("plan", path, f"--as-{language}", "--seed", "7")
    assert done.exit_code == 0, done.output
    form = folder / f"form.{language}"
    form.write_text(done.stdout)
    one, other = load(path), load(form)
    assert other.topology == one.topology and other.scenario.seed == 7
    assert resolve(one.topology, one.scenario.overridden(seed=7))[0].hash == planned(invoke, form)["hash"]


def test_what_has_no_form_is_refused_with_its_place(invoke: Invoke, write: Write) -> None:
    code = TWO_NODES.replace('at("1s").set(net, ', 'during(0, 1).follow(net, lambda t: {"loss": 0}, ')
    path = write("from wotemu import during\n" + code.replace('latency="50ms"', 'every="1s"'))
    done = invoke("plan", path, "--as-yaml")
    assert done.exit_code == 2 and not done.stdout
    assert "during(0s, 1s).follow, function" in done.stderr and "deployment.py:" in done.stderr


def test_only_one_output_is_printed(invoke: Invoke, write: Write) -> None:
    done = invoke("plan", write(TWO_NODES), "--as-yaml", "--json")
    assert done.exit_code == 2 and "give one of" in done.stderr


def test_objectives_are_listed_without_those_that_the_duration_cuts_off(invoke: Invoke, write: Write) -> None:
    expected = """from wotemu.scenario import expect, node, p95
        expect=[
            expect(p95("readproperty") < "500ms").during("slow"),
            expect(p95("readproperty")).recovers(within="10s"),
            expect(node("pinger").restarts == 0, abort=True),
        ],"""
    imports, _, objectives = expected.partition("\n")
    path = write(f"{imports}\n" + TWO_NODES.replace("        events=", f"{objectives}\n        events="))
    shown = " ".join(invoke("plan", path).output.split())
    assert "p95 of readproperty during slow < 500 ms" in shown
    assert "p95 of readproperty recovers as it was before within 10s" in shown
    assert "restarts of pinger == 0 the run ends" in shown
    shown = " ".join(invoke("plan", path, "--duration", "500ms").output.split())
    assert "during slow <" not in shown and "restarts of pinger == 0" in shown
    assert "expect: it is not judged: a run of 500ms ends before the phase 'slow' begins" in shown


REFUSED = """networks: {net: {}}
nodes:
  alone: {command: ["sleep", "60"], networks: [net]}
scenario:
  duration: 5s
  events: [%s]
"""
UPLINK = "uplinks: {internet: {networks: [net]}}\n"
ON_THIS_MACHINE = [
    ("{at: 1s, stress: {node: alone, cpu: 4000}}", "", (), "can't be stressed by 4000 cores"),
    ("{at: 1s, stress: {node: alone, memory: 900TB}}", "", (), "stressed nodes would hold"),
    ("{at: 1s, fill_disk: {node: alone, leave: 900GB}}", "", (), "can't be left in the scratch folder"),
    ("", UPLINK, ("--shaper", "netem"), "so nothing would pass an uplink"),
]


def yaml_file(folder: Path, event: str, more: str = "") -> Path:
    path = folder / "deployment.yml"
    path.write_text(REFUSED % event + more)
    return path


@pytest.mark.parametrize(("event", "more", "options", "message"), ON_THIS_MACHINE)
def test_what_a_run_would_refuse_is_refused_in_the_same_words(
    invoke: Invoke,
    folder: Path,
    namespaces: None,
    monkeypatch: pytest.MonkeyPatch,
    event: str,
    more: str,
    options: Any,
    message: str,
) -> None:
    monkeypatch.setattr("wotemu_runtime.planning.planner.find_program", lambda: "/usr/bin/pasta")
    path = yaml_file(folder, event, more)
    run = invoke("run", path, "--quiet", *options)
    plan = invoke("plan", path, *options)
    assert (run.exit_code, plan.exit_code) == (2, 2), run.output + plan.output
    assert message in plan.stderr and not plan.stdout
    # How much memory there is to spare differs from second to second.
    assert plan.stderr == run.stderr or "to spare" in run.stderr


def test_a_plan_for_a_swarm_refuses_what_compose_refuses(invoke: Invoke, folder: Path) -> None:
    path = yaml_file(folder, "{at: 1s, fill_disk: alone}")
    plan, composed = invoke("plan", path, "--engine", "swarm"), invoke("compose", "--path", path)
    assert (plan.exit_code, composed.exit_code) == (2, 2)
    assert "must not be filled" in plan.stderr and plan.stderr == composed.stderr
    assert invoke("plan", path).exit_code == 0
    found = json.loads(invoke("validate", path, "--engine", "swarm", "--json").stdout)
    assert not found["valid"] and "must not be filled" in found["problems"][0]["message"]


def test_a_limit_is_refused_where_no_control_group_can_be_made(
    invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = yaml_file(folder, "{at: 1s, limit: {node: alone, cpu: 0.5}}")
    monkeypatch.setattr(trial, "usable", lambda: trial.Usable(2, frozenset({CPU})))
    assert invoke("plan", path).exit_code == 0
    monkeypatch.setattr(trial, "usable", lambda: trial.Usable(2, frozenset()))
    done = invoke("plan", path)
    assert (
        done.exit_code == 2 and "alone can't be limited here: there is no control group of cpu" in done.stderr
    )


def test_a_clock_is_skewed_only_where_libfaketime_is_installed(
    invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = yaml_file(folder, "{at: 1s, skew_clock: {node: alone, by: -2h}}")
    monkeypatch.setattr(fault_check, "find_library", lambda: "/usr/lib/libfaketimeMT.so.1")
    done = invoke("plan", path)
    assert done.exit_code == 0 and "wall clock 7200s behind" in done.stdout
    monkeypatch.setattr(fault_check, "find_library", lambda: None)
    done = invoke("plan", path)
    assert done.exit_code == 2
    assert "the wall clock of alone can't be skewed here" in done.stderr
    assert "sudo apt install libfaketime" in done.stderr
    assert invoke("plan", path, "--engine", "swarm").exit_code == 0  # its image has it


def test_conditions_that_netem_can_not_impose_are_refused_with_both_engines(
    invoke: Invoke, folder: Path
) -> None:
    path = yaml_file(folder, "")
    path.write_text(
        path.read_text().replace("{net: {}}", "{net: {conditions: {rate: 10kbit, duty_cycle: 0.01}}}")
    )
    assert invoke("plan", path).exit_code == 0
    options = ("--shaper", "netem")
    composed = invoke("compose", "--path", path, *options)
    for engine in ("local", "swarm"):
        plan = invoke("plan", path, *options, "--engine", engine)
        assert (plan.exit_code, composed.exit_code) == (2, 2)
        assert "NetEm imposes no duty cycle" in plan.stderr and plan.stderr == composed.stderr
