"""Prints a trace that was read from a measurement, and the assumptions made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from wotemu.cli.screen.tables import add_row, columns, table_console
from wotemu.cli.screen.terminal import harmless
from wotemu.units import Rate, Seconds

if TYPE_CHECKING:
    from wotemu.traces.recording import Column, ColumnSummary, Gap, Recording

_SHOWN_GAPS = 3


def show_recording(
    recording: Recording, summaries: Sequence[ColumnSummary], found: Sequence[Gap], out: str
) -> None:
    """Print a row for each column, then time span, gaps and what was assumed."""
    console = table_console()
    table = columns("column", "from", "rows", "min", "median", "max")
    for each in summaries:
        values = (_value(each.column, value) for value in (each.least, each.median, each.most))
        add_row(table, each.column, each.source, str(each.count), *values)
    console.print(table)
    length_s = recording.length_s
    console.print(
        f"{len(recording.rows)} rows over {Seconds(length_s)}, {len(recording.rows) / length_s:.3g} a second"
    )
    for gap in sorted(found, key=lambda each: -each.length_s)[:_SHOWN_GAPS]:
        held = f"gap of {Seconds(gap.length_s)} at {Seconds(gap.start_s)}: the row before it holds on"
        console.print(Text(held, style="yellow"), soft_wrap=False)
    if len(found) > _SHOWN_GAPS:
        console.print(Text(f"{len(found) - _SHOWN_GAPS} shorter gaps", style="yellow"))
    for line in recording.assumptions:
        # By words, and below the first one: the terminal would break within words.
        row = Table.grid(padding=(0, 1))
        row.add_row(Text("-", style="dim"), Text(harmless(line), style="dim", overflow="fold"))
        console.print(row)
    console.print(Text.assemble("Written to ", (harmless(out), "bold")))


def _value(column: Column, value: float) -> str:
    if column == "rate_bps":
        return str(Rate(value))
    if column == "loss":
        return f"{value * 100:.3g}%"
    return f"{value:.4g} ms"
