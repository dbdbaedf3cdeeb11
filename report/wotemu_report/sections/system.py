"""CPU and memory of the apps, and the load of the machine that emulated them."""

from __future__ import annotations

import altair as alt
import polars as pl

from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table
from wotemu_report.charts import palette
from wotemu_report.charts import series as charts
from wotemu_report.charts.series import Layer
from wotemu_report.queries.frames import (
    MAX_SERIES,
    biggest,
    broken_at_gaps,
    in_order,
    natural,
    per_bin,
    rounded,
)
from wotemu_report.recorded.dataset import RunData

_MAX_ROWS = 200
_LEAD = "Sampled by each node's agent from its app's processes; CPU is in percent of one core."


def section(run: RunData) -> Section:
    """What the apps and the machine used."""
    samples = run.tables["system"]
    blocks: list[Block] = []
    if samples.height:
        blocks += [_cpu(run, samples), _memory(run, samples), _table(samples)]
    else:
        blocks.append(Empty("Nodes", "No agent reported a sample."))
    return Section("system", "System", _LEAD, [*blocks, _host(run)])


def usage(run: RunData, samples: pl.DataFrame) -> pl.DataFrame:
    """Means in each bin of the nodes that used most CPU.

    Columns `s`, `series` (the node), `cpu`, `mem` and their limits.
    """
    busiest = biggest(samples, "node", pl.col("cpu_percent").mean(), MAX_SERIES)
    kept = samples.filter(pl.col("node").is_in(busiest)).with_columns(series="node")
    binned = per_bin(
        kept,
        run.axis,
        ["series"],
        cpu=pl.col("cpu_percent").mean(),
        cpu_limit=pl.col("cpu_limit_percent").min(),
        mem=pl.col("mem_bytes").mean(),
        mem_limit=pl.col("mem_limit_bytes").min(),
    )
    return broken_at_gaps(binned, ["series"])


def _cpu(run: RunData, samples: pl.DataFrame) -> Figure:
    frame = rounded(usage(run, samples))
    names = palette.colors(sorted(frame["series"].unique(), key=natural))
    tips = charts.tips(series="node", s="from (s)|~r", cpu="CPU (%)|,.3~r", cpu_limit="limit (%)|,.3~r")
    y = charts.value_y("cpu", "% of one core")
    layers = [*charts.lines(frame, run.axis, y, names, tips), *_limits(run, frame, "cpu_limit", names)]
    return Figure(
        "CPU per node",
        f"Percent of one core, mean per {run.axis.bin_s} s; dashed: the node's limit.{_which(samples)}",
        charts.over_time(run.axis, layers, height=160, half=True),
        half=True,
    )


def _memory(run: RunData, samples: pl.DataFrame) -> Figure:
    frame = rounded(usage(run, samples))
    names = palette.colors(sorted(frame["series"].unique(), key=natural))
    tips = charts.tips(series="node", s="from (s)|~r", mem="resident (bytes)|,.4~s", mem_limit="limit|,.4~s")
    y = charts.value_y("mem", "resident", label=charts.SIZE)
    layers = [*charts.lines(frame, run.axis, y, names, tips), *_limits(run, frame, "mem_limit", names)]
    return Figure(
        "Memory per node",
        f"Resident memory, mean per {run.axis.bin_s} s; dashed: the node's limit.{_which(samples)}",
        charts.over_time(run.axis, layers, height=160, half=True),
        half=True,
    )


def _which(samples: pl.DataFrame) -> str:
    count = samples["node"].n_unique()
    return f" The {MAX_SERIES} busiest of {count} nodes." if count > MAX_SERIES else ""


def _limits(run: RunData, frame: pl.DataFrame, field: str, names: dict[str, str]) -> list[Layer]:
    limited = frame.filter(pl.col(field).is_not_null()).select("s", "series", field)
    if not limited.height:
        return []
    rule = alt.Chart(charts.data(limited)).mark_line(strokeDash=[5, 4], strokeWidth=1, opacity=0.7, clip=True)
    y = alt.Y(field, type="quantitative")
    return [rule.encode(x=charts.time_x(run.axis), y=y, color=charts.series_color(names))]


def node_totals(samples: pl.DataFrame) -> pl.DataFrame:
    """A row for each node.

    CPU mean, p95 and greatest in percent, memory mean and greatest, and the limits.
    """
    return (
        samples.group_by("node")
        .agg(
            cpu_mean=pl.col("cpu_percent").mean(),
            cpu_p95=pl.col("cpu_percent").quantile(0.95, "linear"),
            cpu_max=pl.col("cpu_percent").max(),
            cpu_limit=pl.col("cpu_limit_percent").min(),
            mem_mean=pl.col("mem_bytes").mean(),
            mem_max=pl.col("mem_bytes").max(),
            mem_limit=pl.col("mem_limit_bytes").min(),
            processes=pl.col("processes").max(),
        )
        .pipe(in_order, "node")
    )


def _table(samples: pl.DataFrame) -> Table:
    rows = node_totals(samples)
    return Table(
        "Nodes",
        "CPU in percent of one core; memory resident.",
        (
            Column("Node"),
            Column("CPU mean %", "number"),
            Column("CPU p95 %", "number"),
            Column("CPU max %", "number"),
            Column("CPU limit %", "number"),
            Column("Memory mean", "bytes"),
            Column("Memory max", "bytes"),
            Column("Memory limit", "bytes"),
            Column("Processes", "int"),
        ),
        rows.head(_MAX_ROWS).rows(),
        total=rows.height,
        filterable=rows.height > 12,
    )


_LOADS = {"CPU used": "cpu_percent", "CPU stolen": "steal_percent", "memory used": "mem_percent"}


def _load_order(series: str) -> tuple[int, str]:
    return next(number for number, label in enumerate(_LOADS) if series.endswith(label)), series


def host_load(run: RunData) -> pl.DataFrame:
    """Percentages of the machine in each bin: `s`, `series`, `percent`; several machines are named."""
    hosts = run.tables["host"].with_columns(
        mem_percent=100.0 * pl.col("mem_used_bytes") / pl.col("mem_total_bytes")
    )
    several = hosts["host"].n_unique() > 1
    long = pl.concat(
        hosts.select(
            "s",
            series=pl.format("{} · {}", "host", pl.lit(label)) if several else pl.lit(label),
            percent=pl.col(column).cast(pl.Float64),
        )
        for label, column in _LOADS.items()
    )
    return broken_at_gaps(per_bin(long, run.axis, ["series"], percent=pl.col("percent").mean()), ["series"])


def _host(run: RunData) -> Block:
    if not run.tables["host"].height:
        return Empty("Machine", "The machine's own load was not recorded.")
    frame = rounded(host_load(run))
    names = palette.colors(sorted(frame["series"].unique(), key=_load_order))
    tips = charts.tips(series="", s="from (s)|~r", percent="%|,.3~r")
    y = charts.value_y("percent", "% of the machine", top=100)
    return Figure(
        "Load of the machine",
        "Of all its cores and memory. Where the CPU is near 100 %, or stolen by other guests, "
        "durations and lateness "
        "say more about this machine than about the deployment.",
        charts.over_time(run.axis, charts.lines(frame, run.axis, y, names, tips), height=130),
    )
