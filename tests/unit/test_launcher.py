"""Which variables of a node's environment need an interpreter that starts with them."""

from __future__ import annotations

import pytest

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
