"""What several figures do with a frame: keep its biggest series, sum into bins, sample, break lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from wotemu_report.axis import Axis

OTHERS = "others"
MAX_SERIES = 8
_SEED = 1
_PARTS = re.compile(r"(\D*)(\d*)")


def natural(name: str) -> tuple[tuple[str, int], ...]:
    """A sort key that has reader-2 before reader-10."""
    return tuple((text, int(digits or 0)) for text, digits in _PARTS.findall(name))


def in_order(frame: pl.DataFrame, *names: str) -> pl.DataFrame:
    """The rows sorted by the columns `names`, numbers within their texts as numbers."""
    keys = [tuple(natural(str(cell)) for cell in row) for row in frame.select(names).iter_rows()]
    return frame[sorted(range(frame.height), key=keys.__getitem__)]


def biggest(frame: pl.DataFrame, series: str, weight: pl.Expr, limit: int = MAX_SERIES) -> list[str]:
    """The values of `series` with the greatest `weight`, at most `limit`, by name."""
    ranked = (
        frame.group_by(series).agg(weight.alias("weight")).sort(["weight", series], descending=[True, False])
    )
    return sorted((str(name) for name in ranked[series].head(limit)), key=natural)


def fold(
    frame: pl.DataFrame, series: str, weight: pl.Expr, limit: int = MAX_SERIES
) -> tuple[pl.DataFrame, list[str]]:
    """Name all but the biggest series ``others``.

    Returns the frame and the names that it now holds, in order.
    """
    if frame[series].n_unique() <= limit:
        return frame, sorted((str(name) for name in frame[series].unique()), key=natural)
    kept = biggest(frame, series, weight, limit - 1)
    folded = pl.when(pl.col(series).is_in(kept)).then(pl.col(series)).otherwise(pl.lit(OTHERS))
    return frame.with_columns(folded.alias(series)), [*kept, OTHERS]


def per_bin(frame: pl.DataFrame, axis: Axis, by: Sequence[str], **values: pl.Expr) -> pl.DataFrame:
    """`values` aggregated per bin of the axis and `by`, with the bin's start as `s`.

    Rows off the axis are left out.
    """
    return (
        frame.filter(axis.shown())
        .with_columns(s=pl.min_horizontal(axis.binned(), pl.lit(axis.bins[-1])))
        .group_by(["s", *by])
        .agg(**values)
        .sort(["s", *by])
    )


def every_bin(binned: pl.DataFrame, axis: Axis, by: Sequence[str], fill: float | None = None) -> pl.DataFrame:
    """A row for every bin and series that occurs.

    What they lack is `fill`: zero where a count had nothing to count.
    """
    grid = pl.DataFrame({"s": axis.bins}, schema={"s": pl.Float64}).join(
        binned.select(by).unique(), how="cross"
    )
    full = grid.join(binned, on=["s", *by], how="left").sort(["s", *by])
    return full if fill is None else full.with_columns(pl.exclude(["s", *by]).fill_null(fill))


def broken_at_gaps(binned: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """A null row in each gap of a series that is over three times as wide as its usual one.

    So its line breaks where it had nothing to tell, however slowly it was sampled.
    """
    step = pl.col("s").diff().over(by)
    gaps = (
        binned.sort([*by, "s"]).with_columns(step=step).with_columns(usual=pl.col("step").median().over(by))
    )
    wide = gaps.filter(pl.col("step") > 3 * pl.col("usual"))
    breaks = wide.select(*by, s=pl.col("s") - pl.col("step") / 2)
    return pl.concat([binned, breaks], how="diagonal").sort(["s", *by])


def sample(frame: pl.DataFrame, limit: int) -> pl.DataFrame:
    """At most `limit` rows, the same ones each time."""
    return frame if frame.height <= limit else frame.sample(limit, seed=_SEED)


def rounded(frame: pl.DataFrame, digits: int = 4) -> pl.DataFrame:
    """Floats with `digits` significant digits, so that a page stays small."""
    return frame.with_columns(pl.selectors.float().exclude("s").round_sig_figs(digits), pl.col("s").round(3))
