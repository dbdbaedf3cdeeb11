"""Counts and nearest-rank percentiles of many groups by one sort of all rows.

A row becomes one number: the number of its group, then its value, scaled by a power of two, so that no more
than the last of 2**38 parts of the largest value is rounded. Sorting ten million such numbers takes
less than half of the time of selecting five ranks in each group.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import polars as pl

from wotemu_report.queries.nearest_rank import nearest_rank
from wotemu_report.queries.packed_keys import packed_key

_LEAST_SCALE = 2.0**14
"""Values are packed if they are kept at least so exact: a duration in ms to 60 ns."""


def ranked(
    frame: pl.DataFrame,
    by: Sequence[str],
    shares: Mapping[str, float],
    *,
    took: pl.Expr,
    where: pl.Expr | None = None,
    unanswered: float | None = None,
) -> pl.DataFrame:
    """The number of rows and percentiles of each group.

    Args:
        frame: The rows.
        by: Columns of categories, texts or integers.
        shares: The percentiles by their names, as shares (0 to 1) of the rows.
        took: A row's value, 0 or more; null where it was not answered.
        where: Which rows; None: all.
        unanswered: What counts as the value of rows that were not answered; None: they do not count.

    Returns:
        `by`, names as text; `count`; `failed`, those that were not answered; and the percentiles, null where
        no value counts.
    """
    key = packed_key(frame, by)
    room = min(63, 64 - (key.size - 1).bit_length())
    top = 2**room - 1
    most = key.frame.lazy().select(took.filter(took.is_finite()).max()).collect(engine="streaming")
    scale = _scale(most.item(), top)
    if scale < _LEAST_SCALE:
        return _selected(frame, by, shares, took, where, unanswered)
    # What is no number of this range, as NaN, counts as not answered.
    value = (took.clip(lower_bound=0.0) * scale).round().cast(pl.UInt64, strict=False).fill_null(top)
    number = (key.expr * 2**room + value).alias("packed")
    # Numbers are filtered, not rows: those of the requests have twenty columns.
    chosen = number if where is None else number.filter(where)
    packed = key.frame.lazy().select(chosen).collect().to_series()
    # With several threads it takes twice the CPU time; two parts of a page are made at the same time instead.
    packed = packed.sort(in_place=True, multithreaded=False)
    runs = (packed // 2**room).rle().struct.unnest()
    number, count = runs["value"], runs["len"].cast(pl.Int64)
    start = count.cum_sum() - count
    answered = packed.search_sorted(number * 2**room + top).cast(pl.Int64) - start
    counted = answered if unanswered is None else count
    found = {"count": count, "failed": count - answered}
    for name, share in shares.items():
        rank = (counted * share).ceil().cast(pl.Int64).clip(1) - 1
        held = rank < answered
        place = (start + rank).set(~held, 0) if held.len() else start
        values = (packed.gather(place) % 2**room).cast(pl.Float64) / scale
        found[name] = pl.select(pl.when(held).then(values).otherwise(unanswered)).to_series()
    return pl.DataFrame([*key.columns(number), *(each.alias(name) for name, each in found.items())])


def _selected(
    frame: pl.DataFrame,
    by: Sequence[str],
    shares: Mapping[str, float],
    took: pl.Expr,
    where: pl.Expr | None,
    unanswered: float | None,
) -> pl.DataFrame:
    """The same by selecting ranks in each group: beside a value of years, packed ones would round to zero."""
    value = took.fill_nan(None).clip(lower_bound=0.0)
    known = pl.when(value.is_finite()).then(value)
    rows = frame.lazy() if where is None else frame.lazy().filter(where)
    counted = pl.col("_took").fill_null(unanswered) if unanswered is not None else pl.col("_took")
    figures = {name: nearest_rank(counted, share) for name, share in shares.items()}
    found = (
        rows.select(*by, _took=known)
        .group_by(by or [pl.lit(0).alias("_all")])
        .agg(count=pl.len().cast(pl.Int64), failed=pl.col("_took").is_null().sum().cast(pl.Int64), **figures)
        .collect()
    )
    return found.select(pl.exclude("_all")).with_columns(pl.selectors.categorical().cast(pl.String))


def _scale(most: float | None, top: int) -> float:
    """The largest power of two by which all values up to `most` stay below `top`."""
    return 2.0 ** math.floor(math.log2((top - 1) / max(most or 0.0, 1.0)))
