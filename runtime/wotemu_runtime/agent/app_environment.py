"""The environment variables by which any program of a node reports to the node's agent."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from wotemu.app.agent_socket import ADDRESS, VARIABLE

START_HOOK = Path(__file__).parent.parent / "app_process" / "start_hook"
"""The folder of the start hook of Python interpreters."""

PROGRAMS = Path(__file__).parent / "bin"
"""The folder of the programs that every node has, last on its PATH."""

PACKAGES_VARIABLE = "WOTEMU_PACKAGES"
"""Where the start hook finds what an interpreter that is not WoTemu's lacks; see `start_hook`."""
_MAX_SCRIPT = 1 << 20
_PACKAGES = ("wotemu", "wotemu_runtime", "attr", "attrs", "msgpack")


def reporting(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables to set in the environment of a node's app or command.

    Args:
        environ: The environment that it would have.
    """
    return {
        "PATH": os.pathsep.join((environ.get("PATH") or os.defpath, str(PROGRAMS))),
        "WOTEMU_PYTHON": sys.executable,
        VARIABLE: ADDRESS.replace("\0", "@"),
        PACKAGES_VARIABLE: os.pathsep.join(_package_folders()),
        "PYTHONPATH": os.pathsep.join(filter(None, (str(START_HOOK), environ.get("PYTHONPATH")))),
    }


@cache
def _package_folders() -> tuple[str, ...]:
    """The folders that hold what measures interactions, without importing it."""
    folders = []
    for name in _PACKAGES:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            folders.append(str(Path(spec.origin).parent.parent))
    return tuple(dict.fromkeys(folders))


def unhooked_flag(command: Sequence[str], cwd: Path) -> str:
    """The option by which a command's Python ignores the start hook; "" without one, or without WoTPy.

    Args:
        command: The program and its arguments.
        cwd: Where it is started.
    """
    program, *arguments = command
    if not Path(program).name.startswith("python"):
        return ""
    flag = ""
    for place, word in enumerate(arguments):
        if not word.startswith("-") or word == "-":
            return flag if flag and _names_wotpy(cwd / word) else ""
        letters = word[1:] if not word.startswith("--") else ""
        flag = next((f"-{letter}" for letter in letters if letter in "IES"), flag)
        if "c" in letters or "m" in letters:
            code = "".join(arguments[place + 1 : place + 2])
            return flag if "c" in letters and "wotpy" in code else ""
    return ""


def _names_wotpy(script: Path) -> bool:
    try:
        with script.open("rb") as file:
            return b"wotpy" in file.read(_MAX_SCRIPT)
    except OSError:
        return False
