"""Durations of many subjects, counted by block and bin: percentiles of weighted blocks, and effect sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from wotemu_report.comparison.bootstrap import parts, weighted

_CELLS_AT_ONCE = 2**19
"""Rows of durations whose counts are summed up for each block at once: the memory that this takes."""
FAILED_BIN = 2**16 - 1
"""Stands for requests that failed where durations are ranked: longer than all others."""


def percentiles(
    cells: pl.DataFrame, subjects: int, shares: Mapping[str, float], drawn: pl.DataFrame
) -> dict[str, pl.Series]:
    """Nearest-rank percentiles of each subject for each row of weights.

    Args:
        cells: `subject` (from 0 on, in order), `bin` (in order for each subject), `block` and `count`.
        subjects: How many there are.
        shares: The percentiles by their names, as shares (0 to 1).
        drawn: `bootstrap.weights`.

    Returns:
        For each percentile the bins of the first subject, then those of the second one, and so on; null where
        blocks with these weights have no duration.
    """
    found: dict[str, list[pl.Series]] = {name: [pl.Series(name, [], pl.UInt32)] for name in shares}
    ends = cells["subject"].search_sorted(pl.int_range(subjects, eager=True), side="right")
    for first, last in _chunks(ends.to_list()):
        start = int(ends[first - 1]) if first else 0
        some = cells[start : int(ends[last - 1])]
        local = ends[first:last].cast(pl.Int64) - start
        for name, series in _of_chunk(some, local, shares, drawn).items():
            found[name].append(series)
    return {name: pl.concat(each) for name, each in found.items()}


def _chunks(ends: list[int]) -> Iterator[tuple[int, int]]:
    """Ranges of subjects with at most `_CELLS_AT_ONCE` cells, or one subject."""
    first, start = 0, 0
    for number, end in enumerate(ends):
        if end - start > _CELLS_AT_ONCE and number > first:
            yield first, number
            first, start = number, ends[number - 1]
    if first < len(ends):
        yield first, len(ends)


def _of_chunk(
    cells: pl.DataFrame, ends: pl.Series, shares: Mapping[str, float], drawn: pl.DataFrame
) -> dict[str, pl.Series]:
    blocks = drawn.width
    # A count of zero before the first cell: sums up to a cell, less those up to the cell before a subject.
    sums = [
        pl.concat([pl.Series([0], dtype=pl.Int64), each])
        for each in cells.select(
            pl.when(pl.col("block") == block)
            .then("count")
            .otherwise(0)
            .cast(pl.Int64)
            .cum_sum()
            .alias(f"{block}")
            for block in range(blocks)
        ).get_columns()
    ]
    starts = ends.shift(1).fill_null(0)
    before = {f"u{block}": each.gather(starts) for block, each in enumerate(sums)}
    inside = {f"v{block}": each.gather(ends) - each.gather(starts) for block, each in enumerate(sums)}
    frame = pl.DataFrame({"low": starts + 1, "high": ends, **before, **inside})
    bins = pl.concat([pl.Series([0], dtype=pl.UInt32), cells["bin"].cast(pl.UInt32)])
    found: dict[str, list[pl.Series]] = {name: [] for name in shares}
    for part in parts(frame.height, drawn.height):
        probes = (
            frame[part]
            .lazy()
            .join(drawn.lazy(), how="cross", maintain_order="left_right")
            .with_columns(total=weighted("v", blocks), passed=weighted("u", blocks))
            .select("low", "high", "total", "passed", *drawn.columns)
            .collect()
        )
        for name, share in shares.items():
            found[name].append(_reached(probes, sums, share, bins))
    return {name: pl.concat(each) for name, each in found.items()}


def _reached(probes: pl.DataFrame, sums: list[pl.Series], share: float, bins: pl.Series) -> pl.Series:
    """The bin in which the weighted count of each probe reaches its rank; `low` to `high` is halved."""
    rank = (pl.col("total") * share).ceil().cast(pl.Int64).clip(1)
    wanted = probes.select(rank + pl.col("passed")).to_series()
    low, high = probes["low"], probes["high"]
    columns = [probes[f"w{block}"] for block in range(len(sums))]
    while bool((low < high).any()):
        middle = (low + high) // 2
        count = sum(
            (each.gather(middle) * weight for each, weight in zip(sums, columns, strict=True)), wanted * 0
        )
        reached = count >= wanted
        halves = pl.DataFrame({"low": low, "high": high, "middle": middle, "reached": reached}).select(
            low=pl.when("reached").then("low").otherwise(pl.min_horizontal(pl.col("middle") + 1, "high")),
            high=pl.when("reached").then("middle").otherwise("high"),
        )
        low, high = halves["low"], halves["high"]
    held = pl.DataFrame({"bin": bins.gather(high.clip(0, bins.len() - 1)), "total": probes["total"]})
    return held.select(pl.when(pl.col("total") > 0).then("bin")).to_series()


def cliffs_deltas(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """How much more often a value of `after` is larger than one of `before` than it is smaller: -1 to 1.

    Args:
        before, after: `subject`, `bin` and `count`.

    Returns:
        `subject` and `delta`, null where one has no value.
    """
    counts = pl.concat(
        [
            before.select("subject", "bin", before=pl.col("count").cast(pl.Int64), after=pl.lit(0, pl.Int64)),
            after.select("subject", "bin", before=pl.lit(0, pl.Int64), after=pl.col("count").cast(pl.Int64)),
        ]
    )
    place = pl.col("subject").cast(pl.UInt64) * 2**32 + pl.col("bin").cast(pl.UInt64)
    merged = counts.group_by(place=place).agg(pl.col("before", "after").sum()).sort("place")
    summed = merged.with_columns(
        subject=(pl.col("place") // 2**32).cast(pl.UInt32),
        below_before=pl.col("before").cum_sum() - pl.col("before"),
        below_after=pl.col("after").cum_sum() - pl.col("after"),
    )
    # Sums run through all subjects: what came before a subject's first row is none of its own.
    below = {name: pl.col(f"below_{name}") - pl.col(f"below_{name}").first() for name in ("before", "after")}
    larger = (pl.col("after") * below["before"]).sum() - (pl.col("before") * below["after"]).sum()
    pairs = pl.col("before").sum() * pl.col("after").sum()
    return summed.group_by("subject", maintain_order=True).agg(
        delta=pl.when(pairs > 0).then(larger.cast(pl.Float64) / pairs)
    )
