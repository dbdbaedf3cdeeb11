"""The formats that ``wotemu import`` reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from wotemu.traces import delivery_opportunities, round_trips, tool_output
from wotemu.traces.column_mapping import MappedColumn, check_mapping
from wotemu.traces.recording import Direction, Recording, TraceImportError
from wotemu.traces.round_trips import RoundTrip
from wotemu.traces.tables import TableFormat, read_table


@attrs.frozen
class ImportOptions:
    """What a user may say about a file.

    Attributes:
        columns: Of a CSV table.
        direction: Which way to take of files that tell them apart; None for down, and for both ways' losses.
        window_s: Seconds that a row averages, of single round trips.
        within_s: How far from its instant a delivery opportunity may come.
        interval_s: Between the packets of a ping without stamps.
    """

    columns: tuple[MappedColumn, ...] = ()
    direction: Direction | None = None
    window_s: float | None = None
    within_s: float = delivery_opportunities.DEFAULT_WITHIN_S
    interval_s: float | None = None


Reader = Callable[[str, str, ImportOptions], Recording]
"""Reads a recording from a file's text, given the name for messages and options."""


def _columns(*texts: str) -> tuple[MappedColumn, ...]:
    return tuple(map(MappedColumn.of, texts))


def _lower_bound(way: str) -> str:
    return f"the rate is the throughput of a {way}, which is at most what the path had"


_LOADED = "its round-trip times were measured while a transfer filled the path"
_UCC_STAMP = "t=Timestamp:%Y.%m.%d_%H.%M.%S"


def _table(form: TableFormat) -> Reader:
    return lambda text, name, _: read_table(text.splitlines(), name, form)


def _by_direction(down: TableFormat, up: TableFormat) -> Reader:
    return lambda text, name, options: read_table(
        text.splitlines(), name, up if options.direction == "up" else down
    )


def _ucc(rate: str) -> TableFormat:
    return TableFormat(
        _columns(_UCC_STAMP, f"rate={rate}:kbit/s", "latency=PINGAVG:ms/2", "loss=PINGLOSS:%"),
        assumptions=(_lower_bound("transfer"), round_trips.HALVED),
        loaded_rtt=_LOADED,
    )


def _errant(rate: str) -> TableFormat:
    return TableFormat(
        _columns("t=time:s", f"rate={rate}:kbit/s", "latency=rtt:ms/2"),
        assumptions=("values are draws from a model, which ERRANT imposes as rate and delay together",
                     "ERRANT delays one way by the whole round trip; here each way has half of it"),
    )  # fmt: skip


_SIX_COLUMNS = "the rate is bytes over milliseconds of a download, which is at most what the path had"


def _ghent(text: str, name: str, _: ImportOptions) -> Recording:
    """Six columns: epoch in ms, ms since the start, latitude, longitude, bytes, ms that they took."""
    made = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = line.split()
        if not cells:
            continue
        where = f"{name}, line {number}"
        if len(cells) != 6:
            raise TraceImportError(f"{len(cells)} columns are not 6", where=where)
        try:
            stamp_ms, size, took_ms = float(cells[0]), float(cells[4]), float(cells[5])
        except ValueError as error:
            raise TraceImportError(f"{error}", where=where) from error
        if took_ms <= 0:
            raise TraceImportError(f"{took_ms:g} ms is no duration", where=f"{where}, column 6")
        # The stamp is of the end of the interval: the bytes came in the time before it.
        made.append((number, f"{(stamp_ms - took_ms) / 1e3:.6f} {size * 8e3 / took_ms:.3f}"))
    padded = [""] * (made[-1][0] if made else 0)
    for number, line in made:
        padded[number - 1] = line
    form = TableFormat(_columns("t=1:s", "rate=2:bit/s"), "none", None, assumptions=(_SIX_COLUMNS,))
    return read_table(padded, name, form)


def _nyu_mets(text: str, name: str, _: ImportOptions) -> Recording:
    """``value,unit``, a row a second; the unit changes from row to row."""
    factors = {"bits/sec": 1.0, "kbits/sec": 1e3, "mbits/sec": 1e6, "gbits/sec": 1e9}
    made = []
    for number, line in enumerate(text.splitlines(), 1):
        value, _comma, unit = (part.strip() for part in line.partition(","))
        if not value and not unit:
            made.append("")
            continue
        where = f"{name}, line {number}"
        if unit.lower() not in factors:
            raise TraceImportError(
                f"{unit!r} is no unit of a rate",
                where=f"{where}, column 2",
                hint="lines are VALUE,UNIT: 3.97,Mbits/sec",
            )
        try:
            made.append(f"{number - 1} {float(value) * factors[unit.lower()]:.3f}")
        except ValueError as error:
            raise TraceImportError(f"{value!r} is not a number", where=f"{where}, column 1") from error
    form = TableFormat(
        _columns("t=1:s", "rate=2:bit/s"),
        "none",
        None,
        assumptions=(_lower_bound("download"), "a row a second"),
    )
    return read_table(made, name, form)


_THEATERQ = ("the queue's limit is left out: set queue on the link", "route numbers are left out")


