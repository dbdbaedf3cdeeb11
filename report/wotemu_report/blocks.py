"""What a section of the report is made of. Plain values: figures make them, the page writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import attrs

Format = Literal["text", "code", "int", "number", "ms", "answer", "instant", "bytes", "percent", "status"]


@attrs.frozen
class Block:
    """One piece of a section; `KIND` names the template's macro that writes it."""

    KIND: ClassVar[str]


@attrs.frozen
class Figure(Block):
    """A Vega-Lite chart. `caption` says the units and what it shows; two halves stand beside each other."""

    KIND: ClassVar[str] = "figure"
    title: str
    caption: str
    spec: dict[str, Any]
    half: bool = False


@attrs.frozen
class Column:
    """A table's column: its label, how its cells are written, and what it means."""

    label: str
    format: Format = "text"
    hint: str = ""


@attrs.frozen
class Table(Block):
    """Rows to read and sort; `total` says how many there are where only some are given."""

    KIND: ClassVar[str] = "table"
    title: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    total: int | None = None
    filterable: bool = False


@attrs.frozen
class Empty(Block):
    """Why there is nothing to show."""

    KIND: ClassVar[str] = "empty"
    title: str
    text: str


@attrs.frozen
class Tile:
    """One key figure; `tone` is good, bad, warn or plain."""

    label: str
    value: str
    detail: str = ""
    tone: str = "plain"


@attrs.frozen
class Tiles(Block):
    """Key figures in a row."""

    KIND: ClassVar[str] = "tiles"
    tiles: Sequence[Tile]


@attrs.frozen
class Cell:
    """One cell of a matrix: its text, its tooltip and how strong its colour is, 0 to 1."""

    text: str
    tip: str
    strength: float


@attrs.frozen
class Matrix(Block):
    """Row names by column names, coloured by value."""

    KIND: ClassVar[str] = "matrix"
    title: str
    caption: str
    corner: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell | None]]]


@attrs.frozen
class Lane:
    """A network of the diagram: a vertical line at `x`."""

    name: str
    detail: str
    x: float
    color: str


@attrs.frozen
class Stop:
    """Where a node meets a network."""

    x: float
    color: str
    network: str
    address: str
    conditions: str


@attrs.frozen
class Line:
    """A node of the diagram: a horizontal line at `y` with a stop at each of its networks."""

    name: str
    detail: str
    kind: str
    y: float
    end_x: float
    stops: Sequence[Stop]


@attrs.frozen
class Diagram(Block):
    """Networks as lanes, nodes as lines across them.

    Sizes are pixels; `lane_width` is of a network's box, `node_width` of a node's.
    """

    KIND: ClassVar[str] = "diagram"
    title: str
    caption: str
    width: float
    height: float
    lane_width: float
    node_width: float
    lanes: Sequence[Lane]
    lines: Sequence[Line]


@attrs.frozen
class LogText:
    """The end of one replica's log."""

    name: str
    note: str
    text: str
    opened: bool


@attrs.frozen
class Logs(Block):
    """The ends of the logs, folded."""

    KIND: ClassVar[str] = "logs"
    logs: Sequence[LogText]


@attrs.frozen
class Section:
    """One part of the page, with its own entry in the navigation."""

    id: str
    title: str
    lead: str
    blocks: Sequence[Block]
