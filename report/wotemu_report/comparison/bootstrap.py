"""How far a figure would vary: its standard error, by resampling blocks of time, or whole runs.

Requests that follow each other share the state of queues and networks, so that single requests can't be
resampled: blocks of them can (Künsch, Annals of Statistics 17, 1989).

All figures of a phase have the same number of blocks and are resampled with the same weights, so that each
step is one operation on columns: a row for each figure and resample.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import lru_cache

import polars as pl

RESAMPLES = 400
"""The standard error's own error is then about 3.5 %."""
_ROWS_AT_ONCE = 2**18
"""What bounds the memory: so many rows of figures and resamples are made at once."""


def resamples(blocks: int, seed: int, count: int = RESAMPLES) -> Iterator[list[int]]:
    """Weights of blocks that are drawn with replacement, as many as there are."""
    dice = random.Random(seed)  # noqa: S311  # statistics, not secrets
    for _ in range(count):
        weights = [0] * blocks
        for drawn in dice.choices(range(blocks), k=blocks):
            weights[drawn] += 1
        yield weights


@lru_cache(maxsize=64)
def weights(blocks: int, seed: int, count: int = RESAMPLES) -> pl.DataFrame:
    """How often each block counts: a column for each block, ``w0`` on.

    The first row is of the blocks as they are, each once; `count` resamples follow.
    """
    rows = [[1] * blocks, *resamples(blocks, seed, count)]
    schema = {f"w{block}": pl.Int64 for block in range(blocks)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def weighted(prefix: str, blocks: int) -> pl.Expr:
    """The sum of values of blocks, in columns of that prefix, each as often as its block counts."""
    total = pl.lit(0)
    for block in range(blocks):
        total = total + pl.col(f"{prefix}{block}") * pl.col(f"w{block}")
    return total


def parts(rows: int, draws: int) -> Iterator[slice]:
    """Slices of `rows` figures, so that each has few enough rows with all its draws."""
    step = max(1, _ROWS_AT_ONCE // draws)
    return (slice(start, start + step) for start in range(0, rows, step))


def ratios(frame: pl.DataFrame, drawn: pl.DataFrame) -> pl.Series:
    """The sum of one thing by that of another, for each figure and row of weights.

    Args:
        frame: A row for each figure: ``a0`` on, what is divided, by block; ``b0`` on, what it is divided by.
        drawn: `weights`.

    Returns:
        All of the first figure, then all of the second one; null where nothing is divided by.
    """
    blocks = drawn.width
    above, below = weighted("a", blocks), weighted("b", blocks)
    found = [
        frame[part]
        .lazy()
        .join(drawn.lazy(), how="cross", maintain_order="left_right")
        .select(ratio=pl.when(below != 0).then(above.cast(pl.Float64) / below))
        .collect()
        for part in parts(frame.height, drawn.height)
    ]
    return pl.concat(found).to_series() if found else pl.Series("ratio", [], pl.Float64)


def with_errors(estimates: pl.Series, drawn: pl.DataFrame, *, is_ratio: bool) -> pl.DataFrame:
    """Each figure with its standard error, without the bias of resampling so few blocks.

    Args:
        estimates: For each figure its estimates with all `drawn` weights, the blocks as they are first; null
            where these give none.
        drawn: `weights`.
        is_ratio: Whether differences of the figure are ratios: errors are then of its logarithm.

    Returns:
        `value` and `error`, null where most resamples, or fewer than two blocks, give no figure.
    """
    draws, blocks = drawn.height, drawn.width
    numbered = pl.DataFrame({"estimate": estimates}).with_row_index("row").lazy()
    value = pl.col("estimate")
    placed = pl.when(value > 0).then(value.log()) if is_ratio else value
    resampled = placed.filter(pl.col("row") % draws > 0)
    unbiased = (resampled.var() * (blocks / (blocks - 1))).sqrt() if blocks > 1 else pl.lit(None, pl.Float64)
    enough = resampled.count() > (draws - 1) // 2
    return (
        numbered.group_by(pl.col("row") // draws, maintain_order=True)
        .agg(value=value.first(), error=pl.when(enough).then(unbiased))
        .select("value", pl.col("error").cast(pl.Float64))
        .collect()
    )
