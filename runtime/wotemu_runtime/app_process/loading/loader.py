"""Finds an app's function, checks that it can be called, and says where in the user's code it failed."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import sys
import sysconfig
import traceback
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Literal

from wotemu.errors import InputError, LoadError
from wotemu.topology.builtin_apps import BuiltinApps
from wotemu_runtime.app_process.loading.spec import AppSpec
from wotemu_runtime.app_process.messages import Failure

AppFunction = Callable[..., Coroutine[Any, Any, Any]]

DEFAULT_FUNCTION = "app"
GIVEN = ("wot", "conf", "loop")
"""What every app is called with, before its own parameters."""


def load_app(spec: AppSpec) -> AppFunction:
    """The function that `spec` names, imported and checked.

    Raises InputError for what is wrong with the target or its parameters, and whatever the user's own
    module raises when it is imported.
    """
    root = Path(spec.root).resolve()
    if str(root) not in sys.path[:1]:
        sys.path.insert(0, str(root))
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
    """Check that `function` is an app and takes the parameters. Raises InputError."""
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


def failure_of(error: BaseException, stage: str, root: str | Path) -> Failure:
    """What to tell about an exception that the user's code, or we on its behalf, raised."""
    text = "".join(traceback.format_exception(error))
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, InputError):
        return Failure(stage, type(error).__name__, error.message, error.where or "", error.hint or "", text)
    where = user_frame(error, Path(root).resolve())
    hint = getattr(error, "hint", None) or _hint(error, stage)
    if isinstance(error, SyntaxError):
        return Failure(stage, type(error).__name__, error.msg, where, hint, text)
    return Failure(stage, type(error).__name__, str(error), where, hint, text)


def user_frame(error: BaseException, root: Path) -> str:
    """``file:line`` of the innermost frame in the user's code, under `root` if there is one there."""
    if isinstance(error, SyntaxError) and error.filename:
        return place(error.filename, error.lineno, root)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_file(frame.filename)]
    inside = [frame for frame in frames if Path(frame.filename).is_relative_to(root)]
    for frame in reversed(inside or [frame for frame in frames if not _is_library(frame.filename)]):
        return place(frame.filename, frame.lineno, root)
    return ""


def place(file: str, line: int | None, root: Path) -> str:
    """``file:line``, relative to `root` where the file is under it."""
    path = Path(file)
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return f"{shown}:{line}" if line else str(shown)


def _import(target: str, root: Path) -> tuple[ModuleType, str]:
    """The module of a target, and the name of its function."""
    kind, path, name = split_target(target)
    if kind == "file":
        return _import_file(root / path, root), name
    if kind == "builtin":
        return _import_builtin(path), name
    return _import_module(path, root), name


def split_target(target: str) -> tuple[Literal["file", "builtin", "module"], str, str]:
    """What kind of target it is, the file, built-in app or module that it names, and the function."""
    head, colon, tail = target.rpartition(":")
    path, name = (head, tail) if colon and tail.isidentifier() else (target, DEFAULT_FUNCTION)
    if path.endswith(".py"):
        return "file", path, name
    return ("module" if colon else "builtin"), path, name


def check_builtin(target: str) -> None:
    """Raises `LoadError` where no built-in app has this name."""
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
    """Raises `LoadError` where there is no such file."""
    if not file.is_file():
        raise LoadError(
            "there is no such file", where=place(str(file), None, root), hint=f"paths are relative to {root}"
        )


def _import_builtin(target: str) -> ModuleType:
    check_builtin(target)
    return importlib.import_module(f"wotemu_runtime.apps.{target}")


def _import_file(file: Path, root: Path) -> ModuleType:
    check_file(file, root)
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
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise no_module(error.name, root) from error


def no_module(name: str, root: Path) -> LoadError:
    """The error for a module that can't be found."""
    return LoadError(
        f"there is no module {name!r}",
        where="NodeApp, field 'path'",
        hint=f"put it into {root}, or install it for {sys.executable}",
    )


def _misfit(
    name: str, signature: inspect.Signature, params: Mapping[str, Any], where: str, reason: str
) -> InputError:
    """The clearest error for parameters that a function can't be called with."""
    hint = "mend NodeApp(params={...}) or the function"
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


def _hint(error: BaseException, stage: str) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"install it for {sys.executable}, or put it beside the topology's file"
    if stage == "start" and isinstance(error, OSError):
        return "is another program on this node's ports, or its broker not reachable?"
    return ""


def _defined_at(function: Any, root: Path) -> str:
    inner = inspect.unwrap(function) if callable(function) else function
    if isinstance(inner, FunctionType):
        return place(inner.__code__.co_filename, inner.__code__.co_firstlineno, root)
    return "NodeApp, field 'path'"


def _is_file(filename: str) -> bool:
    return not filename.startswith("<")


def _is_library(filename: str) -> bool:
    return any(Path(filename).is_relative_to(folder) for folder in _library_folders())


def _library_folders() -> Iterator[str]:
    paths = sysconfig.get_paths()
    yield from (paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib"))
    for package in ("wotemu", "wotemu_runtime"):
        yield from importlib.import_module(package).__path__
