"""What WoTPy's servers refuse themselves is a failed request at the producer, and what they do by themselves
is told apart."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiocoap
import aiohttp
from wotpy.protocols.coap.client import CoAPClient
from wotpy.protocols.coap.server import CoAPServer
from wotpy.protocols.http.client import HTTPClient
from wotpy.protocols.http.server import HTTPServer
from wotpy.protocols.ws.server import WebsocketServer
from wotpy.wot.servient import Servient
from wotpy.wot.wot import WoT

from wotemu.app import Ports, consume_from_catalogue
from wotemu_runtime.app_process.measuring.peers import Peers

from .lamp import DEADLINE_S, HOST, LAMP, Expose, Recorder

REFUSED_BY_HTTP = [
    ("GET", "/other/property/level", None, 500, ("other", "readproperty", "level", "HTTPError")),
    ("GET", "/my-lamp/property/colour", None, 500, (LAMP, "readproperty", "colour", "KeyError")),
    ("PUT", "/my-lamp/property/level", "{", 500, (LAMP, "writeproperty", "level", "HTTPError")),
    ("POST", "/my-lamp/action/double", "", 500, (LAMP, "invokeaction", "double", "HTTPError")),
    ("POST", "/my-lamp/property/level", "1", 405, (LAMP, "writeproperty", "level", "HTTPError")),
    ("GET", "/my-lamp/action/double", None, 405, (LAMP, "invokeaction", "double", "HTTPError")),
    ("GET", "/my-lamp/event/no/subscription", None, 500, (LAMP, "subscribeevent", "no", "KeyError")),
    ("GET", "/my-lamp", None, 404, ("", "", "/my-lamp", "HTTPError")),
]


async def test_what_the_http_server_refuses_has_its_status(
    expose: Expose, ports: Ports, recorder: Recorder
) -> None:
    await expose(HTTPServer(port=ports.http))
    async with aiohttp.ClientSession() as client:
        for method, path, body, status, _ in REFUSED_BY_HTTP:
            url = f"http://{HOST}:{ports.http}{path}"
            async with client.request(method, url, data=body) as answer:
                assert answer.status == status
    assert len(recorder.records) == len(REFUSED_BY_HTTP)
    for record, (*_, status, (thing, op, name, error)) in zip(recorder.records, REFUSED_BY_HTTP, strict=True):
        assert (record.role, record.binding, record.stage, record.status) == (
            *("producer", "http", "request", "failed"),
        )
        assert (record.thing, record.op, record.name, record.code) == (thing, op, name, str(status))
        assert (record.peer, record.error.split(":")[0]) == ("node-1", error)


async def test_what_the_coap_server_refuses_has_its_code(
    expose: Expose, ports: Ports, recorder: Recorder
) -> None:
    await expose(CoAPServer(port=ports.coap))
    client = await aiocoap.Context.create_client_context()
    base = f"coap://{HOST}:{ports.coap}"
    asked = [
        (aiocoap.GET, "/property?thing=other&name=level", b"", "4.04", ("other", "readproperty", "level")),
        (aiocoap.POST, "/property?thing=my-lamp&name=level", b"", "4.05", (LAMP, "writeproperty", "level")),
        (aiocoap.PUT, "/property?thing=my-lamp&name=level", b"{", "5.00", (LAMP, "writeproperty", "level")),
        (aiocoap.POST, "/action?thing=my-lamp", b"1", "4.00", (LAMP, "invokeaction", "")),
    ]
    for code, path, payload, answer, _ in asked:
        request = client.request(aiocoap.Message(code=code, uri=base + path, payload=payload))
        assert (await request.response).code.dotted == answer
    await client.shutdown()
    found = [(r.code, (r.thing, r.op, r.name), r.status, r.peer) for r in recorder.records]
    assert found == [(answer, names, "failed", "node-1") for *_, answer, names in asked]


async def test_what_the_websocket_server_refuses_has_its_error_number(
    expose: Expose, ports: Ports, recorder: Recorder
) -> None:
    await expose(WebsocketServer(port=ports.ws))
    request = {"jsonrpc": "2.0", "id": "1", "method": "read_property", "params": {"names": "level"}}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"ws://{HOST}:{ports.ws}/my-lamp") as ws,
    ):
        await ws.send_str(json.dumps(request))
        answer = json.loads((await ws.receive()).data)
    (refused,) = recorder.records
    assert (refused.thing, refused.op, refused.status, refused.binding) == (
        *(LAMP, "readproperty", "failed", "ws"),
    )
    assert refused.code == str(answer["error"]["code"])


async def test_further_long_polls_of_a_subscription_are_the_librarys(
    expose: Expose, ports: Ports, recorder: Recorder
) -> None:
    exposed = await expose(HTTPServer(port=ports.http))
    servient = Servient(hostname=HOST, catalogue_port=None, clients=[HTTPClient()])
    lamp = await consume_from_catalogue(WoT(servient), ports.catalogue, HOST, LAMP)
    subscription = lamp.events["flash"].subscribe(on_next=lambda item: None)
    for number in range(1, 4):
        await recorder.until("producer", "subscribe", number)
        exposed.emit_event("flash", "x")
        await recorder.until("consumer", "next", number)
    await recorder.until("producer", "subscribe", 4)
    subscription.dispose()
    polls = [(r.stage, r.origin) for r in recorder.of("producer") if r.stage != "end"]
    assert polls[:4] == [("subscribe", "app"), ("next", "app"), ("subscribe", "library"), ("next", "app")]
    assert {(r.stage, r.origin, r.code) for r in recorder.of("consumer") if r.stage == "next"} == {
        ("next", "app", "200")
    }
    exposed.emit_event("flash", "the last poll")
    await recorder.until("producer", "next", 4)


async def test_a_coap_notification_that_is_delivered_again_is_the_librarys(
    expose: Expose, ports: Ports, recorder: Recorder
) -> None:
    exposed = await expose(CoAPServer(port=ports.coap))
    servient = Servient(hostname=HOST, catalogue_port=None, clients=[CoAPClient()])
    lamp = await consume_from_catalogue(WoT(servient), ports.catalogue, HOST, LAMP)
    got: list[str] = []
    subscription = lamp.events["flash"].subscribe(on_next=lambda item: got.append(item.data))
    await recorder.until("producer", "subscribe")
    await asyncio.sleep(0.05)
    exposed.emit_event("flash", "once")
    async with asyncio.timeout(DEADLINE_S):
        while len(got) < 50:  # noqa: ASYNC110  # without the fix `coap-observe` it never ends
            await asyncio.sleep(0.01)
    subscription.dispose()
    items = [r.origin for r in recorder.of("consumer") if r.stage == "next"]
    assert len(items) == len(got)
    assert items.count("app") == 1


def test_addresses_are_named_by_the_hosts_file(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n10.1.0.2 web-2 web web-2.lan\n10.1.0.3 web-3 web # the third\n")
    peers = Peers("phone", hosts)
    found = [peers.name(a) for a in ("10.1.0.3", "::ffff:10.1.0.2", "127.0.0.1", "[::1]", "10.9.9.9", "hub")]
    assert found == ["web-3", "web-2", "phone", "phone", "10.9.9.9", "hub"]
    assert Peers("phone", tmp_path / "none").name("10.1.0.2") == "10.1.0.2"
