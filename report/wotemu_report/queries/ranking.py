"""Order and selection: natural order of names, the biggest series, a sample of the rows."""

from __future__ import annotations

import polars as pl
from natsort import natsort_keygen, natsorted

from wotemu.records.schemas import Frame
from wotemu_report.queries.packed_keys import packed_key

OTHERS = "others"
MAX_SERIES = 8
"""As many as the palette has colours."""
_SEED = 1


def in_order(frame: pl.DataFrame, *names: str) -> pl.DataFrame:
    """The rows sorted by the columns `names`, with reader-2 before reader-10."""
    natural = natsort_keygen()
    ranks = []
    for name in names:  # each name is taken apart once, not once a row
        cells = frame[name].to_list()
        order = {
            cell: rank for rank, cell in enumerate(sorted(set(cells), key=lambda cell: natural(str(cell))))
        }
        ranks.append(pl.Series(name, [order[cell] for cell in cells], dtype=pl.UInt32))
    numbered = pl.DataFrame(ranks).with_row_index("row_number")
    return frame[numbered.sort(names, maintain_order=True)["row_number"]] if names else frame


def weights(frame: pl.DataFrame | pl.LazyFrame, series: str, weight: pl.Expr) -> pl.DataFrame:
    """The values of the column `series` with their `weight`, the greatest first; ties by name."""
    grouped = frame.lazy().group_by(series).agg(weight.alias("weight"))
    named = grouped.with_columns(pl.col(series).cast(pl.String))
    return named.sort(["weight", series], descending=[True, False]).collect(engine="streaming")


def biggest(
    frame: pl.DataFrame | pl.LazyFrame, series: str, weight: pl.Expr, limit: int = MAX_SERIES
) -> list[str]:
    """The values of the column `series` with the greatest `weight`, at most `limit`, in natural order."""
    return natsorted(weights(frame, series, weight)[series].head(limit).to_list())


def fold(frame: Frame, series: str, weight: pl.Expr, limit: int = MAX_SERIES) -> tuple[Frame, list[str]]:
    """Rename all but the biggest series to ``others``.

    Returns:
        The frame, and the names that its column `series` now has, in order.
    """
    ranked = weights(frame, series, weight)[series]
    if ranked.len() <= limit:
        return frame, natsorted(ranked.to_list())
    kept: list[str] = natsorted(ranked.head(limit - 1).to_list())
    folded = pl.when(pl.col(series).is_in(kept)).then(pl.col(series)).otherwise(pl.lit(OTHERS))
    return frame.with_columns(folded.alias(series)), [*kept, OTHERS]


def with_series(frame: pl.DataFrame, template: str, *columns: str) -> pl.DataFrame:
    """Add `series`: the names in some columns, as `template` (of `polars.format`) puts them together.

    The text is made once for each combination, not for each row.
    """
    key = packed_key(frame, columns)
    numbers = key.frame.select(key.expr.alias("series")).to_series()
    distinct = numbers.unique()
    own = pl.Categorical(pl.Categories.random())
    texts = pl.DataFrame(key.columns(distinct)).select(pl.format(template, *columns).cast(own))
    place = pl.zeros(key.size, dtype=pl.UInt32, eager=True)
    place = place.scatter(distinct, pl.int_range(distinct.len(), dtype=pl.UInt32, eager=True))
    return frame.with_columns(texts.to_series().gather(place.gather(numbers)).alias("series"))


def sample(frame: pl.DataFrame, limit: int) -> pl.DataFrame:
    """At most `limit` rows, chosen at random; the same ones each time, so that two reports of a run agree."""
    return frame if frame.height <= limit else frame.sample(limit, seed=_SEED)
