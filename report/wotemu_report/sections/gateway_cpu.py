"""CPU and packets of the gateways: whether one of them filled its core."""

from __future__ import annotations

import polars as pl

from wotemu_report.blocks import Block, Column, Empty, Figure, Table
from wotemu_report.charts import palette
from wotemu_report.charts.layers import tips
from wotemu_report.charts.series import lines
from wotemu_report.charts.value_axis import value_y
from wotemu_report.queries.gateway_load import gateway_totals, gateways_over_time
from wotemu_report.queries.ranking import MAX_SERIES
from wotemu_report.recorded.run_data import RunData

_MAX_ROWS = 200
_OF_TUN = "A network's gateway is one process: near 100 % packets wait for it, whatever the conditions say."
_OF_NETEM = "With netem the kernel moves the packets: its gateways' CPU is of changes and counters alone."


def gateway_blocks(run: RunData) -> list[Block]:
    """CPU and packets of the gateways over time, and a row for each."""
    totals = gateway_totals(run)
    if not totals.height:
        return [Empty("Gateways", "The gateways' own load was not recorded.")]
    return [*_over_time(run, totals), _table(totals)]


def _over_time(run: RunData, totals: pl.DataFrame) -> tuple[Figure, Figure]:
    networks = totals["network"].head(MAX_SERIES).to_list()
    rows = gateways_over_time(run, networks)
    colors = palette.colors(networks)
    which = f" The {MAX_SERIES} busiest of {totals.height} gateways." if totals.height > MAX_SERIES else ""
    mean = f"mean per {run.axis.bin_s} s.{which}"
    cpu = tips(series="network", s="from (s)|~r", cpu="CPU (%)|,.3~r")
    rate = tips(series="network", s="from (s)|~r", rate="packets/s|,.4~r")
    return (
        Figure(
            "CPU per gateway",
            f"Percent of one core, {mean} {_explained(totals)}",
            [lines(rows, run.axis, value_y("cpu", "% of one core"), colors, cpu)],
            run.axis,
            height=160,
            half=True,
        ),
        Figure(
            "Packets per gateway",
            f"Packets a second that nodes sent on the network, dropped ones and probes included, {mean}",
            [lines(rows, run.axis, value_y("rate", "packets/s"), colors, rate)],
            run.axis,
            height=160,
            half=True,
        ),
    )


def _explained(totals: pl.DataFrame) -> str:
    by_kernel = totals["shaper"] == "netem"
    texts = [] if by_kernel.all() else [_OF_TUN]
    return " ".join([*texts, _OF_NETEM] if by_kernel.any() else texts)


def _table(totals: pl.DataFrame) -> Table:
    return Table(
        "Gateways",
        "The one with the busiest second first. CPU in percent of one core.",
        (
            Column("Network"),
            Column("Shaper"),
            Column("CPU mean %", "number"),
            Column("CPU p95 %", "number"),
            Column("CPU max %", "number"),
            Column("Packets/s mean", "number"),
            Column("Packets/s max", "number"),
        ),
        totals.head(_MAX_ROWS).rows(),
        total=totals.height,
    )
