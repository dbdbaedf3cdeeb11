"""Reads the last lines of the logs."""

from __future__ import annotations

from pathlib import Path

import attrs
from natsort import natsort_keygen

_TAIL_BYTES = 64 * 1024
_natural = natsort_keygen()


@attrs.frozen
class LogTail:
    """The last lines of one replica's log; `size` is the whole file's, in bytes."""

    replica: str
    lines: tuple[str, ...]
    size: int
    complete: bool


def read_log_tails(folder: Path, lines: int) -> tuple[LogTail, ...]:
    """The last `lines` lines of each log in the folder, in order of their names."""
    if not folder.is_dir():
        return ()
    return tuple(_tail(path, lines) for path in sorted(folder.glob("*.log"), key=_order))


def _order(path: Path) -> tuple[bool, object]:
    """By name; the logs of WoTemu's own roles, which begin with an underscore, come last."""
    return path.stem.startswith("_"), _natural(path.stem)


def _tail(path: Path, lines: int) -> LogTail:
    """The last `lines` lines, from the last 64 KiB: a log of gigabytes is not read whole."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    found = text.splitlines()
    if size > _TAIL_BYTES and len(found) > 1:
        found = found[1:]  # the first one is cut
    return LogTail(path.stem, tuple(found[-lines:]), size, size <= _TAIL_BYTES and len(found) <= lines)
