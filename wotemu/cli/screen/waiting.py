"""A line on a terminal that says what a command waits for."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from wotemu.cli.screen.terminal import console, harmless, is_capable

if TYPE_CHECKING:
    from rich.status import Status


@contextlib.contextmanager
def waiting() -> Iterator[Callable[[str], None]]:
    """The function that it gives shows a text, beside a spinner, until it is given another or the block ends.

    It is written to stderr, and only where that is a terminal.
    """
    if not is_capable(sys.stderr):
        yield lambda _: None
        return
    shown: list[Status] = []

    def show(text: str) -> None:
        if not shown:
            shown.append(console(stderr=True).status(harmless(text)))
            shown[0].start()
        shown[0].update(harmless(text))

    try:
        yield show
    finally:
        for status in shown:
            status.stop()


__all__ = ["waiting"]
