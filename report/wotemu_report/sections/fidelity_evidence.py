"""Fidelity: the certificate, its reasons, and the evidence for each hop and machine."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from wotemu.fidelity import VERDICTS, Certificate
from wotemu.fidelity.evidence import HopEvidence
from wotemu.wording import counted
from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table, Tile, Tiles
from wotemu_report.charts import palette
from wotemu_report.charts.layers import tips
from wotemu_report.charts.series import dots
from wotemu_report.charts.theme import SIGNED_MS
from wotemu_report.charts.value_axis import value_y
from wotemu_report.formats import VERDICT_TONES, count, in_ms, milliseconds, percent, seconds
from wotemu_report.queries.hop_delays import chance_s, loss_share, unexplained_s
from wotemu_report.queries.node_groups import group_of
from wotemu_report.queries.probe_errors import compared_probes, unexplained_errors
from wotemu_report.queries.ranking import fold
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.folding import folded

_SHORT_S = 0.03
_MAX_ROWS = 400
_LEAST_REASONS = 8
"""More reasons than that are folded by their threshold."""
_LEAD = (
    "Agents probe each other about once a second; these packets are in no other figure. A probe's expected "
    "delay is that of the conditions of its two hops: the sender's up and the receiver's down."
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
    probes = compared_probes(run)
    if probes.height:
        blocks.append(_errors(run, probes))
    return Section("fidelity", "Fidelity", _LEAD, [*blocks, _hops(run, certificate), _machines(certificate)])


def _tiles(certificate: Certificate) -> Tiles:
    reasons = len(certificate.reasons)
    late = max((hop.late_p95_s for hop in certificate.hops if hop.late_p95_s is not None), default=None)
    lost = sum(loss.count for loss in certificate.log_lines_lost)
    tiles = [
        Tile(
            "Verdict",
            certificate.verdict,
            counted(reasons, "reason") if reasons else "no reason against it",
            VERDICT_TONES.get(certificate.verdict, "plain"),
        ),
        Tile("Probes", count(certificate.probes), f"{count(certificate.unjudged)} of them not judged"),
        _delay_error(certificate),
        Tile("Departures late", seconds(late), "p95 of the latest hop's packets"),
        Tile(
            "Changes late", seconds(certificate.changes.late_p95_s), f"p95 of {certificate.changes.planned}"
        ),
        _busiest(certificate),
    ]
    if refused := certificate.changes.refused_by_hand:
        detail = "they could not be applied; judged is what held without them"
        tiles.append(Tile("Changes by hand refused", count(refused), detail, "warn"))
    if lost:
        detail = "of the apps' output; no measurement is missing"
        tiles.append(Tile("Log lines lost", count(lost), detail, "warn"))
    return Tiles(tiles)


def _delay_error(certificate: Certificate) -> Tile:
    """The hop with the largest error for its delay; of short delays the error itself counts."""
    compared = [(hop, delays) for hop in certificate.hops if (delays := hop.delays) is not None]
    if not compared:
        return Tile("Delay error", milliseconds(None), "no probe could be compared")
    hop, delays = max(
        compared, key=lambda pair: abs(unexplained_s(pair[1])) / max(pair[1].expected_s, _SHORT_S)
    )
    figures = f"{seconds(delays.measured_s)} measured, {seconds(delays.expected_s)} expected"
    chance = f" (±{seconds(chance_s(delays))} by jitter)" if chance_s(delays) else ""
    return Tile("Delay error", seconds(unexplained_s(delays)), f"{figures}{chance}: {hop.where}")


def _busiest(certificate: Certificate) -> Tile:
    cpu = max((host.cpu for host in certificate.hosts), default=None)
    steal = max((host.steal for host in certificate.hosts), default=None)
    return Tile("Busiest machine", percent(cpu), f"CPU in use; {percent(steal)} stolen")


def _reasons(certificate: Certificate) -> Table:
    rows = [
        (reason.verdict, reason.what, reason.where, len(reason.affected) or 1, reason.text)
        for reason in certificate.reasons
    ]
    table = Table(
        "Reasons",
        "Each measure that is beyond its threshold; the thresholds are in manifest.json.",
        (
            Column("Verdict", "status"),
            Column("Threshold", "code"),
            Column("Cause", "text", "the gateway, agent or machine at fault"),
            Column("Affected", "int", "hops of the gateway, or agents or machines"),
            Column("Worst case"),
        ),
        rows,
    )
    return folded(table, ["Verdict", "Threshold"], {}, least_rows=_LEAST_REASONS)


def _errors(run: RunData, probes: pl.DataFrame) -> Figure:
    folded, names = fold(probes, "series", pl.len())
    tooltip = tips(
        series="network",
        s="from (s)|.4~r",
        probes="probes",
        expected="expected (ms)|,.4~r",
        off="median error (ms)|,.4~r",
        scatter="jitter explains (ms)|,.4~r",
    )
    y = value_y("error", "longer than expected", label=SIGNED_MS)
    rows = unexplained_errors(run, folded)
    return Figure(
        "Error of delays",
        f"A dot for each network and {run.axis.bin_s} s: how much longer its probes with the least jitter"
        " took than expected, in the median, less what jitter explains. Zero is as the scenario says; above"
        " zero is the emulation's own lateness.",
        [dots(rows, run.axis, y, palette.colors(names), tooltip, size=36, opacity=0.7)],
        run.axis,
        height=150,
    )


_HopCell = Callable[[HopEvidence], object]
_HOP_COLUMNS: tuple[tuple[Column, _HopCell], ...] = (
    (Column("Probes", "int", "that crossed it"), lambda hop: hop.probes),
    (Column("Not judged", "int", "nothing certain could be expected of them"),
     lambda hop: sum(hop.unjudged.values())),
    (Column("Compared", "int", "probes with like expected delays, or all: those that are furthest off"),
     lambda hop: hop.delays.probes if hop.delays else 0),
    (Column("Expected", "ms", "the compared probes' median, both hops together"),
     lambda hop: in_ms(hop.delays.expected_s) if hop.delays else None),
    (Column("Measured", "ms", "the expected delay and the median of the compared probes' errors"),
     lambda hop: in_ms(hop.delays.measured_s) if hop.delays else None),
    (Column("Chance ±", "ms", "how far jitter and clocks alone move the median of so many"),
     lambda hop: in_ms(chance_s(hop.delays)) if hop.delays else None),
    (Column("Error", "ms", "measured less expected, beyond chance"),
     lambda hop: in_ms(unexplained_s(hop.delays)) if hop.delays else None),
    (Column("Loss expected", "percent"), lambda hop: hop.losses.expected if hop.losses else None),
    (Column("Loss", "percent"), lambda hop: loss_share(hop.losses)),
    (Column("Late p95", "ms", "95 % of its packets left at most so late"), lambda hop: in_ms(hop.late_p95_s)),
    (Column("Late max", "ms"), lambda hop: in_ms(hop.late_max_s)),
    (Column("Over rate", "percent", "by how much it sent more than its rate in the worst second"),
     lambda hop: hop.rate_excess),
    (Column("Under rate", "percent", "by how much it sent less than its rate while packets waited"),
     lambda hop: hop.goodput.short if hop.goodput else None),
    (Column("Packets", "int", "of the apps"), lambda hop: hop.packets),
)  # fmt: skip


def _hops(run: RunData, certificate: Certificate) -> Table:
    judged = [(certificate.hop_verdict(hop), hop) for hop in certificate.hops]
    worst_first = sorted(judged, key=lambda pair: -VERDICTS.index(pair[0]))
    groups = group_of(run)
    table = Table(
        "Hops",
        "Delays and losses of probes. Not judged are those that may have waited behind the apps' packets,"
        " that met a change of their delay, an outage or the end of a cut, or were under way at the end.",
        (Column("Hop"), Column("Verdict", "status"), *(column for column, _ in _HOP_COLUMNS)),
        [(hop.where, verdict, *(cell(hop) for _, cell in _HOP_COLUMNS)) for verdict, hop in worst_first],
    )
    places = [f"{groups.get(hop.node, hop.node)}@{hop.network} {hop.direction}" for _, hop in worst_first]
    return folded(table, ["Hop"], {"Hop": places})


def _machines(certificate: Certificate) -> Table:
    columns = (
        Column("Machine"),
        Column("CPU in use", "percent", "of all its cores, on average"),
        Column("CPU stolen", "percent", "by its hypervisor"),
        Column("Clock offset", "ms", "added to its times to get the event bus's clock; the median"),
        Column(
            "Clock uncertainty", "ms", "half of the quickest exchange with the bus, at worst during the run"
        ),
    )
    return Table(
        "Machines",
        "All times in this report are the event bus's: each machine's clock is compared with it all along.",
        columns,
        [
            (host.host, host.cpu, host.steal, in_ms(host.clock_offset_s), in_ms(host.clock_error_s))
            for host in certificate.hosts[:_MAX_ROWS]
        ],
        total=len(certificate.hosts),
    )
