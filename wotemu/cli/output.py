"""Puts what a command made where it is wanted: in a file or a folder, whole or not at all, or on stdout."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from wotemu.errors import InputError


@contextlib.contextmanager
def file_for(out: Path | None, name: str) -> Iterator[Path]:
    """Give a file to write, and put it in its place when it is finished.

    Args:
        out: The file that it becomes, or a folder for it; None for stdout.
        name: Its name in a folder.

    Raises:
        InputError: It can't be put there.
    """
    target = out / name if out is not None and out.is_dir() else out
    with _scratch(None if target is None else target.parent) as folder:
        path = folder / name
        yield path
        if target is None:
            print_file(path)
        else:
            _replace(path, target)


@contextlib.contextmanager
def folder_for(out: Path) -> Iterator[Path]:
    """Give an empty folder to write files to, and put these in `out` when all are finished.

    Raises:
        InputError: They can't be put there.
    """
    if out.exists() and not out.is_dir():
        raise InputError("it is a file", where=f"--out {out}", hint="name a folder")
    with _scratch(out) as folder:
        yield folder
        for path in sorted(folder.iterdir()):
            _replace(path, out / path.name)


def print_file(path: Path) -> None:
    """Copy a file to stdout; a reader that has seen enough, such as `head`, is no error."""
    sys.stdout.flush()
    try:
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The interpreter flushes stdout once more as it exits, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _scratch(parent: Path | None) -> Iterator[Path]:
    """A temporary folder in `parent`, which is made, or where temporary files are."""
    try:
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(dir=parent, prefix=".wotemu-")
    except OSError as error:
        raise _not_written(error, parent) from error
    with made as folder:
        yield Path(folder)


def _replace(path: Path, target: Path) -> None:
    try:
        path.replace(target)  # in one step: both are on one file system
    except OSError as error:
        raise _not_written(error, target) from error


def _not_written(error: OSError, where: Path | None) -> InputError:
    return InputError(
        f"it can't be written: {error.strerror or error}",
        where=None if where is None else str(where),
        hint="name a place that you may write to with --out",
    )
