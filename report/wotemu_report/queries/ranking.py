"""Order and selection: natural order of names, the biggest series, a sample of the rows."""

from __future__ import annotations

import polars as pl
from natsort import natsort_keygen, natsorted

OTHERS = "others"
MAX_SERIES = 8
"""As many as the palette has colours."""
_SEED = 1


def in_order(frame: pl.DataFrame, *names: str) -> pl.DataFrame:
    """The rows sorted by the columns `names`, with reader-2 before reader-10."""
    natural = natsort_keygen()
    keys = [tuple(natural(str(cell)) for cell in row) for row in frame.select(names).iter_rows()]
    return frame[sorted(range(frame.height), key=keys.__getitem__)]


def biggest(frame: pl.DataFrame, series: str, weight: pl.Expr, limit: int = MAX_SERIES) -> list[str]:
    """The values of the column `series` with the greatest `weight`, at most `limit`, in natural order."""
    ranked = (
        frame.group_by(series).agg(weight.alias("weight")).sort(["weight", series], descending=[True, False])
    )
    return natsorted(str(name) for name in ranked[series].head(limit))


def fold(
    frame: pl.DataFrame, series: str, weight: pl.Expr, limit: int = MAX_SERIES
) -> tuple[pl.DataFrame, list[str]]:
    """Rename all but the biggest series to ``others``.

    Returns:
        The frame, and the names that its column `series` now has, in order.
    """
    if frame[series].n_unique() <= limit:
        return frame, natsorted(str(name) for name in frame[series].unique())
    kept = biggest(frame, series, weight, limit - 1)
    folded = pl.when(pl.col(series).is_in(kept)).then(pl.col(series)).otherwise(pl.lit(OTHERS))
    return frame.with_columns(folded.alias(series)), [*kept, OTHERS]


def sample(frame: pl.DataFrame, limit: int) -> pl.DataFrame:
    """At most `limit` rows, chosen at random; the same ones each time, so that two reports of a run agree."""
    return frame if frame.height <= limit else frame.sample(limit, seed=_SEED)


def sample_each(frame: pl.DataFrame, series: str, value: str, limit: int) -> pl.DataFrame:
    """At most `limit` rows, as many of each series, with the greatest values of each among them.

    A tenth of a series' rows are those with its greatest `value`, at least one; the others are chosen at
    random, the same ones each time.
    """
    if frame.height <= limit:
        return frame
    quota = max(2, limit // frame[series].n_unique())
    chance = pl.int_range(pl.len()).shuffle(_SEED)
    rank = pl.col(value).rank("ordinal", descending=True).over(series)
    tail = max(1, quota // 10)
    numbered = frame.with_columns(chance=chance, rank=rank)
    order = pl.when(pl.col("rank") <= tail).then(-1).otherwise("chance").rank("ordinal").over(series)
    return numbered.filter(order <= quota).drop("chance", "rank")
