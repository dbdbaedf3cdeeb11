"""Text for a terminal: without control sequences, with links; and the terminal's own settings."""

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
"""Index of c_lflag, which has ECHOCTL, in what tcgetattr returns."""

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Unicode categories of characters that move the cursor, turn the writing direction or can't be seen."""


def harmless(text: str) -> str:
    """Text as one line: line breaks become spaces, and control characters are spelled out as in Python.

    Users' files and apps write much of what is shown; a terminal would obey escape sequences in it.
    """
    flat = " ".join(text.split("\n")) if "\n" in text else text
    if flat.isascii() and flat.isprintable():
        return flat
    return "".join(_spelled(char) if unicodedata.category(char) in _INVISIBLE else char for char in flat)


def _spelled(char: str) -> str:
    return " " if char in "\t\r" else char.encode("unicode_escape", "surrogatepass").decode()


def tolerate_any_text(*streams: TextIO) -> None:
    """Have streams spell out characters that their encoding lacks, rather than raise."""
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def console(*, stderr: bool = False, plain: bool = False) -> Console:
    """A console that prints text as it is given: no markup, no highlighting of what looks like a number.

    A `plain` one has no colours and links, whatever the environment asks for.
    """
    from rich.console import Console

    terminal = False if plain else None
    return Console(
        stderr=stderr, force_terminal=terminal, markup=False, highlight=False, emoji=False, soft_wrap=True
    )


def prose_console(*, stderr: bool = False) -> Console:
    """A console that breaks lines between words on a terminal; on a pipe, each line stays one."""
    out = console(stderr=stderr)
    out.soft_wrap = not out.is_terminal
    return out


def is_capable(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can move its cursor and draw lines."""
    if not stream.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return False
    return (stream.encoding or "").lower().replace("-", "").startswith("utf")


def without_echoed_control_keys(terminal: TextIO) -> Callable[[], None]:
    """Keep a terminal from printing ``^C`` into what is drawn; returns the function that undoes that."""
    try:
        fd = terminal.fileno()
        if os.tcgetpgrp(fd) != os.getpgrp():
            return _nothing  # in the background: tcsetattr would stop us with SIGTTOU
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
    """A path that opens on a click, in terminals that can."""
    from rich.style import Style
    from rich.text import Text

    return Text(harmless(str(path)), style=Style(bold=True, link=path.resolve().as_uri()))


def mute(stream: TextIO) -> None:
    """Discard whatever is written to a stream from now on, as its reader is gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def leave_at_once(code: int) -> NoReturn:
    """End this process without waiting for its threads."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
