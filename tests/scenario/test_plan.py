"""``wotemu plan`` shows what a scenario comes to, without starting anything."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wotemu.cli import main

DEPLOYMENT = """
from wotemu.scenario import *
from wotemu.topology.models import *

print("hello from the file")
field = Network("field", conditions=NetworkConditions(latency="40ms", rate="15mbit"))
link = Link(field)
reader = Node("reader", command=["sleep", "1"], networks=[link])
sensor = Node("sensor", command=["sleep", "1"], networks=[field], scale=2)

def topology():
    return Topology([reader, sensor])

def scenario():
    return Scenario(duration="60s", phases=[Phase("calm", 0), Phase("storm", "10s")], events=[
        at("10s").set(link, loss="5%", loss_model=GilbertElliott("1%", "20%")),
        at("20s").partition("sensor-1"),
        at("30s").crash(reader),
        during("40s", "50s").ramp(field, every="10ms", latency="300ms"),
        when(metric("reader.delay") > 2, held="5s").do(at(0).restart(reader), within="50s"),
    ])
"""

Plan = Callable[..., Result]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = tmp_path / "deployment.py"
    path.write_text(DEPLOYMENT)
    return lambda *arguments: CliRunner().invoke(main, ["plan", str(path), *map(str, arguments)])


def lines(result: Result) -> list[str]:
    """What was printed, with the spaces of the table squeezed."""
    return [re.sub(r" +", " ", line).strip() for line in result.output.splitlines()]


def test_each_change_is_a_line_with_what_was_and_what_will_be(plan: Plan) -> None:
    result = plan()
    assert result.exit_code == 0
    printed = lines(result)
    assert "10 storm reader@field loss 0% 5%" in printed
    assert "loss_model none Gilbert-Elliott p 1% r 20%" in printed
    assert "20 field partition none sensor-1 | all others" in printed
    assert "30 reader@field network on cut off" in printed
    assert "30.05 reader app running crashed" in printed


def test_the_topology_and_what_each_hop_imposes_at_t0_come_first(plan: Plan, tmp_path: Path) -> None:
    printed = lines(plan())
    assert "sensor x2 sleep 1" in printed
    assert "field reader, sensor x2 latency 40ms, rate 15mbit rate 15mbit" in printed
    path = tmp_path / "radio.py"
    path.write_text(
        "from wotemu.topology.models import *\n"
        'air = Network("air", NetworkConditions(latency="5ms", rate="1mbit", queue="50p"), shared=True)\n'
        'up, down = NetworkConditions(latency="20ms", loss="1%"), NetworkConditions(rate="64k")\n'
        "far = Link(air, up=up, down=down)\n"
        "def topology():\n"
        '    return Topology([Node("a", command=["true"], networks=[air], scale=3),\n'
        '                     Node("b", command=["true"], networks=[far],\n'
        '                          resources=NodeResources(mem_limit="150MB")),\n'
        '                     Node("c", NodeApp("sensor", http=True), networks=[far])])\n'
    )
    result = CliRunner().invoke(main, ["plan", str(path)])
    printed = lines(result)
    assert "b true memory limit 150MiB" in printed
    assert "c sensor (http)" in printed
    assert "air all together rate 1mbit, queue 50p (the same)" in printed
    assert "a x3 latency 5ms none" in printed
    assert "b, c latency 25ms, loss 1% rate 64kbit" in printed
    assert "0 run nothing changes" in printed


def test_a_phase_without_changes_is_a_line_of_its_own(plan: Plan) -> None:
    assert "0 calm nothing changes" in lines(plan())
    assert "0 calm nothing changes" in lines(plan("--duration", "5s"))


@pytest.mark.parametrize(
    ("runs", "message", "hint"),
    [
        ('NodeApp("raeder")', "Node 'reader', field 'app'", "did you mean 'reader'?"),
        ('NodeApp("missing.py:go")', "there is no such file", "missing.py"),
        ('command=["no-such-program"]', "no program 'no-such-program'", "Node 'reader', field 'command'"),
    ],
)
def test_what_a_run_would_refuse_is_refused(tmp_path: Path, runs: str, message: str, hint: str) -> None:
    path = tmp_path / "deployment.py"
    path.write_text(DEPLOYMENT.replace('"reader", command=["sleep", "1"]', f'"reader", {runs}'))
    result = CliRunner().invoke(main, ["plan", str(path)])
    assert result.exit_code == 2
    assert message in result.output and hint in result.output


def test_programs_are_looked_for_on_this_machine_only_for_the_local_engine(tmp_path: Path) -> None:
    path = tmp_path / "deployment.py"
    path.write_text(DEPLOYMENT.replace('"reader", command=["sleep", "1"]', '"reader", command=["elsewhere"]'))
    assert CliRunner().invoke(main, ["plan", str(path), "--engine", "swarm"]).exit_code == 0


def test_a_long_timeline_is_shortened_unless_all_is_asked_for(plan: Plan) -> None:
    assert any(line.endswith("more --all shows them") for line in lines(plan()))
    assert any(line.startswith("50 field up latency") for line in lines(plan()))
    whole = lines(plan("--all"))
    assert not any("--all" in line for line in whole)
    assert len(whole) > 1000


def test_guards_and_warnings_are_told_below(plan: Plan) -> None:
    printed = lines(plan())
    assert "guard 0: once reader.delay > 2 for 5s within 50s, otherwise skip" in printed
    assert any(line.startswith("warning: field up changes again after 10ms") for line in printed)


def test_json_is_the_timeline_with_its_warnings_and_nothing_else(plan: Plan) -> None:
    result = plan("--json")
    timeline = json.loads(result.stdout)
    assert timeline["duration_s"] == 60
    assert timeline["changes"][0]["network"] == "field"
    assert timeline["guards"][0]["deadline_s"] == 50
    assert timeline["warnings"]
    assert timeline["topology"]["networks"][0]["conditions"]["latency_s"] == 0.04


def test_duration_and_seed_are_taken_from_the_command_line(plan: Plan) -> None:
    timeline = json.loads(plan("--json", "--duration", "15s", "--seed", 7).stdout)
    assert (timeline["duration_s"], timeline["seed"]) == (15, 7)
    assert max(change["at_s"] for change in timeline["changes"]) == 10


def test_the_picture_is_one_file_that_needs_no_network(plan: Plan, tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    result = plan("--html", page)
    assert result.exit_code == 0
    html = page.read_text()
    for title in ("Latency", "Loss", "Rate", "Outages", "Guards", "storm"):
        assert title in html
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", html)


def test_a_picture_that_can_t_be_written_is_bad_input(plan: Plan, tmp_path: Path) -> None:
    result = plan("--html", tmp_path / "none" / "plan.html")
    assert result.exit_code == 2
    assert "can't be written" in result.output


def test_a_scenario_that_names_what_is_not_there_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "deployment.py"
    path.write_text(DEPLOYMENT.replace('"sensor-1"', '"sensor-9"'))
    result = CliRunner().invoke(main, ["plan", str(path)])
    assert result.exit_code == 2
    assert "there is no node 'sensor-9'" in result.output
    assert "at(20s).partition" in result.output
