"""Whether the emulation did what its scenario says: the certificate, its reasons, and each hop's evidence."""

from __future__ import annotations

import altair as alt
import polars as pl

from wotemu.fidelity import MEDIANS_SCATTER
from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table, Tile, Tiles
from wotemu_report.charts import palette, series
from wotemu_report.formats import count, milliseconds, percent
from wotemu_report.queries.frames import fold, per_bin, rounded
from wotemu_report.recorded.certificate import Certificate, HopFigures
from wotemu_report.recorded.dataset import RunData

_SHORT_MS = 30.0
_SUREST = pl.col("number").sort_by("scatter", "number", descending=[False, True]).first()
"""How many probes give the surest median; of equally sure ones the most."""
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
    off = max((hop for hop in certificate.hops if hop.error is not None), key=_share_off, default=None)
    late = max((hop.late_p95 for hop in certificate.hops if hop.late_p95 is not None), default=None)
    tiles = [
        Tile("Verdict", certificate.verdict, _told(reasons), certificate.tone),
        Tile("Probes", count(certificate.probes), f"{count(certificate.not_judged)} of them not judged"),
        _off(off),
        Tile("Departures late", milliseconds(late), "p95 of the latest hop's packets"),
        Tile("Changes late", milliseconds(certificate.change_late_p95), f"p95 of {certificate.changes}"),
        Tile("Busiest machine", percent(certificate.cpu), f"CPU in use; {percent(certificate.steal)} stolen"),
    ]
    if certificate.log_lines_lost:
        detail = "of the apps' output; no measurement is missing"
        tiles.append(Tile("Log lines lost", count(certificate.log_lines_lost), detail, "warn"))
    return Tiles(tiles)


def _off(hop: HopFigures | None) -> Tile:
    if hop is None:
        return Tile("Delay off by", milliseconds(None), "no probe could be compared")
    told = f"{milliseconds(hop.measured)} where {milliseconds(hop.expected)} are expected"
    chance = f" ±{milliseconds(hop.chance)} by jitter" if hop.chance else ""
    return Tile("Delay off by", milliseconds(hop.unexplained), f"{told}{chance}: {hop.where}")


def _share_off(hop: HopFigures) -> float:
    """How far a hop's delay is off for its length; of short ones the error itself counts."""
    return abs(hop.unexplained or 0.0) / max(hop.expected or 0.0, _SHORT_MS)


def _told(reasons: int) -> str:
    return "nothing speaks against it" if not reasons else f"{reasons} reason{'s' * (reasons != 1)}"


def _reasons(certificate: Certificate) -> Table:
    rows = [
        (reason.verdict, reason.what, reason.where, reason.affected, reason.text)
        for reason in certificate.reasons
    ]
    return Table(
        "Reasons",
        "Each measure that is beyond its threshold; the thresholds are in manifest.json.",
        (
            Column("Verdict", "status"),
            Column("Threshold", "code"),
            Column("At fault", "text", "the gateway, agent or machine"),
            Column("Affected", "int", "hops of the gateway, or agents or machines"),
            Column("What happened, at the worst of them"),
        ),
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
            spread=pl.col("spread").fill_null(0.0) * 1000.0,
        )
    )


def unexplained(run: RunData, probes: pl.DataFrame) -> pl.DataFrame:
    """A row for each bin of the axis and each network (`series`), in ms.

    Of the probes that left in it, those with the least jitter count: as many as give the surest median. `off`
    is the median of their errors, `scatter` how far jitter alone moves the median of so many in all but one
    of 100,000 cases, and `error` the part of `off` that is beyond it.
    """
    group = ["bin", "series"]
    number = pl.int_range(1, pl.len() + 1).over(group)
    scatter = MEDIANS_SCATTER * pl.col("spread").pow(2).cum_sum().over(group).sqrt() / pl.col("number")
    surest = (
        probes.with_columns(bin=run.axis.binned())
        .sort("spread")
        .with_columns(number=number)
        .with_columns(scatter=scatter)
        .filter(pl.col("number") <= _SUREST.over(group))
    )
    binned = per_bin(
        surest,
        run.axis,
        ["series"],
        off=pl.col("error").median(),
        expected=pl.col("expected").median(),
        scatter=pl.col("scatter").min(),
        probes=pl.len(),
    )
    beyond = (pl.col("off").abs() - pl.col("scatter")).clip(lower_bound=0.0)
    return binned.with_columns(error=pl.col("off").sign() * beyond)


def _errors(run: RunData, probes: pl.DataFrame) -> Figure:
    folded, names = fold(probes, "series", pl.len())
    shown = rounded(unexplained(run, folded))
    points = alt.Chart(series.data(shown)).mark_circle(size=36, opacity=0.7, clip=True)
    encoded = points.encode(
        x=series.time_x(run.axis),
        y=series.value_y("error", "longer than expected", label=_SIGNED),
        color=series.series_color(palette.colors(names)),
        tooltip=series.tips(
            series="network",
            s="from (s)|.4~r",
            probes="probes",
            expected="expected (ms)|,.4~r",
            off="median error (ms)|,.4~r",
            scatter="jitter explains (ms)|,.4~r",
        ),
    )
    return Figure(
        "Error of delays",
        f"A dot for each network and {run.axis.bin_s} s: how much longer its probes with the least jitter"
        " took than expected, in the median, less what jitter explains. Zero is as the scenario says; above"
        " zero is the emulation's own lateness.",
        series.over_time(run.axis, [encoded], height=150),
    )


_SIGNED = "format(datum.value, '~r') + ' ms'"


_RANKS = {"INVALID": 0, "SUSPECT": 1}


def _hops(certificate: Certificate) -> Table:
    columns = (
        Column("Hop"),
        Column("Verdict", "status"),
        Column("Probes", "int", "that crossed it"),
        Column("Not judged", "int", "nothing certain could be expected of them"),
        Column("Compared", "int", "probes with like expected delays, or all: those that are furthest off"),
        Column("Expected", "ms", "the compared probes' median, both hops together"),
        Column("Measured", "ms", "what is expected and the median of the compared probes' errors"),
        Column("Chance ±", "ms", "so far jitter and clocks alone move the median of so many"),
        Column("Off by", "ms", "the difference of the two, beyond what is chance"),
        Column("Loss expected", "percent"),
        Column("Loss", "percent"),
        Column("Late p95", "ms", "95 % of its packets left at most so late"),
        Column("Late max", "ms"),
        Column("Over rate", "percent", "by how much it sent more than its rate in the worst second"),
        Column("Under rate", "percent", "by how much it sent less than its rate while packets waited"),
        Column("Packets", "int", "of the apps"),
    )
    worst_first = sorted(certificate.hops, key=lambda hop: _RANKS.get(hop.verdict, len(_RANKS)))
    return Table(
        "Hops",
        "Delays and losses of probes. Not judged are those that may have waited behind the apps' packets,"
        " that met a change of their delay, an outage or the end of a cut, or were under way at the end.",
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
        hop.where, hop.verdict, hop.probes, hop.not_judged, hop.compared, hop.expected, hop.measured,
        hop.chance, hop.unexplained, hop.loss_expected, hop.loss, hop.late_p95, hop.late_max, hop.rate_excess,
        hop.goodput_short, hop.packets,
    )  # fmt: skip
