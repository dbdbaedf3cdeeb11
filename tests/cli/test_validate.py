"""``wotemu validate``: a file's mistakes, for people and for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import TWO_NODES, Invoke, Write
from wotemu.cli.written_places import line_of


def problems(invoke: Invoke, path: Path | str, *, exit_code: int) -> list[dict[str, Any]]:
    result = invoke("validate", path, "--json")
    assert result.exit_code == exit_code, result.output
    answer = json.loads(result.stdout)
    assert answer["valid"] == (exit_code == 0)
    found: list[dict[str, Any]] = answer["problems"]
    return found


def test_a_deployment_that_would_run_is_valid(invoke: Invoke, write: Write) -> None:
    assert problems(invoke, write(TWO_NODES), exit_code=0) == []
    assert "a run would start" in invoke("validate", "deployment.py").stdout


def test_what_the_file_prints_is_not_in_the_json(invoke: Invoke, write: Write) -> None:
    assert problems(invoke, write("print('hello')\n" + TWO_NODES), exit_code=0) == []


def test_a_wrong_value_has_its_line_and_field(invoke: Invoke, write: Write) -> None:
    (found,) = problems(invoke, write('x = NetworkConditions(latency="fast")'), exit_code=2)
    assert (found["level"], found["file"], found["line"]) == ("error", "deployment.py", 6)
    assert found["field"] == "latency" and "not a duration" in found["message"]


@pytest.mark.parametrize(
    ("node", "field", "message"),
    [
        ('command=["no-such-program"]', "command", "there is no program 'no-such-program'"),
        ('command=["sh"], env={"PATH": "/nowhere"}', "command", "there is no program 'sh'"),
        ('command=["./missing.sh"]', "command", "there is no program './missing.sh'"),
        ('app=NodeApp("missing.py")', "app", "missing.py"),
        ('app=NodeApp("no-such-app")', "app", "no-such-app"),
    ],
)
def test_programs_files_and_apps_that_are_not_there_are_found(
    invoke: Invoke, write: Write, node: str, field: str, message: str
) -> None:
    path = write(f"def topology():\n    return Topology([Node('a', {node}, networks=[net])])")
    (found,) = problems(invoke, path, exit_code=2)
    assert found["field"] == field and message in f"{found['message']} {found['where']}"
    assert found["file"] == "deployment.py" and found["line"] == path.read_text().count("\n") + 1
    assert f"deployment.py:{found['line']}, Node 'a'" in invoke("plan", path).stderr
    assert invoke("plan", path).exit_code == 2


def test_yaml_has_line_column_and_path(invoke: Invoke, folder: Path) -> None:
    path = folder / "deployment.yml"
    path.write_text(
        "networks:\n  field: {}\nnodes:\n  a:\n    command: [sleep, '1']\n"
        "    networks: [field]\n    scale: 0\n"
    )
    (found,) = problems(invoke, path, exit_code=2)
    assert (found["file"], found["line"]) == ("deployment.yml", 7)
    assert found["column"] and found["field"] == "nodes.a.scale"


def test_a_file_that_is_not_there(invoke: Invoke) -> None:
    (found,) = problems(invoke, "nowhere.py", exit_code=2)
    assert found["file"] == "nowhere.py" and found["line"] is None
    result = invoke("validate", "nowhere.py")
    assert result.exit_code == 2 and "there is no such file" in result.stderr


def test_all_that_is_wrong_with_a_form_is_reported_in_the_order_of_the_file(
    invoke: Invoke, folder: Path
) -> None:
    path = folder / "deployment.yml"
    path.write_text(
        "networks:\n"
        "  field: {conditions: {latency: 20, loss: 7, rate: [1]}}\n"
        "  yard: {}\n"
        "nodes:\n"
        "  van: {command: [run], networks: [field], scael: 2}\n"
        "  bus: {app: {pth: x, http: 5}, networks: [nowhere, yard]}\n"
        "  car: {command: [run], networks: [field], scale: 0}\n"
        "scenario:\n"
        "  duration: soon\n"
        "  events:\n"
        "    - {at: 1s, crsh: van}\n"
        "    - {at: 1s, set: {target: van, latency: 20, loss: 8}}\n"
    )
    found = problems(invoke, path, exit_code=2)
    assert [(each["line"], each["field"]) for each in found] == [
        (2, "networks.field.conditions.latency"),
        (2, "networks.field.conditions.loss"),
        (2, "networks.field.conditions.rate"),
        (5, "nodes.van.scael"),
        (6, "nodes.bus.app"),
        (6, "nodes.bus.app.pth"),
        (6, "nodes.bus.app.http"),
        (6, "nodes.bus.networks[0]"),
        (9, "scenario.duration"),
        (11, "scenario.events[0].crsh"),
        (12, "scenario.events[1].set.latency"),
        (12, "scenario.events[1].set.loss"),
    ]
    assert all(each["column"] and each["message"] for each in found)
    text = invoke("validate", path)
    assert text.exit_code == 2 and text.stderr.count("Error: ") == len(found)


def test_what_the_scenario_names_wrongly_has_its_line(invoke: Invoke, write: Write, folder: Path) -> None:
    path = write(TWO_NODES.replace('partition("pinger")', 'crash("nobody")'))
    (found,) = problems(invoke, path, exit_code=2)
    line = (
        path.read_text().splitlines().index(next(x for x in path.read_text().splitlines() if "nobody" in x))
    )
    assert (found["file"], found["line"]) == ("deployment.py", line + 1)
    form = folder / "d.yml"
    form.write_text("nodes: {a: {command: [sleep]}}\nscenario:\n  events:\n    - {at: 1s, crash: b}\n")
    (found,) = problems(invoke, form, exit_code=2)
    assert (found["line"], found["column"], found["field"]) == (4, 7, "scenario.events[0]")


def test_warnings_have_the_line_of_their_action_and_come_with_what_is_refused(
    invoke: Invoke, write: Write
) -> None:
    late = 'at("2s").partition("pinger"),\n                at("9s").heal()'
    text = TWO_NODES.replace('at("2s").partition("pinger")', late).replace('"sleep"', '"no-such-program"')
    path = write(text)
    refused, *warnings = problems(invoke, path, exit_code=2)
    assert refused["field"] == "command" and "no-such-program" in refused["message"]
    (late_one,) = [each for each in warnings if "the end is at" in each["message"]]
    line = next(n for n, x in enumerate(path.read_text().splitlines(), 1) if ".heal()" in x)
    assert (late_one["level"], late_one["line"]) == ("warning", line)


def test_every_event_that_is_not_possible_is_found(invoke: Invoke, folder: Path) -> None:
    path = folder / "d.yml"
    path.write_text(
        "nodes: {a: {command: [no-such-program]}}\nscenario:\n  events:\n"
        "    - {at: 1s, crash: b}\n    - {at: 2s, crash: a}\n    - {at: 3s, set: {target: c, loss: 5%}}\n"
    )
    found = problems(invoke, path, exit_code=2)
    assert [(each["line"], each["field"]) for each in found] == [
        (4, "scenario.events[0]"),
        (6, "scenario.events[2]"),
    ]


def test_a_missing_program_of_a_form_has_its_place(invoke: Invoke, folder: Path) -> None:
    path = folder / "d.yml"
    path.write_text("nodes:\n  a:\n    command: [no-such-program]\n")
    (found,) = problems(invoke, path, exit_code=2)
    assert (found["file"], found["line"], found["field"]) == ("d.yml", 3, "nodes.a.command")


def test_the_line_of_a_call_is_that_of_the_argument_that_is_wrong() -> None:
    source = 'a = models.Node(\n "a",\n command=[\n"x"])\nNode(name="b")\nNode("c")\nNode(f"c")\nNode("c")\n'
    assert line_of(source, "Node", "a", "command") == 3
    assert line_of(source, "Node", "a", "app") == 1
    assert line_of(source, "Node", "b", None) == 5
    assert line_of(source, "Node", "c") is None  # there are two
    assert line_of(source, "Service", "a") is None
