"""Guards and objectives about what surely is never reported are refused, with what is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from wotemu import (
    Broker,
    Network,
    Node,
    NodeApp,
    Scenario,
    ScenarioError,
    Service,
    Topology,
    at,
    event,
    metric,
    when,
)
from wotemu.scenario import app, availability, errors, expect, http, lost_events, node, p95, requests, resolve
from wotemu.topology.builtin_apps import ALL_BY_WOTPY, BUILTIN_METRICS, BUILTIN_REQUESTS, BuiltinApps

FIELD = Network("field")
BROKER = Broker("mqtt", networks=[FIELD])
DATABASE = Service("db", command=["db"], networks=[FIELD])
ASKED = {"servient_host": "clock", "thing_id": "urn:clock"}
TOPOLOGY = Topology(
    [
        Node("clock", NodeApp("clock", http=True), networks=[FIELD]),
        Node("reader", NodeApp("reader", params=ASKED), networks=[FIELD], broker=BROKER, scale=2),
        Node("caller", NodeApp("caller", params=ASKED), networks=[FIELD], services=[DATABASE]),
        Node("camera", NodeApp("camera", http=True), networks=[FIELD]),
        Node("own", NodeApp("mine.py"), networks=[FIELD]),
        Node("plain", command=["curl"], networks=[FIELD]),
    ]
)


def resolved(*, on: Any = (), figure: Any = None) -> None:
    events = [when(each).do(at(0).crash("own")) for each in on]
    objectives = [] if figure is None else [expect(figure)]
    resolve(TOPOLOGY, Scenario(duration="60s", events=events, expect=objectives))


@pytest.mark.parametrize(
    ("condition", "message", "hint"),
    [
        (
            metric("reader.errors") > 1,
            "'reader' of 'reader' never reports 'errors'",
            "known are read_failures",
        ),
        (metric("reader-2.read_failure") > 1, "never reports", "did you mean 'read_failures'"),
        (metric("clock.x") > 1, "'clock' of 'clock' never reports 'x'", "it reports no metrics"),
        (metric("mqtt.x") > 1, "Broker 'mqtt' reports no metrics", "nodes do: reader"),
        (metric("db.x") > 1, "Service 'db' reports no metrics", "own, plain"),
        (event("app.crashed", node="db"), "Service 'db' reports no events", 'write event("app.crashed")'),
        (event("guard.fired", node="own"), "no node reports 'guard.fired'", "without node"),
        (event("broker.ready", node="own"), "'own' is no broker", "without node"),
    ],
)
def test_a_guard_on_what_is_never_reported_is_refused(condition: Any, message: str, hint: str) -> None:
    with pytest.raises(ScenarioError) as error:
        resolved(on=[condition])
    assert message in error.value.message
    assert hint in (error.value.hint or "")
    assert "test_reporting.py" in (error.value.where or "")


@pytest.mark.parametrize(
    ("figure", "message", "hint"),
    [
        (app("reader.errors").max < 3, "never reports 'errors'", "known are read_failures"),
        (p95(node="clock") < "1s", "no request is made by clock (clock)", 'role="producer"'),
        (p95("writeproperty", node="reader") < "1s", "no writeproperty is made by reader", "they make readp"),
        (
            errors("invokeaction", node=["reader", "clock"]) < "1%",
            "no invokeaction is made by",
            "readproperty",
        ),
        (p95(node="reader", role="producer") < "1s", "no Thing is served by reader", "leave role out"),
        (
            p95(thing="urn:clok", node="reader-1") < "1s",
            "no request to 'urn:clok'",
            "did you mean 'urn:clock'",
        ),
        (availability("clock") > "99%", "no request is made by clock (clock)", ""),
        (p95(node="db") < "1s", "Service 'db' has no app to measure", ""),
        (node("mqtt").crashes == 0, "Broker 'mqtt' has no app to measure", ""),
        (
            p95(http(node="reader")) < "1s",
            "no request of reader (reader) is seen on the wire",
            'node="reader"',
        ),
        (
            requests(http(node="db")) > 1,
            "the requests of Service 'db' are not seen",
            "peer='db', side='server'",
        ),
    ],
)
def test_an_objective_on_what_is_never_measured_is_refused(figure: Any, message: str, hint: str) -> None:
    with pytest.raises(ScenarioError) as error:
        resolved(figure=figure)
    assert message in error.value.message
    assert hint in (error.value.hint or "")
    assert "test_reporting.py" in (error.value.where or "")


def test_what_an_app_of_the_users_own_may_report_is_taken() -> None:
    resolved(
        on=[
            *(metric("own.x") > 1, metric("plain.x") > 1, metric("reader.read_failures") > 1),
            *(event("app.crashed", node=BROKER), event("broker.ready", node="mqtt"), event("app.ready")),
        ]
    )
    for figure in (
        *(p95("writeproperty", node="own") < "1s", p95("writeproperty") < "1s", p95(node="plain") < "1s"),
        *(p95("invokeaction", node=["reader", "caller"]) < "1s", p95(thing="urn:any") < "1s"),
        *(p95(node="clock", role="producer") < "1s", lost_events("any") == 0, availability() > "1%"),
        *(p95(http(node=["reader", "plain"])) < "1s", p95(http(node="camera")) < "1s"),
        *(p95(http(node="plain", peer="clock")) < "1s", node("clock").restarts == 0),
    ):
        resolved(figure=figure)


APPS = Path(__file__).parents[2] / "runtime" / "wotemu_runtime" / "apps"


def test_built_in_apps_report_the_metrics_that_are_declared() -> None:
    for name, keys in BUILTIN_METRICS.items():
        source = (APPS / f"{name}.py").read_text()
        assert tuple(re.findall(r'(?:Failures|write_metric)\("(\w+)"', source)) == keys, name


def test_built_in_apps_make_the_requests_that_are_declared() -> None:
    assert BUILTIN_REQUESTS.keys() == BUILTIN_METRICS.keys()
    for name in set(BUILTIN_REQUESTS) - {BuiltinApps.BRIDGE}:  # which forwards whatever it is asked
        source = (APPS / f"{name}.py").read_text()
        made = [("readproperty", r"properties\[.+\]\.read\("), ("invokeaction", r"actions\[.+\]\.invoke\(")]
        assert BUILTIN_REQUESTS[name] == tuple(op for op, call in made if re.search(call, source)), name


def test_only_the_camera_may_ask_for_something_past_wotpy() -> None:
    assert set(BuiltinApps) - ALL_BY_WOTPY == {BuiltinApps.CAMERA}
