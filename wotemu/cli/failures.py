"""Errors of a command: one clear message on stderr, and an exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from wotemu.cli.screen.terminal import harmless, prose_console, tolerate_any_text
from wotemu.errors import EXIT_FAILED, EXIT_INTERRUPTED, InputError, WotemuError

_NO_ROOM = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
"""What errors of a full disk say, also those of libraries that raise no OSError."""


@contextlib.contextmanager
def reporting_errors(*, debug: bool, run_dir: Callable[[], Path | None] = lambda: None) -> Iterator[None]:
    """Print any error that the block raises, and exit with its code.

    Args:
        debug: Print the traceback, too.
        run_dir: Gives the run directory, where the command has made one: logs in there may say more.
    """
    tolerate_any_text(sys.stdout, sys.stderr)
    try:
        yield
    except (click.ClickException, click.exceptions.Exit):
        raise  # click prints these itself, with the command's usage
    except KeyboardInterrupt:
        print_message("interrupted", title="")
        sys.exit(EXIT_INTERRUPTED)
    except WotemuError as error:
        _print_traceback(debug)
        print_error(error)
        sys.exit(error.exit_code)
    except Exception as error:  # the outermost frame: nothing above would print it in one line
        _print_traceback(debug)
        found = run_dir()
        where = None if found is None else f"run directory {found}"
        innermost = _innermost(error)
        if any(text in str(innermost) for text in _NO_ROOM):
            message, hint = f"the disk is full: {innermost}", "make room there, or name another --out"
        else:
            message = f"unexpected {type(innermost).__name__}: {innermost}"
            hint = "" if debug else "--debug shows the traceback"
        print_message(message, where=where, hint=hint)
        sys.exit(EXIT_FAILED)


def print_error(error: WotemuError) -> None:
    """Print an error's message, where it is, and what to do about it; then what else is wrong, if known."""
    print_message(error.message, where=error.where, hint=error.hint)
    for other in error.more if isinstance(error, InputError) else ():
        print_message(other.message, where=other.where, hint=other.hint)


def print_message(
    message: str, *, where: str | None = None, hint: str | None = None, title: str = "Error: "
) -> None:
    """Print a message to stderr, with a line each for `where` and `hint`."""
    from rich.text import Text

    out = prose_console(stderr=True)
    out.print(Text.assemble((title, "bold red"), (harmless(message), "bold")))
    for label, text in (("where", where), ("hint", hint)):
        if text:
            out.print(Text.assemble((f"  {label + ':':<7}", "dim"), harmless(text)))


def _innermost(error: BaseException) -> BaseException:
    # A TaskGroup wraps what its tasks raise; the innermost error is the one that says something.
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _print_traceback(debug: bool) -> None:
    if debug:
        traceback.print_exc()
