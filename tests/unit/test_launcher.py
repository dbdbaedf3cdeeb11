"""Which variables of a node's environment need an interpreter that starts with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from wotemu_runtime.agent.app_environment import unhooked_flag
from wotemu_runtime.agent.launcher import needs_fresh_interpreter

OURS = {"PATH": "/bin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONPATH": "/lib"},
        {"PYTHONHASHSEED": "0"},
        {"LD_PRELOAD": "/lib/x.so"},
        {"LC_ALL": "C"},
        {"LANG": "de_DE.UTF-8"},
        {"MALLOC_ARENA_MAX": "1"},
        {"OPENSSL_CONF": "/etc/x"},
    ],
)
def test_what_python_or_libc_read_as_they_start_needs_a_new_one(env: dict[str, str]) -> None:
    assert needs_fresh_interpreter(env, OURS)


@pytest.mark.parametrize(
    "env",
    [
        {},
        {"API_KEY": "x"},
        {"TZ": "JST-9"},
        {"LANG": "C.UTF-8"},
        {"PYTHONUNBUFFERED": "0"},
        {"WOTEMU_NODE": "a"},
        {"MY_PYTHONPATH": "/lib"},
    ],
)
def test_other_variables_keep_the_quick_start_of_a_fork(env: dict[str, str]) -> None:
    assert not needs_fresh_interpreter(env, OURS)


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        (["python", "-I", "own.py"], "-I"),
        (["/usr/bin/python3.12", "-uE", "own.py"], "-E"),
        (["python", "-S", "-c", "import wotpy"], "-S"),
        (["python", "-Ic", "import wotpy"], "-I"),
        (["python", "own.py", "-I"], ""),
        (["python", "-u", "own.py"], ""),
        (["python", "-I", "other.py"], ""),
        (["python", "-I", "-c", "print()"], ""),
        (["python", "-I", "-m", "wotpy"], ""),
        (["python", "-I"], ""),
        (["sh", "-E", "own.py"], ""),
    ],
)
def test_an_interpreter_that_ignores_the_start_hook_is_known(
    command: list[str], flag: str, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text("from wotpy.wot.servient import Servient")
    (tmp_path / "other.py").touch()
    assert unhooked_flag(command, tmp_path) == flag
