"""Commands in the documentation are parsed; those of the README's second terminal act on a run."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.docs.pages import ROOT, Block, all_blocks, blocks
from wotemu.cli import main
from wotemu.errors import EXIT_INTERRUPTED

README = ROOT / "README.md"
PROGRAMS = {"examples/run", "examples/setup", "tests/run"}
"""Programs of the repository that the documentation calls; other tests and CI run them."""


def commands(block: Block) -> Iterator[list[str]]:
    """The commands of a block of shell, as words; variables before them are left out."""
    for line in block.code.replace("\\\n", " ").splitlines():
        words = shlex.split(line.removeprefix("$ "), comments=True)
        while words and "=" in words[0]:
            words.pop(0)
        if words:
            yield words


WOTEMU = [
    pytest.param(words[1:], id=f"{block.where} {' '.join(words[1:4])}")
    for block in all_blocks("sh")
    for words in commands(block)
    if words[0] == "wotemu"
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to parse commands in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_what_is_read(words: list[str], folder: Path) -> None:
    """Make the files and run directories that a command names, as it may look whether they are there."""
    for word in words:
        if word.startswith("runs/"):
            (folder / word).mkdir(parents=True, exist_ok=True)
        elif Path(word).suffix and "=" not in word and not word.startswith("-"):
            (folder / word).parent.mkdir(parents=True, exist_ok=True)
            (folder / word).touch()


@pytest.mark.parametrize("words", WOTEMU)
def test_a_command_is_one_that_the_command_line_takes(words: list[str], folder: Path) -> None:
    words = words[: words.index("|")] if "|" in words else words
    name, arguments = words[0], words[1:]
    make_what_is_read(arguments, folder)
    if name in ("--help", "--version"):
        return
    assert name in main.commands, f"there is no command {name}"
    command = main.commands[name]
    if "--help" not in arguments:
        command.make_context(name, list(arguments), parent=click.Context(main, info_name="wotemu"))


def test_other_commands_are_programs_of_the_repository_or_say_why_they_are_not_run() -> None:
    for block in all_blocks("sh"):
        others = [words[0] for words in commands(block) if words[0] != "wotemu"]
        unknown = [word for word in others if word not in PROGRAMS]
        assert not unknown or block.reason, f"{block.where}: {unknown}"
        assert all(os.access(ROOT / word, os.X_OK) for word in others if word in PROGRAMS)


def second_terminal() -> list[list[str]]:
    """The commands of the README's second terminal, without those that follow."""
    (block,) = [
        block for block in blocks(README) if block.language == "sh" and "wotemu partition" in block.code
    ]
    return [[word for word in words[1:] if word != "--follow"] for words in commands(block)]


def called(*words: str, timeout_s: float = 30) -> str:
    """What a command prints, which has to succeed."""
    argv = [sys.executable, "-m", "wotemu.cli", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.namespaces
def test_the_readmes_deployment_runs_and_its_second_terminal_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local_engine: None
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "xdg").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "xdg"))
    (deployment,) = [
        block for block in blocks(README) if block.language == "python" and "def topology" in block.code
    ]
    Path("deployment.py").write_text(deployment.code)
    argv = [sys.executable, "-m", "wotemu.cli", "run", "deployment.py", "--duration", "5m", "--follow"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            assert any("run.t0" in line for line in running.stdout)
            for words in second_terminal():
                called(*words)
            out, errors = running.communicate(timeout=30)
            assert running.returncode == EXIT_INTERRUPTED, out + errors
        finally:
            running.kill()
    assert Path("runs/deployment/report/index.html").is_file()
    assert "at(" in called("events", "deployment", "--as-scenario")
    called("report", "runs/deployment")
