"""Requests seen on the wire in objectives and guards: plans, refusals, and what fires a guard."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from wotemu import Broker, Network, Node, NodeApp, Scenario, ScenarioError, Topology, at, when
from wotemu.records import WireRequest
from wotemu.scenario import coap, errors, expect, failures, http, p95, requests, resolve, tag, throughput
from wotemu.scenario.timeline import ObjectivePlan, Timeline
from wotemu_runtime.coordination.guards import GuardWatch

FIELD, OFFICE = Network("field"), Network("office")
BROKER = Broker("mosquitto", networks=[FIELD])
TOPOLOGY = Topology(
    [
        Node("client", command=["curl"], networks=[FIELD], scale=2, broker=BROKER),
        Node("server", command=["httpd"], networks=[FIELD, OFFICE]),
        Node("desk", NodeApp("a.py:b"), networks=[OFFICE]),
    ]
)
FAILED = failures(http("GET", "/a/*", node="client", peer="server")) >= 2


def plans(*figures: Any) -> tuple[ObjectivePlan, ...]:
    return resolve(TOPOLOGY, Scenario(duration="60s", expect=[expect(each) for each in figures]))[
        0
    ].objectives


def test_a_plan_has_the_method_path_side_and_both_ends() -> None:
    asked, served = plans(
        p95(http("GET", "/status", node="client", peer=tag("t", "server"))) < "1s",
        throughput(coap(node="server", side="server")) > "5/s",
    )
    assert asked.text == "p95 of HTTP GET /status of client to t, seen on the wire"
    assert (asked.operation, asked.name, asked.binding, asked.role) == ("GET", "/status", "http", "client")
    assert (asked.replicas, asked.peers, asked.is_on_wire) == (("client-1", "client-2"), ("server",), True)
    assert served.text == "throughput of CoAP requests at server, seen on the servers' wire"
    assert (served.operation, served.name, served.role, served.peers) == ("", "", "server", ())


def test_a_plan_survives_json() -> None:
    timeline = resolve(
        TOPOLOGY, Scenario(duration="60s", expect=[expect(requests(http(peer="server")) > 3)])
    )[0]
    assert timeline.objectives[0].unit == "count"
    assert Timeline.from_dict(json.loads(json.dumps(timeline.to_dict()))) == timeline


def test_requests_of_wotpy_are_no_requests_on_the_wire() -> None:
    (plan,) = plans(requests("readproperty", node="desk") >= 3)
    assert plan.text == "requests: readproperty of desk"
    assert (plan.role, plan.is_on_wire) == ("consumer", False)


@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        (lambda: http("get"), "method='get' is not known", "did you mean 'GET'"),
        (lambda: http("FETCH"), "method='FETCH' is not known", "known are GET, HEAD"),
        (lambda: http("/status"), "'/status' is a path, no method", 'http(path="/status")'),
        (lambda: http("GET", "status"), "no path is 'status'", "did you mean '/status'"),
        (lambda: http("GET", "/a?b=1"), "no path has a query", "write '/a'"),
        (lambda: http("GET", "http://server/a"), "is a URL, no path", "peer="),
        (lambda: http("GET", "/" + 200 * "a"), "200 characters are recorded", "*"),
        (
            lambda: http("GET", 5),  # type: ignore[arg-type]
            "path=5 is no path",
            'path="/status"',
        ),
        (
            lambda: http(side="producer"),  # type: ignore[arg-type]
            "side='producer' is not known",
            "did you mean 'server'",
        ),
        (lambda: p95(http(), node="client"), "node= is of requests of WoTPy", "http(..., node=...)"),
        (lambda: p95(coap(), thing="x"), "thing= is of requests of WoTPy", "known are method, path"),
    ],
)
def test_a_pattern_that_nothing_can_match_is_refused(
    make: Callable[[], Any], message: str, hint: str
) -> None:
    with pytest.raises(ScenarioError) as error:
        make()
    assert message in error.value.message
    assert hint in (error.value.hint or "")


@pytest.mark.parametrize(
    ("select", "message", "hint"),
    [
        (http(node="klient"), "no node 'klient'", "did you mean 'client'"),
        (http(peer="serwer"), "no node 'serwer'", "did you mean 'server'"),
        (
            http(node="mosquitto"),
            "requests of Broker 'mosquitto' are not seen there",
            "http(peer='mosquitto'",
        ),
        (http(node="client", peer="desk"), "'client' and 'desk' have no network in common", "known are"),
    ],
)
def test_ends_that_see_no_such_request_are_refused(select: Any, message: str, hint: str) -> None:
    for scenario in (
        Scenario(duration="60s", expect=[expect(errors(select) < "1%")]),
        Scenario(duration="60s", events=[when(requests(select) > 3).do(at(0).restart("server"))]),
    ):
        with pytest.raises(ScenarioError) as error:
            resolve(TOPOLOGY, scenario)
        assert message in error.value.message
        assert hint in (error.value.hint or "")


def test_the_address_of_another_machine_may_be_at_the_other_end() -> None:
    (plan,) = plans(errors(http(node="client", peer="10.1.2.3")) < "1%")
    assert plan.peers == ("10.1.2.3",)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: when(p95(http()) > "1s"), "guards wait for numbers of requests"),
        (lambda: when(requests("readproperty") > 3), "guards wait for numbers of requests"),
        (lambda: when(failures(http()) < 3), "a number of requests grows"),
        (lambda: when(failures(http()) == 3), "a number of requests grows"),
        (lambda: when(failures(http()) >= 0), ">= 0 holds always"),
        (lambda: when(failures(http()) >= 1, held="5s"), "what happened can't end"),
    ],
)
def test_a_guard_that_can_not_wait_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ScenarioError) as error:
        make()
    assert message in error.value.message


def seen(path: str = "/a/1", code: str = "503", **given: Any) -> WireRequest:
    fields = {"node": "client-1", "side": "client", "protocol": "http", "stage": "request", "method": "GET"}
    return WireRequest(
        t=1.0, path=path, code=code, duration=0.1, port=80, **{"peer": "server", **fields, **given}
    )


def test_a_guard_counts_requests_that_failed_since_t0() -> None:
    scenario = Scenario(duration="60s", events=[when(FAILED).do(at(0).restart("server"))])
    timeline = resolve(TOPOLOGY, scenario)[0]
    assert timeline.guards[0].text == "2 failures of HTTP GET /a/* of client to server, seen on the wire"
    watch = GuardWatch(timeline.guards, 60.0)
    watch.request(-1.0, seen())
    others: list[dict[str, Any]] = [
        *({"code": "200"}, {"path": "/b"}, {"path": "/x/a/1"}, {"method": "POST"}, {"node": "server"}),
        *({"side": "server"}, {"protocol": "coap"}, {"stage": "next"}, {"peer": "10.1.2.3"}),
    ]
    for other in others:
        watch.request(2.0, seen(**other))
    watch.request(2.0, seen(code="404"))
    assert watch.due(3.0) == []
    watch.request(4.0, seen(code=""))  # never answered
    assert [verdict.outcome for verdict in watch.due(5.0)] == ["fired"]
