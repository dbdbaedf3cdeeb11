"""Which replica answered the requests of which consumer."""

from __future__ import annotations

import polars as pl

from wotemu_report.queries.nearest_rank import SHARES
from wotemu_report.queries.ranked import ranked
from wotemu_report.queries.ranking import in_order
from wotemu_report.queries.requests import requests
from wotemu_report.recorded.run_data import RunData


def answering_peers(run: RunData) -> pl.DataFrame:
    """A row for each consumer, peer and binding.

    Returns:
        `node`, `peer` ("" where no connection came about), `binding`; `count`, requests that succeeded or
        failed; `errors`, failed ones; `p50` and `p95` in ms, of those that succeeded.
    """
    key = ["node", "peer", "binding"]
    ended = (pl.col("role") == "consumer") & (pl.col("ok") | pl.col("failed"))
    shares = {name: SHARES[name] for name in ("p50", "p95")}
    found = ranked(requests(run), key, shares, took=pl.when("ok").then("ms"), where=ended)
    return in_order(found.rename({"failed": "errors"}), *key)