def _theaterq(text: str, name: str, _: ImportOptions) -> Recording:
    """The simple format has five columns, the extended one nine; other lines are comments."""
    lines = [line if line[:1].isdigit() else "" for line in text.splitlines()]
    first = next((line for line in lines if line), "")
    many = len(first.split(","))
    if many not in (5, 9):
        raise TraceImportError(f"{many} columns are neither 5 (simple) nor 9 (extended)", where=name)
    columns = _columns("keep=1:us", "latency=2:ns", *(
        ("rate=3:bit/s", "loss=4:u32") if many == 5 else ("jitter=3:ns", "rate=4:bit/s", "loss=5:u32")
    ))  # fmt: skip
    return read_table(lines, name, TableFormat(columns, "none", assumptions=_THEATERQ))


_PHANTOMLINK = TableFormat(
    _columns("t=Time[ms]:ms", "latency=Delay[ms]:ms", "rate=Btldr[Mbps]:mbit/s"),
    assumptions=("route numbers are left out",),
)
_PENSIEVE = TableFormat(
    _columns("t=1:s", "rate=2:mbit/s"), "none", None, assumptions=(_lower_bound("download"),)
)


def _lens_irtt(text: str, name: str, options: ImportOptions) -> Recording:
    """``timestamp,rtt,uplink,downlink``: ns and ms; -1 marks the way that lost the packet."""
    trips = []
    for number, cells in _csv(text, name, ("timestamp", "rtt", "uplink", "downlink")):
        stamp, rtt, up, down = cells
        lost = -1 in (rtt, up, down)
        way = "up" if up == -1 else "down" if down == -1 else None
        if not lost and rtt <= 0:
            raise TraceImportError(f"{rtt:g} ms is no round trip", where=f"{name}, line {number}, column rtt")
        trips.append(RoundTrip(stamp / 1e9, None if lost else rtt / 1e3, way))  # type: ignore[arg-type]
    return round_trips.recording_of(
        trips, name, window=options.window_s, direction=options.direction, source="rtt, ms"
    )


def _lens_ping(text: str, name: str, options: ImportOptions) -> Recording:
    """``timestamp,rtt``: seconds and ms; lost packets have no row."""
    trips = [RoundTrip(t_s, rtt / 1e3) for _, (t_s, rtt) in _csv(text, name, ("timestamp", "rtt"))]
    found = round_trips.recording_of(trips, name, window=options.window_s, source="rtt, ms")
    said = tuple(line for line in found.assumptions if line != round_trips.LOSS_SPLIT)
    without_loss = attrs.evolve(found, assumptions=(*said, "losses are not in the file: it has no loss"))
    return without_loss.only(("latency_ms", "jitter_ms"), name)


def _csv(text: str, name: str, header: Sequence[str]) -> list[tuple[int, list[float]]]:
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines or [cell.strip() for cell in lines[0][1].split(",")] != list(header):
        raise TraceImportError(f"its first line is not {','.join(header)}", where=name)
    found = []
    for number, line in lines[1:]:
        cells = line.split(",")
        where = f"{name}, line {number}"
        if len(cells) != len(header):
            raise TraceImportError(f"{len(cells)} cells for {len(header)} columns", where=where)
        try:
            found.append((number, [float(cell) for cell in cells]))
        except ValueError as error:
            raise TraceImportError(str(error), where=where) from error
    return found


def _mapped_csv(text: str, name: str, options: ImportOptions) -> Recording:
    if not options.columns:
        raise TraceImportError(
            "a CSV file needs to know what its columns are",
            where=name,
            hint='add --column "t=time:s" --column "latency=rtt_ms:ms/2" for each',
        )
    check_mapping(list(options.columns))
    by_target = {column.target: column for column in options.columns}
    is_halved = "latency" in by_target and by_target["latency"].by != 1
    loaded = "nothing says that its round-trip times were measured on the idle path" if is_halved else None
    form = TableFormat(
        options.columns, assumptions=(round_trips.HALVED,) if is_halved else (), loaded_rtt=loaded
    )
    lines = text.splitlines()
    if all(column.source.isdigit() for column in options.columns):
        first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
        form = attrs.evolve(form, header="none", separator="," if "," in first else None)
    return read_table(lines, name, form)


READERS: dict[str, Reader] = {
    "mahimahi": lambda text, name, options: delivery_opportunities.recording_of(
        delivery_opportunities.opportunities(text.splitlines(), name), options.within_s
    ),
    "csv": _mapped_csv,
    "irtt": lambda text, name, options: tool_output.read_irtt(
        text, name, direction=options.direction, window_s=options.window_s
    ),
    "ping": lambda text, name, options: tool_output.read_ping(
        text.splitlines(), name, interval_s=options.interval_s, window_s=options.window_s
    ),
    "iperf3": lambda text, name, _: tool_output.read_iperf3(text, name),
    "ntrace": lambda text, name, options: tool_output.read_ntrace(
        text, name, direction=options.direction or "down"
    ),
    "errant": _by_direction(_errant("download"), _errant("upload")),
    "nyu-mets": _nyu_mets,
    "ucc-5g": _by_direction(_ucc("DL_bitrate"), _ucc("UL_bitrate")),
    "ghent": _ghent,
    "pensieve": _table(_PENSIEVE),
    "theaterq": _theaterq,
    "phantomlink": _table(_PHANTOMLINK),
    "lens-irtt": _lens_irtt,
    "lens-ping": _lens_ping,
}


def read(text: str, name: str, from_format: str, options: ImportOptions) -> Recording:
    """Read a file's text.

    Raises:
        TraceImportError: It names the file, line and column that is wrong.
    """
    if options.columns and from_format != "csv":
        raise TraceImportError("only --from csv takes columns", where="--column")
    return READERS[from_format](text, name, options)
