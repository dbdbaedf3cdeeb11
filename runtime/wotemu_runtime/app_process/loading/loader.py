"""Imports an app's function and checks that it can be called."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from wotemu.errors import InputError, LoadError
from wotemu.topology.node_app import AppFunction
from wotemu_runtime.app_process.loading.function_code import unpack_function
from wotemu_runtime.app_process.loading.spec import AppSpec
from wotemu_runtime.app_process.loading.target import (
    check_builtin,
    check_file,
    no_module,
    place,
    split_target,
)

GIVEN = ("wot", "conf", "loop")
"""The arguments that every app is called with, before its own parameters."""


def load_app(spec: AppSpec) -> AppFunction:
    """Import and check the function that `spec` names.

    Raises:
        InputError: the target or the app's parameters are wrong.
        Exception: whatever the user's module raises when it is imported.
    """
    root = Path(spec.root).resolve()
    if str(root) not in sys.path[:1]:
        sys.path.insert(0, str(root))
    if spec.code:
        return unpack_function(spec.code)
    module, name = _import(spec.target, root)
    function = getattr(module, name, None)
    if function is None:
        where = place(module.__file__ or module.__name__, None, root)
        hint = f"define `async def {name}(wot, conf, loop)` there, or write {where}:NAME"
        raise LoadError(f"it has no function {name!r}", where=where, hint=hint)
    check_app(function, spec.params, root)
    checked: AppFunction = function
    return checked


def check_app(function: Any, params: Mapping[str, Any], root: Path) -> None:
    """Check that `function` is an app and takes the parameters.

    Raises:
        InputError: it is no coroutine function, or can't be called with the parameters.
    """
    where = _defined_at(function, root)
    if not inspect.iscoroutinefunction(function):
        name = getattr(function, "__name__", repr(function))
        raise InputError(
            f"{name} is not a coroutine function",
            where=where,
            hint=f"write `async def {name}(wot, conf, loop, ...)`",
        )
    signature = inspect.signature(function)
    try:
        signature.bind(*GIVEN, **params)
    except TypeError as error:
        raise _misfit(function.__name__, signature, params, where, str(error)) from error


def _import(target: str, root: Path) -> tuple[ModuleType, str]:
    """The module of a target, and the name of its function."""
    kind, path, name = split_target(target)
    if kind == "file":
        return _import_file(root / path, root), name
    if kind == "builtin":
        return _import_builtin(path), name
    return _import_module(path, root), name


def _import_builtin(target: str) -> ModuleType:
    check_builtin(target)
    return importlib.import_module(f"wotemu_runtime.apps.{target}")


def _import_file(file: Path, root: Path) -> ModuleType:
    check_file(file, root)
    # Under its own name, so that pickles and tracebacks name it, unless that would hide another module.
    taken = file.stem in sys.modules or file.stem in sys.stdlib_module_names or not file.stem.isidentifier()
    name = f"wotemu_app_{file.stem}" if taken else file.stem
    found = importlib.util.spec_from_file_location(name, file)
    if found is None or found.loader is None:
        raise LoadError("it can't be imported", where=place(str(file), None, root))
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    found.loader.exec_module(module)
    return module


def _import_module(name: str, root: Path) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # The target itself, or a package that it is in, is missing; else one of the module's own imports is.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise no_module(error.name, root) from error


def _misfit(
    name: str, signature: inspect.Signature, params: Mapping[str, Any], where: str, reason: str
) -> InputError:
    """The clearest error for parameters that a function can't be called with."""
    hint = "correct NodeApp(params={...}) or the function"
    own = list(signature.parameters.values())[len(GIVEN) :]
    takes = [one.name for one in own if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    for unknown in params.keys() - set(takes):
        close = difflib.get_close_matches(unknown, takes, 1)
        hint = f"did you mean {close[0]!r}?" if close else hint
        listed = ", ".join(takes) or "none"
        return InputError(f"{name} takes no parameter {unknown!r}; it takes {listed}", where=where, hint=hint)
    missing = [
        one.name for one in own if one.name in takes and one.default is one.empty and one.name not in params
    ]
    if missing:
        example = ", ".join(f'"{one}": ...' for one in missing)
        return InputError(
            f"{name} needs the parameter {missing[0]!r}",
            where=where,
            hint=f"write NodeApp(params={{{example}}})",
        )
    return InputError(
        f"{name}{signature} can't be called as {name}(wot, conf, loop): {reason}", where=where, hint=hint
    )


def _defined_at(function: Any, root: Path) -> str:
    inner = inspect.unwrap(function) if callable(function) else function
    if isinstance(inner, FunctionType):
        return place(inner.__code__.co_filename, inner.__code__.co_firstlineno, root)
    return "NodeApp, field 'path'"
