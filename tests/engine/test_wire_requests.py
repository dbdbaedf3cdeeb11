"""Requests of programs that are not WoTPy, counted from packets beside an app that is, and none twice."""

from __future__ import annotations

import sys

import polars as pl
import pytest

from tests.engine.conftest import Emulate, paced
from wotemu.scenario import Scenario, at, coap, expect, failures, http, p95, requests, when
from wotemu.topology.models import Network, NetworkConditions, Node, NodeApp, Topology

pytestmark = pytest.mark.namespaces

NET = Network("lan", NetworkConditions(latency="10ms"))
WEB = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b"x" * 5000
        self.send_response(404 if "missing" in self.path else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "0")
        self.end_headers()
ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
COAP_SERVER = """
import asyncio, aiocoap, aiocoap.resource as resource
class Temp(resource.ObservableResource):
    def __init__(self):
        super().__init__()
        self.count = 0
    async def render_get(self, request):
        return aiocoap.Message(payload=b"%d" % self.count)
    async def render_put(self, request):
        if not request.payload:  # what its observer is told
            return aiocoap.Message(code=aiocoap.BAD_REQUEST)
        self.count += 1
        self.updated_state()
        return aiocoap.Message(code=aiocoap.CHANGED)
async def main():
    site = resource.Site()
    site.add_resource(["temp"], Temp())
    await aiocoap.Context.create_server_context(site)
    await asyncio.sleep(1000)
asyncio.run(main())
"""
CLIENT = """
import asyncio, http.client, json, time, urllib.error, urllib.request
import aiocoap
def retried(ask):
    while True:
        try:
            return ask()
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                return error
            time.sleep(0.1)
def connected(host, port):
    connection = http.client.HTTPConnection(host, port, timeout=10)
    retried(connection.connect)
    return connection
kept = connected("web", 8000)
for number in range(7):
    kept.request("GET", "/kept?number=%d" % number)
    kept.getresponse().read()
kept.request("POST", "/items", body=b"y" * 100000)
kept.getresponse().read()
for number in range(3):
    retried(lambda: urllib.request.urlopen("http://web:8000/missing")).read()
thing = connected("sensor", 8080)  # a client of WoTPy's server
for number in range(4):
    thing.request("GET", "/sensor/property/value" if number else "/nothing")
    thing.getresponse().read()
async def coap():
    context = await aiocoap.Context.create_client_context()
    def ask(**what):
        return context.request(aiocoap.Message(uri="coap://gauge/temp", **what))
    observed = ask(code=aiocoap.GET, observe=0)
    await observed.response
    async def follow():
        async for _ in observed.observation:
            pass
    following = asyncio.create_task(follow())
    for number in range(5):
        await ask(code=aiocoap.PUT, payload=b"y" * (3000 if number == 0 else 3)).response
        await asyncio.sleep(0.2)
    await ask(code=aiocoap.PUT).response
    for number in range(2):
        await context.request(aiocoap.Message(code=aiocoap.GET, uri="coap://gauge/none")).response
asyncio.run(coap())
print("done", flush=True)
time.sleep(1000)
"""
READS = {"servient_host": "sensor", "thing_id": "urn:wotemu:sensor", "interval": 0.2}
GET_MISSING = http("GET", "/mis*", node="client", peer="web")
OBJECTIVES = [
    p95(http("GET", "/kept", node="client")) < "10s",
    requests(http("GET", "/kept", node="client", peer="web")) == 7,
    requests(http("GET", "/kept", node="web", side="server")) == 7,
    requests(http(peer="sensor")) == 4,
    failures(GET_MISSING) == 3,
    requests(coap("PUT", "/temp", node="client", peer="gauge")) == 6,
    failures(coap(node="gauge", side="server")) == 3,
    failures("readproperty", node="reader") == 0,
]


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def test_each_request_is_counted_once_and_those_of_wotpy_by_its_meter_alone(emulate: Emulate) -> None:
    ran = await emulate(
        Topology(
            [
                Node("sensor", NodeApp("sensor", http=True, coap=True, ws=True), networks=[NET]),
                Node("reader", NodeApp("reader", params=READS), networks=[NET]),
                Node("gauge", command=python(COAP_SERVER), networks=[NET]),
                Node("web", command=python(WEB), networks=[NET]),
                Node("client", command=python(CLIENT), networks=[NET]),
            ]
        ),
        Scenario(
            duration=paced(8),
            events=[when(failures(GET_MISSING) >= 3).do(at(0).set(NET, latency="11ms"))],
            expect=[expect(each) for each in OBJECTIVES],
        ),
    )
    assert ran.log("client") == ["done"]
    assert [each.sentence for each in ran.result.objectives if not each.has_passed] == []
    assert [each.message for each in ran.events if each.kind == "guard.fired"] == [
        "guard 0 fired: 3 failures of HTTP GET /mis* of client to web, seen on the wire"
    ]
    table = pl.read_parquet(ran.result.run_dir / "tables" / "requests.parquet")
    key = ["side", "node", "peer", "port", "method", "path", "code", "stage"]
    found = {row[:-1]: row[-1] for row in table.group_by(key).len().iter_rows()}
    http = {
        ("GET", "/kept", "200"): 7,
        ("POST", "/items", "201"): 1,
        ("GET", "/missing", "404"): 3,
    }
    coap = {
        ("GET", "/temp", "2.05", "request"): 1,
        ("GET", "/temp", "2.05", "next"): 5,
        ("PUT", "/temp", "2.04", "request"): 5,
        ("PUT", "/temp", "4.00", "request"): 1,
        ("GET", "/none", "4.04", "request"): 2,
    }
    expected = {
        **{("client", "client", "web", 8000, *what, "request"): count for what, count in http.items()},
        **{("server", "web", "client", 8000, *what, "request"): count for what, count in http.items()},
        **{("client", "client", "gauge", 5683, *what): count for what, count in coap.items()},
        **{("server", "gauge", "client", 5683, *what): count for what, count in coap.items()},
    }
    of_sensor = {each: count for each, count in found.items() if "sensor" in each}
    assert {each: found[each] for each in found if each not in of_sensor} == expected
    # A program that asks WoTPy's server is seen at its own node; the server's is an interaction there.
    assert sum(of_sensor.values()) == 4
    assert {each[:4] for each in of_sensor} == {("client", "client", "sensor", 8080)}
    measured = pl.read_parquet(ran.result.run_dir / "tables" / "interactions.parquet")
    assert measured.filter(pl.col("role") == "producer", pl.col("peer") == "client").height == 4
    assert measured.filter(pl.col("node") == "reader", pl.col("status") == "ok").height > 10
    # Each way takes 10 ms: a client's durations include both, a server's none.
    answered = table.filter(pl.col("duration").is_not_null())
    assert answered.filter(pl.col("side") == "client")["duration"].min() > 0.02  # type: ignore[operator]
    assert answered.filter(pl.col("side") == "server")["duration"].median() < 0.02  # type: ignore[operator]
    assert not ran.of_kind("requests.unavailable")
    assert not ran.of_kind("requests.missed")
    assert ran.result.report is not None
    page = ran.result.report.read_text()
    assert "Seen on the wire" in page
    assert "/items" in page
