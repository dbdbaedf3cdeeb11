"""Totals of what a run has recorded so far."""

from __future__ import annotations

import attrs

from wotemu.records import Event, Interaction
from wotemu_runtime.recording.totals import Totals


def request(
    status: str = "ok", role: str = "consumer", *, t: float = 1.0, node: str = "a", binding: str = "http"
) -> Interaction:
    return interaction(node, role, "readproperty", "request", status, t=t, binding=binding)


def interaction(
    node: str, role: str, op: str, stage: str, status: str = "ok", *, t: float = 1.0, binding: str = "http"
) -> Interaction:
    error = "" if status == "ok" else status
    return Interaction(t, node, role, "urn:t", "property", "p", op, stage, binding, 0.1, 4, status, error)


def test_a_cancelled_request_counts_apart_from_those_that_succeeded_or_failed() -> None:
    totals = Totals()
    rows = [request(status) for status in ("ok", "ok", "failed", "cancelled")]
    totals.take([*rows, request("cancelled", "producer")])
    assert (totals.requests, totals.failed_requests, totals.cancelled_requests) == (3, 1, 1)
    assert totals.to_dict()["cancelled_requests"] == 1


def test_what_begins_after_the_scenario_s_end_counts_nowhere() -> None:
    totals = Totals()
    totals.ends = 20.0
    totals.take([request(t=19.9), request("failed", t=20.35), request("failed", t=20.4)])
    assert (totals.requests, totals.failed_requests, totals.unmeasured_requests) == (1, 0, 0)


def test_what_things_serve_beyond_what_consumers_ask_is_of_clients_that_are_not_measured() -> None:
    totals = Totals()
    served = [request(role="producer", node="thing") for _ in range(10)]
    totals.take([*served, request(), request(), request("cancelled")])
    assert (totals.requests, totals.unmeasured_requests) == (2, 7), "what was given up may have been served"
    totals.take([request("unfinished")])
    assert (totals.requests, totals.unmeasured_requests) == (2, 6)


def test_reads_that_stand_for_coap_notifications_are_no_requests() -> None:
    totals = Totals()
    served = [request(role="producer", node="thing", binding="coap") for _ in range(10)]
    totals.take(served)
    assert totals.unmeasured_requests == 10
    subscribed = interaction("a", "consumer", "observeproperty", "subscribe", binding="coap")
    totals.take([subscribed])
    assert totals.unmeasured_requests == 0


def test_who_asked_or_subscribed_and_got_nothing_waited_in_vain() -> None:
    totals = Totals()
    rows = [
        request("failed", node="c"),
        request("failed", node="b"),
        request(node="b"),
        interaction("d", "consumer", "subscribeevent", "subscribe"),
        interaction("e", "consumer", "subscribeevent", "subscribe"),
        interaction("e", "consumer", "subscribeevent", "next"),
    ]
    totals.take(rows)
    waits = Event(1.0, "app.waiting", "agent:a-2", "a-2 waits for thing:9090")
    totals.take([waits, attrs.evolve(waits, source="agent:b")])
    assert totals.in_vain == ["a-2", "c", "d"]
