"""The rows of `interactions` that figures need, in memory: names as categories, a fifth of the table's size.

Exact percentiles need all durations at once. So kept, ten million rows take 350 MB, and each figure reads
them without decoding the file again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from wotemu_report.axis import BEFORE_T0
from wotemu_report.recorded.run_data import RunData

NAMES = ("node", "thing", "name", "peer", "error")
"""Columns of which a run may have any number of values."""
FEW = ("role", "affordance", "op", "binding", "status", "code")
"""Columns that have few values. Each takes 20 ms of CPU a million rows to be read."""


def interaction_rows(
    run: RunData, chosen: pl.Expr, few: Sequence[str] = FEW, more: Sequence[str] = ()
) -> pl.DataFrame:
    """The interactions that `chosen` selects.

    Args:
        run: The run.
        chosen: Which ones.
        few: Columns that have few values.
        more: Columns of the table to keep as they are.

    Returns:
        Of each: `s`; `ms`, its duration in milliseconds; `phase_no`; `phase`; `owner` and `group`, the node
        of the topology that measured it; and the columns `NAMES` and `few`. All names are categories.
    """
    # Two bytes a name are enough for almost every run: a run with more than 65,535 names takes four.
    for many_names, few_names in ((pl.UInt16, pl.UInt8), (pl.UInt32, pl.UInt32)):
        kinds = dict.fromkeys(NAMES, many_names) | dict.fromkeys(few, few_names)
        try:
            return _collected(run, chosen, kinds, more)
        except pl.exceptions.ComputeError:
            if many_names == pl.UInt32:
                raise
    raise AssertionError


Physical = type[pl.UInt8 | pl.UInt16 | pl.UInt32]


def _category(physical: Physical) -> pl.Categorical:
    # Of this column alone: categories of the same name are shared by all frames of a process, and a column's
    # numbers are small only if no other one has its names among them.
    return pl.Categorical(pl.Categories.random(physical=physical))


def _collected(
    run: RunData, chosen: pl.Expr, kinds: Mapping[str, Physical], more: Sequence[str]
) -> pl.DataFrame:
    """The rows, with the columns of `kinds` as categories whose numbers are of these types."""
    rows = (
        run.tables["interactions"]
        .filter(chosen)
        .select(
            "s",
            pl.col("duration").alias("ms") * 1000.0,
            pl.col("phase_no").cast(pl.Int16),
            *(pl.col(name).fill_null("").cast(_category(kind)) for name, kind in kinds.items()),
            *more,
        )
        .collect(engine="streaming")
    )
    names = kinds["node"]
    owners = run.manifest.node_of()
    owner = pl.col("node").replace_strict(owners, default=pl.col("node"), return_dtype=_category(names))
    phases = {-1: BEFORE_T0, **{number: span.name for number, span in enumerate(run.axis.phases)}}
    phase = pl.col("phase_no").replace_strict(phases, return_dtype=_category(names))
    return rows.with_columns(owner=owner, phase=phase).with_columns(group="owner")
