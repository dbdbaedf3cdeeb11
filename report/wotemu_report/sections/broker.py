"""What the MQTT brokers published about themselves."""

from __future__ import annotations

import polars as pl

from wotemu_report.blocks import Block, Empty, Figure, Section
from wotemu_report.charts import palette, series
from wotemu_report.queries.frames import broken_at_gaps, fold, per_bin, rounded
from wotemu_report.recorded.dataset import RunData
from wotemu_report.sections.app_metrics import totals

_WANTED = ("clients/connected", "messages/received", "messages/sent", "bytes/received", "bytes/sent")


def section(run: RunData) -> Section:
    """The brokers' $SYS figures."""
    figures = run.tables["broker"]
    if not figures.height:
        return Section("broker", "Broker", "", [Empty("", _none(run))])
    keys = [str(key) for key in figures["key"].unique().sort() if str(key).endswith(_WANTED)]
    blocks: list[Block] = [_figure(run, figures.filter(pl.col("key") == key), key) for key in keys[:8]]
    return Section("broker", "Broker", "As brokers say it under $SYS.", [*blocks, totals(figures)])


def _none(run: RunData) -> str:
    brokers = [replica.name for replica in run.manifest.replicas if replica.kind == "broker"]
    return "The broker published no figures under $SYS." if brokers else "The topology has no MQTT broker."


def _figure(run: RunData, figures: pl.DataFrame, key: str) -> Figure:
    folded, names = fold(figures.with_columns(series="node"), "series", pl.len())
    binned = per_bin(folded, run.axis, ["series"], value=pl.col("value").last())
    frame = rounded(broken_at_gaps(binned, ["series"]))
    tips = series.tips(series="broker", s="from (s)|~r", value="value|,.4~r")
    layers = series.lines(frame, run.axis, series.value_y("value", "value"), palette.colors(names), tips)
    return Figure(
        key,
        f"The last value of {key} in each {run.axis.bin_s} s.",
        series.over_time(run.axis, layers, height=120, half=True),
        half=True,
    )
