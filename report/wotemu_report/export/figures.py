"""The figures of a report by name: each with its numbers as a table, and charts as pictures, too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from wotemu.errors import InputError
from wotemu.suggestions import did_you_mean
from wotemu_report.blocks import Block, Column, Figure, Matrix, Section, Table
from wotemu_report.charts.layers import Spec
from wotemu_report.charts.theme import CONFIG
from wotemu_report.page.render import figure_spec

WIDTH_PX, HALF_WIDTH_PX = 1040, 500
"""Of a picture, without its margins."""
PNG_SCALE = 2.0
"""Pixels of a PNG for each of a picture's: sharp on paper and on dense screens."""
_LONGEST = 80
_UNITS = {"ms": "ms", "answer": "ms", "instant": "s", "bytes": "bytes", "percent": "share"}
_Named = Figure | Table | Matrix


def figures(sections: Iterable[Section]) -> dict[str, Figure | Table | Matrix]:
    """Charts, tables and matrices of a report, by the name that `export --figure` takes.

    A name is that of its section and its title, such as ``interactions-requests-over-time``.
    """
    named: dict[str, _Named] = {}
    for section in sections:
        for block in section.blocks:
            if isinstance(block, Figure | Table | Matrix):
                named[_free(_name(section, block), named)] = block
    return named


def figure_named(name: str, known: Mapping[str, _Named]) -> _Named:
    """The figure of that name.

    Raises:
        InputError: There is none.
    """
    if name not in known:
        raise InputError(
            f"the report has no figure {name!r}",
            where="--figure",
            hint=did_you_mean(name, list(known)) or "wotemu export RUN --list prints their names",
        )
    return known[name]


def frame_of(block: Block) -> pl.DataFrame:
    """The numbers of a figure.

    Returns:
        Of a chart, the rows of its layers, with the number of each in `layer` where there are several. Of a
        table or a matrix, its rows: a column's unit ends its name (`p95_ms`). Times are seconds after T0.

    Raises:
        InputError: It is none of these.
    """
    match block:
        case Figure():
            return _layers([layer.rows for layer in block.layers])
        case Table():
            names = column_names(block.columns)
            return pl.DataFrame(
                {name: _column(block.rows, number) for number, name in enumerate(names)}, strict=False
            )
        case Matrix():
            return _cells(block)
        case _:
            raise InputError("it has no numbers", where=f"figure {block.KIND}")


def column_names(columns: Sequence[Column]) -> list[str]:
    """Names for the columns of a table: labels in lower case with units, each once."""
    names: dict[str, None] = {}
    for column in columns:
        unit = _UNITS.get(column.format, "")
        label = _slug(column.label.replace("#", "number"), "_") or "column"
        names[_free(f"{label}_{unit}" if unit and not label.endswith(unit) else label, names, "_")] = None
    return list(names)


def picture_spec(figure: Figure) -> Spec:
    """The Vega-Lite specification of a chart on its own: with its title, the theme and a width."""
    spec = figure_spec(figure)
    width = HALF_WIDTH_PX if figure.half else WIDTH_PX
    title = {"text": figure.title, "anchor": "start", "fontSize": 14, "offset": 12}
    return {**spec, "width": width, "title": title, "config": {**CONFIG, "background": "white"}}


def svg(figure: Figure) -> str:
    """The chart as SVG."""
    import vl_convert  # here: it loads V8, which other exports need not wait for

    text: str = vl_convert.vegalite_to_svg(picture_spec(figure))
    return text


def png(figure: Figure) -> bytes:
    """The chart as PNG."""
    import vl_convert

    data: bytes = vl_convert.vegalite_to_png(picture_spec(figure), scale=PNG_SCALE)
    return data


def _layers(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    if len(frames) == 1:
        return frames[0]
    numbered = [frame.select(pl.lit(number).alias("layer"), pl.all()) for number, frame in enumerate(frames)]
    return pl.concat(numbered, how="diagonal_relaxed") if numbered else pl.DataFrame()


def _cells(block: Matrix) -> pl.DataFrame:
    rows = [
        {"row": name, "column": column, "text": cell.text, "detail": cell.tip}
        for name, cells in block.rows
        for column, cell in zip(block.columns, cells, strict=True)
        if cell is not None
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(("row", "column", "text", "detail"), pl.String))


def _column(rows: Sequence[Sequence[Any]], number: int) -> list[Any]:
    """A column's cells as one type: numbers where all are, else texts."""
    cells = [row[number] for row in rows]
    if all(cell is None or isinstance(cell, int | float) for cell in cells):
        return cells
    return [None if cell is None else str(cell) for cell in cells]


def _name(section: Section, block: _Named) -> str:
    return "-".join(filter(None, (_slug(section.id), _slug(block.title) or block.KIND)))


def _slug(text: str, joint: str = "-") -> str:
    """Letters and digits of any script, the rest as `joint`."""
    return re.sub(r"[\W_]+", joint, text.casefold()).strip(joint)[:_LONGEST].strip(joint)


def _free(name: str, taken: Iterable[str], joint: str = "-") -> str:
    """The name, with a number behind it where it is taken."""
    known, number, free = set(taken), 2, name
    while free in known:
        free, number = f"{name}{joint}{number}", number + 1
    return free
