"""The blocks of a section: plain values that sections make, and that the page and the JSON export write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import attrs
import polars as pl

from wotemu_report.axis import Axis
from wotemu_report.charts.layers import HEIGHT, Layer

Format = Literal[
    "text", "node", "code", "int", "number", "ms", "answer", "instant", "bytes", "percent", "status"
]
"""How a table writes the cells of a column; `node` is a node's or a replica's name, `instant` seconds since
T0, `answer` a duration in ms that may be infinite (no answer)."""
Fold = Literal["sum", "max", "min"]
"""What stands for a column's numbers where rows are folded."""
_FEW_ROWS = 12
"""That are read without a filter."""


@attrs.frozen
class Block:
    """One piece of a section; `KIND` names the template that writes it."""

    KIND: ClassVar[str]


@attrs.frozen(eq=False)
class Figure(Block):
    """A chart.

    Attributes:
        caption: What it shows, with the units.
        layers: Marks with the rows that they are drawn from: the page draws them, the export lists the rows.
        axis: The time axis that phases and crashes are drawn on; None where x is no time.
        height: Of the plot, in pixels.
        half: Whether it is half as wide as the page.
    """

    KIND: ClassVar[str] = "figure"
    title: str
    caption: str
    layers: Sequence[Layer]
    axis: Axis | None
    height: int = HEIGHT
    half: bool = False


@attrs.frozen
class Column:
    """A column of a table: its label, how its cells are written, what it means.

    `fold`: what stands for the numbers of folded rows; None: the sum of counts, the greatest of others.
    """

    label: str
    format: Format = "text"
    hint: str = ""
    fold: Fold | None = None


@attrs.frozen
class Table(Block):
    """Rows to read and sort.

    Attributes:
        total: How many there are, folded ones counted one by one; None: those that are listed.
        folded: For each row the rows that it stands for, shown when it is opened; or nothing at all.
    """

    KIND: ClassVar[str] = "table"
    title: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    total: int | None = None
    folded: Sequence[Sequence[Sequence[Any]]] = ()

    @property
    def listed(self) -> int:
        """How many rows there are to read: those that are folded rather than what stands for them."""
        return sum(len(below) or 1 for below in self.folded) if self.folded else len(self.rows)

    @property
    def is_filterable(self) -> bool:
        """Whether there are so many rows that a reader looks for some of them."""
        return self.listed > _FEW_ROWS


@attrs.frozen
class Empty(Block):
    """Says why there is nothing to show."""

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
class MatrixCell:
    """One cell of a matrix: its text, its tooltip, and how strong its colour is (0 to 1)."""

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
    rows: Sequence[tuple[str, Sequence[MatrixCell | None]]]


@attrs.frozen
class NetworkLane:
    """A network in the diagram: a vertical line at `x` pixels."""

    name: str
    detail: str
    x: float
    color: str


@attrs.frozen
class LinkDot:
    """A link in the diagram: the dot where a node's line crosses a network's lane, at `x` pixels.

    `trouble` is the kind of what it suffered, by which it is coloured; `suffered` are the figures, in words.
    """

    x: float
    color: str
    network: str
    address: str
    conditions: str
    trouble: str
    suffered: str


@attrs.frozen
class NodeLine:
    """A node in the diagram: a box at `y` pixels, and a line from it to each of its links."""

    name: str
    detail: str
    kind: str
    y: float
    links: Sequence[LinkDot]


@attrs.frozen
class Diagram(Block):
    """Networks as lanes, nodes as lines across them.

    Sizes are pixels; `lane_width` is of a network's box, `node_width` of a node's. `legend` has the kinds of
    troubles of links, with their colours.
    """

    KIND: ClassVar[str] = "diagram"
    title: str
    caption: str
    width: float
    height: float
    lane_width: float
    node_width: float
    lanes: Sequence[NetworkLane]
    lines: Sequence[NodeLine]
    legend: Sequence[tuple[str, str]]


@attrs.frozen
class LogText:
    """The last lines of one replica's log; `opened` ones are shown unfolded."""

    name: str
    note: str
    text: str
    opened: bool


@attrs.frozen
class Logs(Block):
    """The last lines of several logs, folded."""

    KIND: ClassVar[str] = "logs"
    logs: Sequence[LogText]


@attrs.frozen(eq=False)
class NodePage:
    """All that is known of one node: a replica, a broker or a service.

    Attributes:
        id: Of its element, for links.
        note: Its app and its addresses.
        tables: Short ones.
        points: Rows of the chart that all nodes share; None: it has none.
        log: The last lines that it printed.
    """

    name: str
    id: str
    note: str
    tables: Sequence[Table]
    points: pl.DataFrame | None
    log: str


@attrs.frozen(eq=False)
class NodeGroup:
    """The nodes of one group; `id` is of its element."""

    name: str
    id: str
    nodes: Sequence[NodePage]


@attrs.frozen(eq=False)
class NodePages(Block):
    """A folded page for each node, written when it is opened; `chart` is drawn from each one's points."""

    KIND: ClassVar[str] = "nodes"
    groups: Sequence[NodeGroup]
    chart: Figure | None

    @property
    def ids(self) -> dict[str, str]:
        """The element's id by the name of a node, and of a group."""
        found = {group.name: group.id for group in self.groups}
        return found | {node.name: node.id for group in self.groups for node in group.nodes}


@attrs.frozen
class Section:
    """One part of the page, with its own entry in the navigation."""

    id: str
    title: str
    lead: str
    blocks: Sequence[Block]
