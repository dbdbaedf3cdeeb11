"""Whatever is wrong with what the user gives: one clear message, exit code 2, and nothing is left behind."""

from __future__ import annotations

import errno
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.cli.conftest import TWO_NODES, Invoke, Write
from wotemu.cli.command_groups import GroupedCommands

ONE_NODE = """
def topology():
    return Topology([Node("a", command=["sleep", "1"], networks=[net])])
"""


def node(arguments: str) -> str:
    """A topology of one node with these arguments."""
    return f"def topology():\n    return Topology([Node({arguments})])\n"


def app(arguments: str) -> str:
    """A topology of one node with this app."""
    return node(f'"a", NodeApp({arguments}), networks=[net]')


def events(words: str) -> str:
    """A scenario for one node."""
    return ONE_NODE + f"def scenario():\n    return Scenario(duration='9s', events=[{words}])\n"


BROKEN_FILES = {
    "syntax error": ("def topology(:\n", "deployment.py, line 6", "def topology(:"),
    "null bytes": ("x = '\0'", "null bytes", "deployment.py"),
    "misspelled preset": ("NetworkConditions.LTF", "no attribute 'LTF'", "did you mean 'LTE'?"),
    "no topology": ("x = 1", "no function topology()", "write `def topology(): return Topology([...])`"),
    "topology is no function": ("topology = 3", "not an ordinary function", "topology()"),
    "async topology": ("async def topology(): ...", "not an ordinary function", "topology()"),
    "topology with arguments": ("def topology(size): ...", "wants the argument 'size'", "topology()"),
    "raises when imported": ("1 / 0", "ZeroDivisionError: division by zero", "line 6 (1 / 0)"),
    "raises when called": ("def topology():\n    return {}['x']", "KeyError: 'x'", "line 7 (return {}['x'])"),
    "exits": ("import sys\nsys.exit('no')", "SystemExit: no", "line 7"),
    "imports what is not there": ("import no_such_thing", "No module named 'no_such_thing'", "line 6"),
    "wrong return type": ("def topology(): return [net]", "not a Topology", "topology()"),
    "returns nothing": ("def topology(): pass", "returns None, not a Topology", "topology()"),
    "wrong scenario type": (ONE_NODE + "def scenario(): return 5", "returns 5, not a Scenario", "scenario()"),
    "scenario with a wrong field": (
        ONE_NODE + "def scenario(): return Scenario(length='9s')",
        "Scenario, field 'length'",
        "line 9",
    ),
}

IMPOSSIBLE = {
    "no nodes": ("def topology(): return Topology([])", "Topology, field 'nodes'", "at least one Node"),
    "impossible name": (node('"a b", command=["true"]'), "Node 'a b', field 'name'", "can't be a host name"),
    "impossible latency": ('Network("x", NetworkConditions(latency="fast"))', "'latency'", "not a duration"),
    "negative rate": ('NetworkConditions(rate="-1mbit")', "field 'rate'", "not negative"),
    "more than all lost": ("NetworkConditions(loss=5)", "field 'loss'", "more than the whole"),
    "unknown unit": ('NetworkConditions(rate="5 parsecs")', "field 'rate'", "unknown unit 'parsecs'"),
    "impossible scale": (node('"a", command=["true"], scale=0'), "field 'scale'", "at least 1"),
    "neither app nor command": (node('"a"'), "Node 'a', field 'app'", "exactly one of the two"),
    "two limits": ('NodeResources(cpu_limit=1, target_cpu_speed="1GHz")', "target_cpu_speed", "keep one"),
    "same name twice": (
        'def topology(): return Topology([Node("a", command=["true"]), Node("a", command=["true"])])',
        "Node 'a', field 'name'",
        "two nodes have this name",
    ),
    "mqtt without broker": (
        app('"sensor", mqtt=True'),
        "Node 'a', field 'broker'",
        "Node(broker=Broker(...))",
    ),
    "broker elsewhere": (
        node('"a", command=["true"], networks=[net], broker=Broker("b", [Network("other")])'),
        "Node 'a', field 'broker'",
        "shares no network",
    ),
    "unknown fix": (app('"sensor", wotpy_fixes=["magic"]'), "'wotpy_fixes'", "no known fix"),
    "service of an image": (
        node('"a", command=["true"], services=[Service("db", "postgres")]'),
        "Service 'db', field 'command'",
        "Service(command=[...])",
    ),
}

