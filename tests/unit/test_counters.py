"""Totals of what a run has recorded so far."""

from __future__ import annotations

from wotemu.records import Interaction, to_row
from wotemu_runtime.counters import Counters


def request(status: str, role: str = "consumer") -> list[object]:
    error = "" if status == "ok" else status
    return to_row(
        Interaction(
            1.0, "a", role, "urn:t", "property", "p", "readproperty", "request", "http", 0.1, 4, status, error
        )
    )


def test_a_cancelled_request_counts_apart_from_those_that_succeeded_or_failed() -> None:
    counters = Counters()
    rows = [request(status) for status in ("ok", "ok", "failed", "cancelled")]
    counters.take(Interaction.TABLE, [*rows, request("cancelled", "producer")])
    assert (counters.requests, counters.failed_requests, counters.cancelled_requests) == (3, 1, 1)
    assert counters.to_dict()["cancelled_requests"] == 1
