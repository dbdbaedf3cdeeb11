"""Conditions look at the last value of every metric and at how often events happened."""

from __future__ import annotations

from typing import Any

import pytest

from wotemu.records import App, Event
from wotemu.scenario import event, metric
from wotemu.topology.models import Network, Node, Topology
from wotemu_runtime.coordination.measurements import Measurements

TOPOLOGY = Topology([Node("cam", command=["true"], networks=[Network("field")], scale=2)])


def errors(**_: Any) -> dict[str, Any]:
    return (metric("cam.errors") > 5).to_dict(TOPOLOGY, "here")


@pytest.fixture
def news() -> list[None]:
    return []


@pytest.fixture
def measured(news: list[None]) -> Measurements:
    return Measurements(lambda: news.append(None))


def test_the_value_that_came_last_counts_of_all_replicas(measured: Measurements) -> None:
    assert measured.describe(errors()) == "it was never reported"
    measured.take([App(1.0, "cam-1", "errors", 9.0)])
    assert measured.holds(errors())
    measured.take([App(2.0, "cam-2", "errors", 3.0), App(2.0, "cam-1", "other", 9.0)])
    assert not measured.holds(errors())
    assert measured.describe(errors()) == "it is 3"


def test_what_comes_late_does_not_replace_what_is_newer(measured: Measurements) -> None:
    measured.take([App(2.0, "cam-1", "errors", 9.0)])
    measured.take([App(1.0, "cam-1", "errors", 1.0)])
    assert measured.holds(errors())


def test_events_count_by_their_source(measured: Measurements, news: list[None]) -> None:
    two = event("app.crashed", count=2, node="cam-1").to_dict(TOPOLOGY, "here")
    anybody = event("app.crashed", count=2).to_dict(TOPOLOGY, "here")
    measured.take([Event(1.0, "app.crashed", f"agent:cam-{n}", "") for n in (1, 2)])
    assert (measured.holds(two), measured.holds(anybody)) == (False, True)
    assert news == [], "nobody waits"
    with measured.awaited():
        measured.take([Event(2.0, "app.crashed", "agent:cam-1", "")])
    assert measured.holds(two)
    assert measured.describe(two) == "it happened 2 times"
    assert len(news) == 1