NOT_THERE = {
    "program": (node('"a", command=["no-such-program"]'), "Node 'a', field 'command'", "'no-such-program'"),
    "program by path": (node('"a", command=["./tool"]'), "Node 'a', field 'command'", "no program './tool'"),
    "program that may not run": (node('"a", command=["./deployment.py"]'), "not executable", "chmod +x"),
    "service's program": (
        node('"a", command=["true"], services=[Service("db", command=["nothing"])]'),
        "Service 'db', field 'command'",
        "no program 'nothing'",
    ),
    "app's file": (app('"apps.py"'), "Node 'a', field 'app', apps.py", "there is no such file"),
    "builtin app": (app('"sensr"'), "Node 'a', field 'app'", "did you mean 'sensor'?"),
    "app's module": (app('"no_such.module:main"'), "no module 'no_such'", "Node 'a', field 'app'"),
    "network of an event": (events('at("1s").set("wifi", loss=0.1)'), "'wifi'", "known are field, a"),
    "node of a crash": (events('at("1s").crash("b")'), "no node 'b'", "known are a"),
    "node of a partition": (events('at("1s").partition(["a"], ["c"])'), "at(1s).partition", "no node 'c'"),
    "condition": (events('at("1s").set(net, speed="1mbit")'), "no condition 'speed'", "did you mean 'rate'"),
    "direction": (events('at("1s").set(net, "left", loss=0.1)'), "'left' is no direction", "at(1s).set"),
    "event": (events('"20s"'), "'20s' is no event", "Scenario, field 'events'"),
}


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [*BROKEN_FILES.values(), *IMPOSSIBLE.values(), *NOT_THERE.values()],
    ids=[*BROKEN_FILES, *IMPOSSIBLE, *NOT_THERE],
)
def test_a_file_that_can_not_be_run_is_reported_once_and_leaves_nothing(
    invoke: Invoke, write: Write, folder: Path, text: str, first: str, second: str
) -> None:
    result = invoke("run", write(text))
    assert result.exit_code == 2
    assert first in result.stderr and second in result.stderr
    assert [line.startswith("Error: ") for line in result.stderr.splitlines()].count(True) == 1
    assert "Traceback" not in result.output and "line None" not in result.output
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("target", "text", "where", "hint"),
    [
        ("apps.py", "x = 1", "apps.py", "define `async def app(wot, conf, loop)` there"),
        ("apps.py:mian", "async def main(wot, conf, loop): ...", "apps.py", "did you mean apps.py:main?"),
        ("apps.py", "\ndef app(:", "apps.py:2", ""),
    ],
)
def test_an_app_s_file_is_looked_at_before_anything_starts(
    invoke: Invoke, write: Write, folder: Path, target: str, text: str, where: str, hint: str
) -> None:
    (folder / "apps.py").write_text(text)
    result = invoke("run", write(app(f'"{target}"')))
    assert result.exit_code == 2
    assert f"deployment.py:7, Node 'a', field 'app', {where}\n" in result.stderr
    assert hint in result.stderr
    assert not (folder / "runs").exists()


def test_a_file_that_is_not_there_is_named(invoke: Invoke) -> None:
    result = invoke("run", "nowhere.py")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "Error: there is no such file",
        "  where: nowhere.py",
        "  hint:  give the path of a Python, YAML or JSON file",
    ]


def test_a_folder_is_no_file(invoke: Invoke, folder: Path) -> None:
    result = invoke("run", folder)
    assert result.exit_code == 2
    assert "it is a folder" in result.stderr


