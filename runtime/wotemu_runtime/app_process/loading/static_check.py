"""Checks an app's target before anything starts, without running a line of the app.

What only running it can show (its imports, its parameters) is checked in the app's process, before T0.
"""

from __future__ import annotations

import ast
import difflib
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path

from wotemu.errors import LoadError
from wotemu_runtime.app_process.loading.target import (
    check_builtin,
    check_file,
    no_module,
    place,
    split_target,
)


def check_target(target: str, root: Path) -> None:
    """Raise `LoadError` where the file, built-in app, module or function of a target does not exist."""
    root = root.resolve()
    kind, path, name = split_target(target)
    if kind == "builtin":
        check_builtin(path)
    elif kind == "file":
        check_file(root / path, root)
        _check_function(root / path, name, root)
    else:
        # Only the top package: finding a submodule would import its parents.
        package = path.partition(".")[0]
        if PathFinder.find_spec(package, [str(root), *sys.path]) is None:
            raise no_module(package, root)


def _check_function(file: Path, name: str, root: Path) -> None:
    where = place(str(file), None, root)
    try:
        module = ast.parse(file.read_bytes(), str(file))
    except SyntaxError as error:
        raise LoadError(error.msg, where=place(str(file), error.lineno, root)) from error
    except (OSError, ValueError) as error:
        raise LoadError(f"it can't be read: {error}", where=where) from error
    names = set(_bound(module))
    if name not in names and not names & {"*", "__getattr__"}:
        close = difflib.get_close_matches(name, sorted(names), 1)
        hint = (
            f"did you mean {where}:{close[0]}?"
            if close
            else f"define `async def {name}(wot, conf, loop)` there"
        )
        raise LoadError(f"it has no function {name!r}", where=where, hint=hint)


def _bound(module: ast.Module) -> Iterator[str]:
    """The names that a module's statements bind; ``*`` where it imports all of another module."""
    for statement in module.body:
        is_definition = isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for node in (statement,) if is_definition else ast.walk(statement):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                    yield node.name
                case ast.Import() | ast.ImportFrom():
                    yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
                case ast.Name(ctx=ast.Store()):
                    yield node.id
