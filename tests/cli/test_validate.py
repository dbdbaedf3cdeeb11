"""``wotemu validate``: a file's mistakes, for people and for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import TWO_NODES, Invoke, Write


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