def test_a_file_of_another_kind_is_no_topology(invoke: Invoke, folder: Path) -> None:
    (folder / "deployment.toml").write_text("nodes = []")
    result = invoke("run", "deployment.toml")
    assert result.exit_code == 2
    assert "its name must end in .py" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--duration", "soon"], "'soon' is not a duration"),
        (["--duration", "0"], "no time at all"),
        (["--duration", "-5s"], "not negative"),
        (["--seed", "x"], "'x' is not a valid integer"),
        (["--name", "../escape"], "'../escape' can't name a run"),
        (["--name", "a b"], "letters, digits"),
        (["--name", ""], "'' can't name a run"),
        (["--engine", "cloud"], "'cloud' is not"),
        (["--shaper", "magic"], "'magic' is not one of"),
        (["--nonsense"], "No such option"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    invoke: Invoke, write: Write, folder: Path, arguments: list[str], message: str
) -> None:
    result = invoke("run", write(TWO_NODES), *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (folder / "runs").exists()


def test_a_run_directory_that_holds_something_is_not_written_to(
    invoke: Invoke, write: Write, folder: Path
) -> None:
    (folder / "kept").mkdir()
    (folder / "kept" / "thesis.txt").write_text("mine")
    result = invoke("run", write(TWO_NODES), "--out", "kept")
    assert result.exit_code == 2
    assert "--out kept" in result.stderr and "not empty" in result.stderr
    assert [path.name for path in (folder / "kept").iterdir()] == ["thesis.txt"]


def test_a_run_directory_that_can_not_be_made_is_named(invoke: Invoke, write: Write, folder: Path) -> None:
    (folder / "file").write_text("")
    result = invoke("run", write(TWO_NODES), "--out", "file/run")
    assert result.exit_code == 2
    assert "--out file/run" in result.stderr


def test_debug_shows_the_traceback_too(invoke: Invoke, write: Write) -> None:
    result = invoke("run", write("def topology(): return 1 / 0"), "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr and "ZeroDivisionError" in result.stderr


def test_what_users_wrote_can_not_control_the_terminal(invoke: Invoke, write: Write) -> None:
    result = invoke("run", write(r"raise ValueError('\x1b]0;title\x07 [bold]x[/bold] \u202e \r\nnext')"))
    assert "\x1b" not in result.stderr and "\x07" not in result.stderr and "\u202e" not in result.stderr
    assert r"\x1b]0;title\x07 [bold]x[/bold]" in result.stderr


@pytest.mark.parametrize("content", [None, {}, {"manifest.json": "{"}])
def test_a_report_needs_a_recorded_run(invoke: Invoke, folder: Path, content: dict[str, str] | None) -> None:
    if content is not None:
        (folder / "run").mkdir()
        for name, text in content.items():
            (folder / "run" / name).write_text(text)
    result = invoke("report", "run")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ") and "run" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_defect_of_wotemu_s_own_is_told_of_without_its_traceback(
    invoke: Invoke, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object, **__: object) -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr("wotemu_runtime.runs.run.make_plan", break_down)
    result = invoke("run", write(TWO_NODES))
    assert result.exit_code == 3
    assert result.stderr.splitlines() == [
        "Error: unexpected RuntimeError: the sky fell",
        "  hint:  --debug shows the traceback",
    ]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("IO: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_no_defect_of_wotemu_s_own(
    invoke: Invoke, write: Write, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fill_up(*_: object, **__: object) -> None:
        raise ExceptionGroup("tasks", [error])

    monkeypatch.setattr("wotemu_runtime.runs.run.make_plan", fill_up)
    result = invoke("run", write(TWO_NODES))
    assert result.exit_code == 3
    assert result.stderr.splitlines() == [
        f"Error: the disk is full: {error}",
        "  hint:  make room there, or name another --out",
    ]


def test_ctrl_c_while_the_file_is_read_is_an_interrupt(invoke: Invoke, write: Write) -> None:
    result = invoke("run", write("raise KeyboardInterrupt"))
    assert result.exit_code == 130
    assert result.stderr == "interrupted\n"


def test_ctrl_c_while_a_command_is_loaded_is_an_interrupt() -> None:
    def load(_: str) -> click.Command:
        raise KeyboardInterrupt

    group = GroupedCommands(groups={"all": {"run": "run"}}, load=load, former={})
    result = CliRunner().invoke(group, ["run"])
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")
