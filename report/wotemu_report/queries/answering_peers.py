"""Which replica answered the requests of which consumer."""

from __future__ import annotations

import polars as pl

from wotemu.records import FAILED, OK
from wotemu_report.queries.nearest_rank import SHARES, nearest_rank
from wotemu_report.queries.ranking import in_order
from wotemu_report.recorded.run_data import RunData


def answering_peers(run: RunData) -> pl.DataFrame:
    """A row for each consumer, peer and binding.

    Returns:
        `node`, `peer` ("" where no connection came about), `binding`; `count`, requests that succeeded or
        failed; `errors`, failed ones; `p50` and `p95` in ms, of those that succeeded.
    """
    is_ok = pl.col("status") == OK
    ms = pl.when(is_ok).then(pl.col("duration") * 1000)
    key = ["node", "peer", "binding"]
    asked = run.tables["interactions"].filter(pl.col("role") == "consumer", pl.col("stage") == "request")
    found = (
        asked.group_by(key)
        .agg(
            count=pl.col("status").is_in([OK, FAILED]).sum(),
            errors=(pl.col("status") == FAILED).sum(),
            **{name: nearest_rank(ms, SHARES[name]) for name in ("p50", "p95")},
        )
        .filter(pl.col("count") > 0)
        .collect(engine="streaming")
    )
    return in_order(found, *key)
