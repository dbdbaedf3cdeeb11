"""Describes an exception for the agent: what was raised, where in the user's code, and what may help."""

from __future__ import annotations

import importlib
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path

from wotemu.errors import InputError
from wotemu_runtime.app_process.loading.target import place
from wotemu_runtime.app_process.messages import Failure
from wotemu_runtime.app_process.redaction import redacted


def failure_of(error: BaseException, stage: str, root: str | Path) -> Failure:
    """The failure that an exception is.

    Args:
        error: what the user's code raised, or WoTemu's on its behalf; of a group, the first one counts.
        stage: ``prepare``, ``start`` or ``run``.
        root: the folder of the user's code.
    """
    text = redacted("".join(traceback.format_exception(error)))
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, InputError):
        return Failure(stage, type(error).__name__, error.message, error.where or "", error.hint or "", text)
    where = user_frame(error, Path(root).resolve())
    hint = getattr(error, "hint", None) or _hint(error, stage)
    if isinstance(error, SyntaxError):  # its text has the place again
        return Failure(stage, type(error).__name__, error.msg, where, hint, text)
    return Failure(stage, type(error).__name__, redacted(str(error)), where, hint, text)


def user_frame(error: BaseException, root: Path) -> str:
    """``file:line`` of the innermost frame under `root`, else of the innermost that is in no library."""
    if isinstance(error, SyntaxError) and error.filename:
        return place(error.filename, error.lineno, root)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_file(frame.filename)]
    inside = [frame for frame in frames if Path(frame.filename).is_relative_to(root)]
    for frame in reversed(inside or [frame for frame in frames if not _is_library(frame.filename)]):
        return place(frame.filename, frame.lineno, root)
    return ""


def _hint(error: BaseException, stage: str) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"install it for {sys.executable}, or put it beside the topology's file"
    if stage == "start" and type(error).__name__ == "ConnectError":  # amqtt's
        return "does the broker know NodeApp(credentials=...), or is it not reachable? See Broker(users=...)"
    if stage == "start" and isinstance(error, OSError):
        return "is another program on this node's ports, or its broker not reachable?"
    return ""


def _is_file(filename: str) -> bool:
    return not filename.startswith("<")  # <string>, <frozen importlib._bootstrap>


def _is_library(filename: str) -> bool:
    return any(Path(filename).is_relative_to(folder) for folder in _library_folders())


def _library_folders() -> Iterator[str]:
    paths = sysconfig.get_paths()
    yield from (paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib"))
    for package in ("wotemu", "wotemu_runtime"):  # elsewhere in an editable installation
        yield from importlib.import_module(package).__path__
