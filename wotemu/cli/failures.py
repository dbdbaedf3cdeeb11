"""Turns what goes wrong into one clear message on stderr and an exit code."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from wotemu.cli.screen.terminal import console, harmless, tolerate_any_text
from wotemu.errors import EXIT_FAILED, EXIT_INTERRUPTED, WotemuError


def no_run_dir() -> Path | None:
    """For commands that make no run directory."""
    return None


@contextlib.contextmanager
def reporting_errors(*, debug: bool, run_dir: Callable[[], Path | None] = no_run_dir) -> Iterator[None]:
    """Tell of whatever is raised in the block, and exit with its code; `debug` shows the traceback, too."""
    tolerate_any_text(sys.stdout, sys.stderr)
    try:
        yield
    except (click.ClickException, click.exceptions.Exit):
        raise
    except KeyboardInterrupt:
        print_message("interrupted", title="")
        sys.exit(EXIT_INTERRUPTED)
    except WotemuError as error:
        _trace(debug)
        print_error(error)
        sys.exit(error.exit_code)
    except Exception as error:  # the last frame: nothing above could tell of it
        _trace(debug)
        found = run_dir()
        where = None if found is None else f"run directory {found}"
        print_message(_unexpected(error), where=where, hint=None if debug else "--debug shows the traceback")
        sys.exit(EXIT_FAILED)


def print_error(error: WotemuError) -> None:
    """Print an error's message, where it is, and what to do."""
    print_message(error.message, where=error.where, hint=error.hint)


def print_message(
    message: str, *, where: str | None = None, hint: str | None = None, title: str = "Error: "
) -> None:
    """Print one message to stderr."""
    from rich.text import Text

    out = console(stderr=True)
    out.print(Text.assemble((title, "bold red"), (harmless(message), "bold")))
    for label, text in (("where", where), ("hint", hint)):
        if text:
            out.print(Text.assemble((f"  {label + ':':<7}", "dim"), harmless(text)))


def _unexpected(error: Exception) -> str:
    innermost: BaseException = error
    while isinstance(innermost, BaseExceptionGroup):
        innermost = innermost.exceptions[0]
    return f"unexpected {type(innermost).__name__}: {innermost}"


def _trace(debug: bool) -> None:
    if debug:
        traceback.print_exc()
