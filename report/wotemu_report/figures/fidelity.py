"""Whether the emulation did what its scenario says: the certificate, its reasons, and each hop's evidence."""

from __future__ import annotations

import altair as alt
import polars as pl

from wotemu_report import charts, palette
from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table, Tile, Tiles
from wotemu_report.certificate import Certificate, HopFigures
from wotemu_report.dataset import RunData
from wotemu_report.formats import count, milliseconds, percent
from wotemu_report.frames import fold, rounded, sample

_MAX_POINTS = 3000
_MAX_ROWS = 400
_LEAD = (
    "Agents probe each other about once a second; these packets are in no other figure. A probe should take"
    " what the conditions of its two hops say: the sender's up and the receiver's down."
)


def section(run: RunData) -> Section:
    """The certificate with its evidence."""
    certificate = run.manifest.certificate
    if certificate is None:
        why = Empty("No certificate.", "The run ended before it could be judged, or was never certified.")
        return Section("fidelity", "Fidelity", "", [why])
    blocks: list[Block] = [_tiles(certificate)]
    if certificate.reasons:
        blocks.append(_reasons(certificate))
    probes = compared(run)
    if probes.height:
        blocks.append(_errors(run, probes))
    return Section("fidelity", "Fidelity", _LEAD, [*blocks, _hops(certificate), _hosts(certificate)])


def _tiles(certificate: Certificate) -> Tiles:
    reasons = len(certificate.reasons)
    off = _worst(certificate, "error")
    late = _worst(certificate, "late_p95")
    return Tiles(
        [
            Tile("Verdict", certificate.verdict, _told(reasons), certificate.tone),
            Tile("Probes", count(certificate.probes), f"over {len(certificate.hops)} hops"),
            Tile("Delay off by", milliseconds(off), "median of the hop that is furthest off"),
            Tile("Departures late", milliseconds(late), "p95 of the latest hop"),
            Tile("Changes late", milliseconds(certificate.change_late_p95), f"p95 of {certificate.changes}"),
            Tile(
                "Busiest machine",
                percent(certificate.cpu),
                f"CPU in use; {percent(certificate.steal)} stolen",
            ),
        ]
    )


def _told(reasons: int) -> str:
    return "nothing speaks against it" if not reasons else f"{reasons} reason{'s' * (reasons != 1)}"


def _worst(certificate: Certificate, name: str) -> float | None:
    values = [value for hop in certificate.hops if (value := getattr(hop, name)) is not None]
    return max(values, key=abs, default=None)


def _reasons(certificate: Certificate) -> Table:
    rows = [(reason.verdict, reason.what, reason.text) for reason in certificate.reasons]
    return Table(
        "Reasons",
        "Each measure that is beyond its threshold; the thresholds are in manifest.json.",
        (Column("Says", "status"), Column("Threshold", "code"), Column("What happened")),
        rows[:_MAX_ROWS],
        total=len(rows),
        filterable=len(rows) > 12,
    )


def compared(run: RunData) -> pl.DataFrame:
    """A row for each probe that came and can be compared: `s`, `series` (the network), `error` in ms, ..."""
    return (
        run.tables["probes"]
        .filter(pl.col("state") == "", pl.col("measured").is_not_null(), run.axis.shown())
        .select(
            "s",
            "node",
            "peer",
            series="network",
            error=(pl.col("measured") - pl.col("expected")) * 1000.0,
            expected=pl.col("expected") * 1000.0,
            measured=pl.col("measured") * 1000.0,
        )
    )


def _errors(run: RunData, probes: pl.DataFrame) -> Figure:
    folded, names = fold(probes, "series", pl.len())
    shown = rounded(sample(folded, _MAX_POINTS))
    points = alt.Chart(charts.data(shown)).mark_circle(size=26, opacity=0.6, clip=True)
    encoded = points.encode(
        x=charts.time_x(run.axis),
        y=charts.value_y("error", "longer than expected", label=_SIGNED),
        color=charts.series_color(palette.colors(names)),
        tooltip=charts.tips(
            node="from",
            peer="to",
            series="network",
            s="sent (s)|.4~r",
            expected="expected (ms)|,.4~r",
            measured="measured (ms)|,.4~r",
        ),
    )
    return Figure(
        "Delay of probes",
        "A dot for each probe that met only the conditions: how much longer it took than expected. Jitter"
        " scatters dots around zero; what is above zero without jitter is the emulation's own lateness.",
        charts.over_time(run.axis, [encoded], height=150),
    )


_SIGNED = "format(datum.value, '~r') + ' ms'"


_RANKS = {"INVALID": 0, "SUSPECT": 1}


def _hops(certificate: Certificate) -> Table:
    columns = (
        Column("Hop"),
        Column("Says", "status"),
        Column("Probes", "int"),
        Column("Expected", "ms", "median delay of the probes that crossed it, both hops together"),
        Column("Measured", "ms", "median delay that they had"),
        Column("Off by", "ms", "median of each probe's difference"),
        Column("Loss expected", "percent"),
        Column("Loss", "percent"),
        Column("Late p95", "ms", "how late packets left: in 95 % of seconds, 95 % of them"),
        Column("Late max", "ms"),
        Column("Over rate", "percent", "by how much it sent more than its rate in the worst second"),
        Column("Packets", "int", "of the apps"),
    )
    worst_first = sorted(certificate.hops, key=lambda hop: _RANKS.get(hop.verdict, len(_RANKS)))
    return Table(
        "Hops",
        "Delays and losses of probes that neither waited behind the apps' packets nor met a cut.",
        columns,
        [_row(hop) for hop in worst_first[:_MAX_ROWS]],
        total=len(certificate.hops),
        filterable=len(certificate.hops) > 12,
    )


def _hosts(certificate: Certificate) -> Table:
    columns = (
        Column("Machine"),
        Column("CPU in use", "percent", "of all its cores, on average"),
        Column("CPU stolen", "percent", "by its hypervisor"),
        Column("Clock off by", "ms", "what was added to its times to get the event bus's clock; the median"),
        Column("Uncertain by", "ms", "half of the quickest exchange with the bus, at worst during the run"),
    )
    return Table(
        "Machines",
        "All times in this report are the event bus's: each machine's clock is compared with it all along.",
        columns,
        [(h.name, h.cpu, h.steal, h.clock_offset, h.clock_error) for h in certificate.hosts[:_MAX_ROWS]],
        total=len(certificate.hosts),
        filterable=len(certificate.hosts) > 12,
    )


def _row(hop: HopFigures) -> tuple[object, ...]:
    return (
        hop.where, hop.verdict, hop.probes, hop.expected, hop.measured, hop.error, hop.loss_expected,
        hop.loss, hop.late_p95, hop.late_max, hop.rate_excess, hop.packets,
    )  # fmt: skip
