"""Subscriptions to events and observed properties: the items that they delivered, and their silences."""

from __future__ import annotations

import polars as pl

from wotemu.records import APP, FAILED, LIBRARY
from wotemu_report.queries.interaction_rows import FEW, interaction_rows
from wotemu_report.queries.once_a_run import once_a_run
from wotemu_report.queries.ranking import fold, in_order, with_series
from wotemu_report.queries.time_bins import every_bin, per_bin
from wotemu_report.recorded.run_data import RunData

_KEY = ("node", "thing", "name", "op", "binding")


@once_a_run
def notifications(run: RunData) -> pl.DataFrame:
    """A row for each subscription, item and end of a subscription: the columns of `interaction_rows`.

    What the library does by itself is left out: further long polls, and items that it delivers once more.
    """
    return subscription_rows(run).filter(pl.col("origin") == APP)


@once_a_run  # the file is read once for all that is no request
def subscription_rows(run: RunData) -> pl.DataFrame:
    """`notifications` and what the library does by itself, with the items' `digest`."""
    return interaction_rows(run, pl.col("stage") != "request", (*FEW, "stage", "origin"), ("digest",))


def library_items(run: RunData) -> pl.DataFrame:
    """How often a consumer's library delivered an item once more: `_KEY`, as texts, and `again`."""
    again = subscription_rows(run).filter(
        pl.col("role") == "consumer", pl.col("stage") == "next", pl.col("origin") == LIBRARY
    )
    return again.group_by(_KEY).agg(again=pl.len()).with_columns(pl.col(_KEY).cast(pl.String))


def items_over_time(run: RunData, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Items delivered in each bin.

    Args:
        run: The run, for its time axis and nodes.
        frame: `notifications`.

    Returns:
        `s`, `series` (affordance, node and binding), `count`, and `rate` in items a second; and the series,
        in order.
    """
    columns = ("name", "owner", "binding")
    items = frame.lazy().filter(pl.col("stage") == "next").select("s", *columns).collect()
    items = with_series(items, "{} · {} · {}", *columns)
    folded, names = fold(items, "series", pl.len())
    binned = every_bin(per_bin(folded, run.axis, ["series"], count=pl.len()), run.axis, ["series"], fill=0)
    return binned.with_columns(rate=pl.col("count") / run.axis.bin_s), names


def subscribers(run: RunData, frame: pl.DataFrame) -> pl.DataFrame:
    """A row for each node, affordance and binding, those with the longest silence first.

    Returns:
        The key; `subscriptions`, `items`, `again`, `ended` and `errors`, counts; `first`, when the first item
        came, in seconds since T0; and `silence`, the longest in seconds: between two items, from subscribing
        to the first one, or from the last one to the run's end. A subscription that never delivered was
        silent all the time.
    """
    heard = pl.col("s").filter(pl.col("stage").is_in(["subscribe", "next"])).sort()
    times = pl.col("s").filter(pl.col("stage") == "next")
    return (
        frame.group_by(_KEY)
        .agg(
            subscriptions=(pl.col("stage") == "subscribe").sum(),
            items=(pl.col("stage") == "next").sum(),
            ended=(pl.col("stage") == "end").sum(),
            errors=(pl.col("status") == FAILED).sum(),
            first=times.min(),
            last=heard.max(),
            gap=heard.diff().max(),
        )
        .with_columns(pl.col(_KEY).cast(pl.String))
        .join(library_items(run), on=_KEY, how="left")
        .with_columns(pl.col("again").fill_null(0))
        .with_columns(silence=pl.max_horizontal("gap", run.axis.end_s - pl.col("last")))
        .pipe(in_order, *_KEY)
        .sort("silence", descending=True, nulls_last=False, maintain_order=True)
    )


def emissions_over_time(run: RunData) -> tuple[pl.DataFrame, list[str]]:
    """What Things emitted in each bin.

    Returns:
        `s`, `series` (affordance and node), `count`, and `rate` in emissions a second; and the series, in
        order.
    """
    emitted = run.tables["emissions"].select("s", series=pl.format("{} · {}", "name", "group"))
    folded, names = fold(emitted, "series", pl.len())
    binned = every_bin(per_bin(folded, run.axis, ["series"], count=pl.len()), run.axis, ["series"], fill=0)
    return binned.with_columns(rate=pl.col("count") / run.axis.bin_s), names


def emission_totals(run: RunData) -> pl.DataFrame:
    """A row for each event and observable property that a Thing emitted something of.

    Returns:
        `node`, `thing`, `affordance`, `name`; `count`; `first` and `last` in seconds since T0; and `bytes`,
        the mean size of a payload.
    """
    key = ("node", "thing", "affordance", "name")
    found = (
        run.tables["emissions"]
        .group_by(key)
        .agg(count=pl.len(), first=pl.col("s").min(), last=pl.col("s").max(), bytes=pl.col("bytes").mean())
        .collect(engine="streaming")
    )
    return in_order(found, *key)
