"""Every operation over every binding leaves exactly its records, on both sides."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from zlib import crc32

import pytest
from wotpy.protocols.coap.client import CoAPClient
from wotpy.protocols.coap.server import CoAPServer
from wotpy.protocols.http.client import HTTPClient
from wotpy.protocols.http.server import HTTPServer
from wotpy.protocols.mqtt.client import MQTTClient
from wotpy.protocols.mqtt.server import MQTTServer
from wotpy.protocols.ws.client import WebsocketClient
from wotpy.protocols.ws.server import WebsocketServer
from wotpy.wot.servient import Servient
from wotpy.wot.wot import WoT

from wotemu.app import Ports, consume_from_catalogue

from .lamp import HOST, LAMP, Expose, Recorder, running_broker

SERVERS: dict[str, Callable[[Ports], Any]] = {
    "http": lambda ports: HTTPServer(port=ports.http),
    "ws": lambda ports: WebsocketServer(port=ports.ws),
    "coap": lambda ports: CoAPServer(port=ports.coap),
    "mqtt": lambda ports: MQTTServer(
        f"mqtt://{HOST}:{ports.mqtt}", servient_id="n", property_callback_ms=50, event_callback_ms=50
    ),
}
CLIENTS: dict[str, Callable[[], Any]] = {
    "http": HTTPClient,
    "ws": WebsocketClient,
    "coap": CoAPClient,
    "mqtt": lambda: MQTTClient(msg_wait_timeout_secs=0.5, timeout_default=1),
}


DIRECT = pytest.mark.parametrize("binding", ["http", "ws", "coap"], indirect=True)
BROKERED = pytest.mark.parametrize("binding", ["mqtt"], indirect=True)


@pytest.fixture(params=SERVERS)
def binding(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def broker(binding: str, ports: Ports) -> AsyncIterator[None]:
    """An MQTT broker, where the binding needs one."""
    async with running_broker(ports.mqtt) if binding == "mqtt" else contextlib.nullcontext():
        yield


@pytest.fixture
async def exposed(binding: str, ports: Ports, recorder: Recorder, broker: None, expose: Expose) -> Any:
    """The lamp, served over one binding alone."""
    return await expose(SERVERS[binding](ports))


@pytest.fixture
async def lamp(binding: str, ports: Ports, exposed: Any, fast_clients: None) -> Any:
    """The lamp as a consumer sees it."""
    servient = Servient(hostname=HOST, catalogue_port=None, clients=[CLIENTS[binding]()])
    return await consume_from_catalogue(WoT(servient), ports.catalogue, HOST, LAMP)


async def test_a_read_is_recorded_on_both_sides(lamp: Any, binding: str, recorder: Recorder) -> None:
    assert await lamp.properties["level"].read() == 1
    assert recorder.facts() == [
        ("producer", "readproperty", "level", "request", 1, True),
        ("consumer", "readproperty", "level", "request", 1, True),
    ]
    served, consumed = recorder.records
    answered = {"http": "200", "coap": "2.05"}.get(binding, "")
    assert (served.code, consumed.code) == (answered, answered)
    assert (served.peer, consumed.peer) == ("" if binding == "mqtt" else "node-1", "node-1")
    for record in recorder.records:
        assert record.origin == "app"
        assert (record.binding, record.thing, record.node) == (binding, LAMP, "node-1")
        assert record.affordance == "property"
    assert served.duration is not None and consumed.duration is not None
    assert 0 < served.duration < consumed.duration
    assert consumed.t <= served.t


async def test_a_write_is_recorded_on_both_sides(lamp: Any, exposed: Any, recorder: Recorder) -> None:
    await lamp.properties["level"].write(12.5)
    assert await exposed.read_property("level") == 12.5
    assert recorder.facts() == [
        ("producer", "writeproperty", "level", "request", 4, True),
        ("consumer", "writeproperty", "level", "request", 4, True),
    ]


async def test_an_invocation_counts_its_input_and_its_output(lamp: Any, recorder: Recorder) -> None:
    assert await lamp.actions["double"].invoke({"it": 4}) == {"twice": 8}
    size = len('{"it": 4}') + len('{"twice": 8}')
    assert recorder.facts() == [
        ("producer", "invokeaction", "double", "request", size, True),
        ("consumer", "invokeaction", "double", "request", size, True),
    ]
    assert {record.affordance for record in recorder.records} == {"action"}


async def test_a_failing_read_raises_as_ever_and_says_why(lamp: Any, recorder: Recorder) -> None:
    with pytest.raises(Exception) as raised:  # WoTPy raises bare exceptions
        await lamp.properties["broken"].read()
    served, consumed = recorder.records
    assert (served.status, served.error, served.bytes) == ("failed", "RuntimeError: it can't", None)
    assert (consumed.status, consumed.bytes) == ("failed", None)
    assert consumed.error.startswith(type(raised.value).__name__)


@DIRECT  # amqtt answers a cancellation with an error of its own
async def test_a_cancelled_read_is_recorded_as_cancelled(lamp: Any, recorder: Recorder) -> None:
    reading = asyncio.create_task(lamp.properties["level"].read())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert [(r.status, r.error) for r in recorder.of("consumer")] == [("cancelled", "cancelled")]


@DIRECT
async def test_an_event_subscription_has_a_beginning_items_and_one_end(
    lamp: Any, exposed: Any, binding: str, recorder: Recorder
) -> None:
    got: list[str] = []
    subscription = lamp.events["flash"].subscribe(on_next=lambda item: got.append(item.data))
    await recorder.until("producer", "subscribe")
    exposed.emit_event("flash", "hello")
    await recorder.until("consumer", "next")
    subscription.dispose()
    subscription.dispose()
    assert got == ["hello"]
    assert recorder.facts("consumer") == [
        ("consumer", "subscribeevent", "flash", "subscribe", None, True),
        ("consumer", "subscribeevent", "flash", "next", 7, True),
        ("consumer", "subscribeevent", "flash", "end", None, True),
    ]
    first, item, last = recorder.of("consumer")
    assert first.binding == binding
    assert (item.peer, item.origin) == ("node-1", "app")
    assert item.digest == recorder.emissions[-1].digest is not None
    assert first.duration is None
    assert last.duration == pytest.approx(last.t - first.t, abs=0.05)
    assert ("producer", "subscribeevent", "flash", "next", 7, True) in recorder.facts("producer")
    exposed.emit_event("flash", "gone?")  # only by this does a CoAP server learn that its client left
    await recorder.until("producer", "end")


@DIRECT
async def test_an_observation_delivers_the_propertys_values(
    lamp: Any, exposed: Any, binding: str, recorder: Recorder
) -> None:
    got: list[float] = []
    subscription = lamp.properties["level"].subscribe(on_next=lambda item: got.append(item.data.value))
    await recorder.until("producer", "subscribe")
    first = 1 if binding == "coap" else 0  # a CoAP observation begins with the present value
    await recorder.until("consumer", "next", first)
    await exposed.write_property("level", 42)
    await recorder.until("consumer", "next", first + 1)
    subscription.dispose()
    assert got[-1] == 42
    assert recorder.facts("consumer")[-2:] == [
        ("consumer", "observeproperty", "level", "next", 2, True),
        ("consumer", "observeproperty", "level", "end", None, True),
    ]
    assert {r.op for r in recorder.of("producer")} == {"observeproperty"}
    await exposed.write_property("level", 43)
    await recorder.until("producer", "end")


@BROKERED
async def test_what_a_broker_passes_on_is_recorded_at_the_consumer_alone(
    lamp: Any, exposed: Any, recorder: Recorder
) -> None:
    subscription = lamp.events["flash"].subscribe(on_next=lambda item: None, on_error=lambda error: None)
    while not any(record.stage == "next" for record in recorder.records):
        exposed.emit_event("flash", "hello")  # until the broker knows of the subscription
        await asyncio.sleep(0.05)
    subscription.dispose()
    stages = [(record.role, record.binding, record.stage) for record in recorder.records]
    assert stages[:2] == [("consumer", "mqtt", "subscribe"), ("consumer", "mqtt", "next")]
    assert stages[-1] == ("consumer", "mqtt", "end")
    assert recorder.of("producer") == []


async def test_what_an_app_does_with_its_own_thing_stays_out(exposed: Any, recorder: Recorder) -> None:
    await exposed.properties["level"].write(3)
    assert await exposed.properties["level"].read() == 3
    exposed.emit_event("flash", "nobody listens")
    assert recorder.records == []


async def test_each_emission_is_recorded_once_whoever_listens(exposed: Any, recorder: Recorder) -> None:
    await exposed.properties["level"].write(3)
    exposed.emit_event("flash", "é")
    emitted = [(e.op, e.name, e.thing, e.bytes, e.digest) for e in recorder.emissions[-2:]]
    assert emitted == [
        ("observeproperty", "level", LAMP, 1, crc32(b"3")),
        ("subscribeevent", "flash", LAMP, 8, crc32(b'"\\u00e9"')),
    ]


@DIRECT
async def test_sockets_of_both_sides_are_announced_before_they_are_used(
    lamp: Any, binding: str, ports: Ports, recorder: Recorder
) -> None:
    served = {"http": ("tcp_server", ports.http), "ws": ("tcp_server", ports.ws)}
    assert [(each.kind, each.port) for each in recorder.claims] == [
        served.get(binding, ("udp_server", ports.coap))
    ]
    before = time.monotonic()
    await lamp.properties["level"].read()
    kinds = ["opened", "closed"] if binding == "coap" else ["connected"]
    claims = recorder.claims[1:]
    assert [each.kind for each in claims] == kinds
    assert len({each.port for each in claims} - {0}) == 1
    assert before < claims[0].t < time.monotonic()
