"""Tables on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wotemu.cli.screen.terminal import harmless

if TYPE_CHECKING:
    from rich.table import Table

_NUMBERS = frozenset({"t", "after it"})


def columns(*names: str) -> Table:
    """An empty table with these columns."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(name, justify="right" if name in _NUMBERS else "left", overflow="fold")
    return table


def add_row(table: Table, *cells: str, style: str = "") -> None:
    """Add a row of text that can't control the terminal."""
    from rich.text import Text

    table.add_row(*(Text(harmless(cell)) for cell in cells), style=style)
