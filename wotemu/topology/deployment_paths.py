"""Where the files lie that a topology or a scenario names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_root: ContextVar[Path | None] = ContextVar("root", default=None)


@contextmanager
def relative_to(root: Path) -> Iterator[None]:
    """While the block runs, relative paths start from `root`: the folder of the user's file."""
    token = _root.set(root)
    try:
        yield
    finally:
        _root.reset(token)


def locate(path: str | Path) -> Path:
    """The file that `path` names, from the folder of the user's file, or else from the current one.

    `FileNotFoundError` if it is in neither.
    """
    root = _root.get()
    for folder in (root, Path()) if root is not None else (Path(),):
        if (folder / path).is_file():
            return folder / path
    raise FileNotFoundError(f"there is no file {str(path)!r}" + (f" in {root}" if root is not None else ""))
