"""Tables on the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wotemu.cli.screen.terminal import harmless, prose_console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_WIDTH = 140
"""Characters in a line on a pipe or in a file, where there is no terminal whose width to ask."""

_RIGHT_ALIGNED = frozenset({"t", "after it"})


def columns(*names: str, ruled: bool = True) -> Table:
    """An empty table with these columns; `ruled` draws a line below its head."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD if ruled else None, pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(name, justify="right" if name in _RIGHT_ALIGNED else "left", overflow="fold")
    return table


def wrapped(text: str, width: int) -> str:
    """Text with line breaks; words that are longer than a line, such as paths, break after a separator."""
    parts = (each for word in text.split() for each in _parts(word, width))
    lines = [""]
    for part, is_first in parts:
        longer = f"{lines[-1]}{' ' if is_first and lines[-1] else ''}{part}"
        if len(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(part)
    return "\n".join(lines)


def _parts(word: str, width: int) -> Iterator[tuple[str, bool]]:
    """A word, or its parts where it is too long for a line; and whether each is the first one."""
    parts = re.findall(r"[^/._-]*[/._-]*", word) if len(word) > width else [word]
    for place, part in enumerate(filter(None, parts)):
        yield part, not place


def add_row(table: Table, *cells: str, style: str = "") -> None:
    """Add a row of text that can't control the terminal."""
    from rich.text import Text

    table.add_row(*(Text(harmless(cell)) for cell in cells), style=style)


def table_console() -> Console:
    """A console for tables, which don't fold on a pipe as they would on a terminal of 80 columns."""
    out = prose_console()
    if not out.is_terminal:
        out.width = max(out.width, PIPE_WIDTH)
    return out
