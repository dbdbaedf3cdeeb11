"""What the Docker API proxy refuses, and what becomes of what it allows."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wotemu_runtime.docker_proxy import decide
from wotemu_runtime.docker_proxy.decision import MAX_HEADERS, MAX_TARGET

ID = "k69phudhqetnbi6707avkg1if"

# method, request target, headers, a word of the reason
REFUSED = [
    # Methods
    ("POST", "/services/create", {}, "only GET and HEAD"),
    ("POST", f"/services/{ID}/update?version=7", {}, "only GET and HEAD"),
    ("DELETE", f"/services/{ID}", {}, "only GET and HEAD"),
    ("PUT", "/networks/create", {}, "only GET and HEAD"),
    ("PATCH", "/services", {}, "only GET and HEAD"),
    ("OPTIONS", "*", {}, "only GET and HEAD"),
    ("CONNECT", "docker:2375", {}, "only GET and HEAD"),
    ("TRACE", "/_ping", {}, "only GET and HEAD"),
    ("get", "/_ping", {}, "only GET and HEAD"),
    ("PRI", "*", {}, "only GET and HEAD"),
    # Paths that read or do more
    ("GET", "/", {}, "not on the list"),
    ("GET", "/info", {}, "not on the list"),
    ("GET", "/events", {}, "not on the list"),
    ("GET", "/system/df", {}, "not on the list"),
    ("GET", "/swarm", {}, "not on the list"),
    ("GET", "/swarm/unlockkey", {}, "not on the list"),
    ("GET", "/secrets", {}, "not on the list"),
    ("GET", f"/secrets/{ID}", {}, "not on the list"),
    ("GET", "/configs", {}, "not on the list"),
    ("GET", f"/configs/{ID}", {}, "not on the list"),
    ("GET", "/containers/json", {}, "not on the list"),
    ("GET", f"/containers/{ID}/json", {}, "not on the list"),
    ("GET", f"/containers/{ID}/logs?stdout=1", {}, "not on the list"),
    ("GET", f"/containers/{ID}/archive?path=/run/secrets", {}, "not on the list"),
    ("GET", f"/containers/{ID}/export", {}, "not on the list"),
    ("GET", f"/containers/{ID}/attach/ws?stream=1", {}, "not on the list"),
    ("GET", f"/containers/{ID}/top", {}, "not on the list"),
    ("GET", f"/exec/{ID}/json", {}, "not on the list"),
    ("GET", "/images/json", {}, "not on the list"),
    ("GET", "/images/wotemu/get", {}, "not on the list"),
    ("GET", "/volumes", {}, "not on the list"),
    ("GET", "/plugins", {}, "not on the list"),
    ("GET", "/distribution/wotemu/json", {}, "not on the list"),
    ("GET", f"/services/{ID}/logs?stdout=1", {}, "not on the list"),
    ("GET", f"/tasks/{ID}/logs?stdout=1", {}, "not on the list"),
    ("GET", "/session", {}, "not on the list"),
    ("GET", "/grpc", {}, "not on the list"),
    ("GET", "/debug/pprof/", {}, "not on the list"),
    ("GET", "/metrics", {}, "not on the list"),
    ("GET", "/services/create", {}, "for changes"),
    ("GET", "/networks/prune", {}, "for changes"),
    ("GET", "/version/", {}, "not on the list"),
    ("GET", "/version/all", {}, "not on the list"),
    ("GET", "/_ping/x", {}, "not on the list"),
    # Other spellings
    ("GET", "/Services", {}, "not on the list"),
    ("GET", "/SERVICES", {}, "not on the list"),
    ("GET", "/_PING", {}, "not on the list"),
    ("GET", "/V1.41/services", {}, "not on the list"),
    ("GET", "/services/", {}, "not on the list"),
    ("GET", "//services", {}, "not on the list"),
    ("GET", "/services//", {}, "not on the list"),
    ("GET", f"//{ID}/services", {}, "not on the list"),
    ("GET", "/v1.41//services", {}, "not on the list"),
    ("GET", "/v1.41", {}, "not on the list"),
    ("GET", "/v1.41/v1.41/services", {}, "not on the list"),
    ("GET", "/v2.0/services", {}, "not on the list"),
    ("GET", "/v1.4.1/services", {}, "not on the list"),
    ("GET", "/v1.041/services", {}, "not on the list"),
    ("GET", "/v1./services", {}, "not on the list"),
    ("GET", "/./services", {}, "not on the list"),
    ("GET", "/services/.", {}, "not on the list"),
    ("GET", "/services/..", {}, "not on the list"),
    ("GET", "/services/../secrets", {}, "not on the list"),
    ("GET", f"/services/{ID}/../../secrets", {}, "not on the list"),
    ("GET", "/services/..%2fsecrets", {}, "without escapes"),
    ("GET", "/services/%2e%2e/secrets", {}, "without escapes"),
    ("GET", "/services/%252e%252e/secrets", {}, "without escapes"),
    ("GET", "/%73ecrets", {}, "without escapes"),
    ("GET", "/%73ervices", {}, "without escapes"),
    ("GET", "/services%00", {}, "without escapes"),
    ("GET", "/services%0d%0aX:%20y", {}, "without escapes"),
    ("GET", "/services%c0%ae", {}, "without escapes"),
    ("GET", "/services;v=1", {}, "no allowed one needs"),
    ("GET", "/services/a;/../../secrets", {}, "no allowed one needs"),
    ("GET", "/services\\..\\secrets", {}, "no allowed one needs"),
    ("GET", "/services#/../secrets", {}, "no allowed one needs"),
    ("GET", "/services\t", {}, "no allowed one needs"),
    ("GET", "/services secrets", {}, "no allowed one needs"),
    ("GET", "/services\r\nX: y", {}, "no allowed one needs"),
    ("GET", "/services\n", {}, "no allowed one needs"),
    ("GET", "/services\0", {}, "no allowed one needs"),
    ("GET", "/servic\u0435s", {}, "no allowed one needs"),  # a Cyrillic letter
    ("GET", "/tasks/\uff0e\uff0e", {}, "no allowed one needs"),  # full-width dots
    ("GET", "", {}, "must be a path"),
    ("GET", "services", {}, "must be a path"),
    ("GET", "http://docker/services", {}, "must be a path"),
    ("GET", "http://docker/secrets", {}, "must be a path"),
    ("GET", "unix:///var/run/docker.sock", {}, "must be a path"),
    ("GET", "/" + "a" * MAX_TARGET, {}, "longer than"),
    ("GET", "/services/" + "a" * 200, {}, "not on the list"),
    # Queries
    ("GET", "/services?", {}, "KEY=VALUE"),
    ("GET", "/services?filters", {}, "KEY=VALUE"),
    ("GET", "/services?filters={}&filters={}", {}, "each key once"),
    ("GET", "/services?insertDefaults=true", {}, "not allowed here"),
    ("GET", "/services?status=maybe", {}, "not allowed here"),
    ("GET", "/tasks?status=true", {}, "not allowed here"),
    ("GET", "/networks?verbose=true", {}, "not allowed here"),
    ("GET", f"/networks/{ID}?verbose=true", {}, "not allowed here"),
    ("GET", f"/services/{ID}?filters={{}}", {}, "not allowed here"),
    ("GET", "/version?filters={}", {}, "not allowed here"),
    ("GET", "/_ping?x=1", {}, "not allowed here"),
    ("GET", "/services?filters=%7", {}, "broken escape"),
    ("GET", "/services?filters=%zz", {}, "broken escape"),
    ("GET", "/services?filters=%ff", {}, "ASCII"),
    ("GET", "/services?filters=null", {}, "not an object"),
    ("GET", "/services?filters=[]", {}, "not an object"),
    ("GET", '/services?filters={"name":', {}, "not JSON"),
    ("GET", '/services?filters={"name":["a"],"name":["b"]}', {}, "a key twice"),
    ("GET", '/services?filters={"runtime":["a"]}', {}, "filter is not allowed"),
    ("GET", '/nodes?filters={"label":["org.wotemu.x"]}', {}, "filter is not allowed"),
    ("GET", '/nodes?filters={"node.label":["password=a"]}', {}, "filter is not allowed"),
    ("GET", '/services?filters={"label":["traefik.password=a"]}', {}, "must begin with"),
    ("GET", '/services?filters={"name":"a"}', {}, "must be a list"),
    ("GET", '/services?filters={"name":{"a":false}}', {}, "all true"),
    ("GET", '/services?filters={"name":[{"a":1}]}', {}, "that none needs"),
    ("GET", '/services?filters={"name":["%2e%2e"]}', {}, "that none needs"),
    ("GET", '/services?filters={"name":["^.*$"]}', {}, "that none needs"),
    ("GET", "/services?filters=" + quote(json.dumps({"id": ["a"] * 201})), {}, "more than 200 values"),
    # Headers
    ("GET", "/services", {"X-HTTP-Method-Override": "DELETE"}, "x-http-method-override"),
    ("GET", "/services", {"x-http-method": "POST"}, "x-http-method"),
    ("HEAD", "/services", {"X-Method-Override": "POST"}, "x-method-override"),
    ("GET", "/services", {"X-Original-URL": "/secrets"}, "x-original-url"),
    ("GET", "/services", {"X-Rewrite-Url": "/secrets"}, "x-rewrite-url"),
    ("GET", "/services", {"Connection": "Upgrade", "Upgrade": "tcp"}, "upgraded"),
    ("GET", "/services", {"Connection": "keep-alive, upgrade"}, "upgraded"),
    ("GET", "/services", {"Upgrade": "h2c"}, "upgraded"),
    ("GET", "/services", {"Upgrade": "websocket"}, "upgraded"),
    ("GET", "/services", {"Content-Length": "5"}, "body"),
    ("GET", "/services", {"Content-Length": "+0"}, "body"),
    ("GET", "/services", {"Transfer-Encoding": "chunked"}, "body"),
    ("GET", "/services", {"Transfer-Encoding": "identity"}, "body"),
    ("GET", "/services", {"Expect": "100-continue"}, "body"),
    ("GET", "/services", {f"X-{i}": "y" for i in range(MAX_HEADERS + 1)}, "headers"),
]

ALLOWED = [
    ("GET", "/_ping", "/_ping"),
    ("HEAD", "/_ping", "/_ping"),
    ("GET", "/v1.41/_ping", "/v1.41/_ping"),
    ("GET", "/version", "/version"),
    ("GET", "/services", "/services"),
    ("GET", "/v1.24/services", "/v1.24/services"),
    ("GET", "/services?status=1", "/services?status=true"),
    ("GET", f"/services/{ID}", f"/services/{ID}"),
    ("GET", "/services/quickstart_sensor-1", "/services/quickstart_sensor-1"),
    ("HEAD", "/tasks", "/tasks"),
    ("GET", f"/tasks/{ID}", f"/tasks/{ID}"),
    ("GET", "/networks", "/networks"),
    ("GET", "/networks/quickstart_field", "/networks/quickstart_field"),
    ("GET", "/nodes", "/nodes"),
    ("GET", "/nodes/self", "/nodes/self"),
]


@pytest.mark.parametrize(("method", "target", "headers", "reason"), REFUSED)
def test_refused(method: str, target: str, headers: dict[str, str], reason: str) -> None:
    """Each of these requests is refused, for a reason that is told."""
    decision = decide(method, target, headers.items())
    assert not decision.allowed
    assert reason in decision.reason


@pytest.mark.parametrize(("method", "target", "asked"), ALLOWED)
def test_allowed(method: str, target: str, asked: str) -> None:
    """Each of these passes, and Docker is asked for just that."""
    decision = decide(method, target, [("Host", "proxy"), ("Content-Length", "0")])
    assert decision.allowed, decision.reason
    assert decision.target == asked


@pytest.mark.parametrize(
    "filters",
    [
        {"name": ["b", "a"], "label": ["org.wotemu.stack=s"]},
        {"label": {"org.wotemu.stack=s": True}, "name": ["b", "a"]},
    ],
)
def test_filters_are_written_anew(filters: dict[str, object]) -> None:
    """Whichever of Docker's forms filters come in, they go on in one, in one order."""
    decision = decide("GET", f"/services?filters={quote(json.dumps(filters))}")
    assert decision.query == (("filters", '{"label":["org.wotemu.stack=s"],"name":["a","b"]}'),)


@given(st.text(alphabet="/.%;?&=#\\ _pingversicatkwod1234567890v~\n\0é", max_size=40))
def test_nothing_but_the_list_ever_passes(text: str) -> None:
    """Whatever a path is made of, what passes is on the list, letter for letter."""
    decision = decide("GET", f"/{text}")
    if decision.allowed:
        assert decision.kind in {"ping", "version", "services", "tasks", "networks", "nodes"}
        assert decision.target.partition("?")[0] == f"/{text}".partition("?")[0]
