"""Broker: what the MQTT brokers published about themselves."""

from __future__ import annotations

import polars as pl

from wotemu_report.blocks import Block, Empty, Section
from wotemu_report.queries.reported_values import last_values_over_time
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections.app_metrics import totals_table, value_chart

_CHARTED = ("clients/connected", "messages/received", "messages/sent", "bytes/received", "bytes/sent")
_MAX_CHARTS = 8


def section(run: RunData) -> Section:
    """Charts of the brokers' main $SYS figures, and a table of all."""
    figures = run.tables["broker"]
    if not run.rows["broker"]:
        return Section("broker", "Broker", "", [Empty("", _none(run))])
    found = figures.select(pl.col("key").unique().sort()).collect(engine="streaming")["key"]
    keys = [str(key) for key in found if str(key).endswith(_CHARTED)]
    blocks: list[Block] = []
    for key in keys[:_MAX_CHARTS]:
        rows, brokers = last_values_over_time(run, figures.filter(pl.col("key") == key))
        caption = f"The last value of {key} in each {run.axis.bin_s} s."
        blocks.append(value_chart(run, key, caption, rows, brokers, subject="broker", zero=True))
    return Section(
        "broker", "Broker", "As brokers publish them under $SYS.", [*blocks, totals_table(run, figures)]
    )


def _none(run: RunData) -> str:
    brokers = [replica.name for replica in run.manifest.replicas if replica.kind == "broker"]
    return "The broker published no figures under $SYS." if brokers else "The topology has no MQTT broker."
