"""An app's target in the topology: a built-in app, ``file.py:function`` or ``package.module:function``."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Literal

from wotemu.errors import LoadError
from wotemu.topology.builtin_apps import BuiltinApps

DEFAULT_FUNCTION = "app"


def split_target(target: str) -> tuple[Literal["file", "builtin", "module"], str, str]:
    """The target's kind, the file, built-in app or module that it names, and the function."""
    head, colon, tail = target.rpartition(":")
    path, name = (head, tail) if colon and tail.isidentifier() else (target, DEFAULT_FUNCTION)
    if path.endswith(".py"):
        return "file", path, name
    return ("module" if colon else "builtin"), path, name


def check_builtin(target: str) -> None:
    """Raise `LoadError` where no built-in app has this name."""
    known = [str(app) for app in BuiltinApps]
    if target not in known:
        close = difflib.get_close_matches(target, known, 1)
        raise LoadError(
            f"no built-in app is called {target!r}; there are {', '.join(known)}",
            where="NodeApp, field 'path'",
            hint=f"did you mean {close[0]!r}?"
            if close
            else "or write file.py, file.py:function, module:function",
        )


def check_file(file: Path, root: Path) -> None:
    """Raise `LoadError` where there is no such file."""
    if not file.is_file():
        raise LoadError(
            "there is no such file", where=place(str(file), None, root), hint=f"paths are relative to {root}"
        )


def no_module(name: str, root: Path) -> LoadError:
    """The error for a module that can't be found."""
    return LoadError(
        f"there is no module {name!r}",
        where="NodeApp, field 'path'",
        hint=f"put it into {root}, or install it for {sys.executable}",
    )


def place(file: str, line: int | None, root: Path) -> str:
    """``file:line``, relative to `root` where the file is under it."""
    path = Path(file)
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return f"{shown}:{line}" if line else str(shown)
