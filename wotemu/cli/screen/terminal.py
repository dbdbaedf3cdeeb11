"""What goes to a terminal: text that others wrote made harmless, paths that can be clicked, the consoles."""

from __future__ import annotations

import contextlib
import os
import sys
import termios
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_LOCAL_FLAGS = 3
"""Where termios's attributes have the flags that ECHOCTL is one of."""

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Categories of Unicode that move the cursor, turn the writing direction or can't be seen."""


def harmless(text: str) -> str:
    """One line without control sequences: line breaks become spaces, the like of them is spelled out."""
    flat = " ".join(text.split("\n")) if "\n" in text else text
    if flat.isascii() and flat.isprintable():
        return flat
    return "".join(_spelled(char) if unicodedata.category(char) in _INVISIBLE else char for char in flat)


def _spelled(char: str) -> str:
    return " " if char in "\t\r" else char.encode("unicode_escape", "surrogatepass").decode()


def tolerate_any_text(*streams: TextIO) -> None:
    """Have streams spell out what their encoding lacks, rather than fail."""
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def console(*, stderr: bool = False, plain: bool = False) -> Console:
    """A console that prints what it is given: no markup, no guessing at what to highlight.

    A `plain` one has no colours and links, whatever the environment asks for.
    """
    from rich.console import Console

    terminal = False if plain else None
    return Console(
        stderr=stderr, force_terminal=terminal, markup=False, highlight=False, emoji=False, soft_wrap=True
    )


def is_capable(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can move its cursor and draw lines."""
    if not stream.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return False
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def without_echoed_control_keys(terminal: TextIO) -> Callable[[], None]:
    """Keep a terminal from printing ``^C`` amid what is drawn; the function that puts it back as it was."""
    try:
        fd = terminal.fileno()
        if os.tcgetpgrp(fd) != os.getpgrp():
            return _nothing  # who runs in the background is stopped for touching the terminal
        before = termios.tcgetattr(fd)
    except (OSError, termios.error):
        return _nothing
    quiet = [*before]
    quiet[_LOCAL_FLAGS] &= ~termios.ECHOCTL
    termios.tcsetattr(fd, termios.TCSADRAIN, quiet)
    return lambda: _restore(fd, before)


def _restore(fd: int, settings: list[Any]) -> None:
    with contextlib.suppress(termios.error):  # the terminal went away meanwhile
        termios.tcsetattr(fd, termios.TCSADRAIN, settings)


def _nothing() -> None:
    pass


def path_link(path: Path) -> Text:
    """A path, which terminals that can open it on a click."""
    from rich.style import Style
    from rich.text import Text

    return Text(harmless(str(path)), style=Style(bold=True, link=path.resolve().as_uri()))


def mute(stream: TextIO) -> None:
    """Nobody reads this stream any more: have what is still written to it vanish quietly."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def leave_at_once(code: int) -> NoReturn:
    """End this process without waiting for its threads."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
