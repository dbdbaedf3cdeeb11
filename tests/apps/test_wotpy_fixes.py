"""Each named fix mends what it says, however often it is applied; without it WoTPy is as in production."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.tcpclient import TCPClient
from tornado.util import TimeoutError as NoAnswerError
from wotpy.protocols.coap.client import CoAPClient
from wotpy.protocols.coap.server import CoAPServer
from wotpy.protocols.http.server import HTTPServer
from wotpy.protocols.mqtt.client import MQTTClient
from wotpy.protocols.mqtt.server import MQTTServer
from wotpy.protocols.ws.client import WebsocketClient
from wotpy.protocols.ws.server import WebsocketServer
from wotpy.wot.servient import Servient
from wotpy.wot.thing import Thing
from wotpy.wot.wot import WoT

from wotemu.app import Ports, consume_from_catalogue
from wotemu.errors import InputError
from wotemu.topology.node_app import WOTPY_FIXES
from wotemu_runtime.app_process.wotpy_patches import FIXES, apply_fixes

from .lamp import HOST, LAMP, Expose, Recorder, running_broker

pytestmark = pytest.mark.usefixtures("wotpy_as_it_was")

SLOW_S = 0.9
"""WoTPy's own sleeps add up to at least this; without them a request on loopback takes much less."""


async def consume(client: Any, ports: Ports) -> Any:
    servient = Servient(hostname=HOST, catalogue_port=None, clients=[client])
    return await consume_from_catalogue(WoT(servient), ports.catalogue, HOST, LAMP)


async def seconds_of_a_read(client: Any, ports: Ports) -> float:
    lamp = await consume(client, ports)
    start = time.perf_counter()
    assert await lamp.properties["level"].read() == 1
    return time.perf_counter() - start


async def notifications_of_one_change(lamp: Any, exposed: Any, recorder: Recorder) -> list[float]:
    """What a CoAP observation delivers for its beginning, one change, and while then nothing happens."""
    got: list[float] = []
    subscription = lamp.properties["level"].subscribe(on_next=lambda item: got.append(item.data.value))
    await recorder.until("consumer", "next")
    await exposed.write_property("level", 42)
    await recorder.until("consumer", "next", 2)
    for _ in range(1000):
        await asyncio.sleep(0)
    subscription.dispose()
    return got


def test_the_runtime_has_every_fix_that_a_topology_may_name() -> None:
    assert FIXES.keys() == WOTPY_FIXES.keys()


def test_an_unknown_name_applies_nothing_and_lists_the_known_ones() -> None:
    before = WebsocketClient.SLEEP_AFTER_ERR_SECS
    with pytest.raises(InputError) as raised:
        apply_fixes(["ws-teardown", "coap-obsreve"])
    assert (
        raised.value.hint
        == "known are coap-observe, http-clients, mqtt-delivery, next-address, td-cost, ws-teardown"
    )
    assert before == WebsocketClient.SLEEP_AFTER_ERR_SECS


async def test_coap_observe_delivers_each_notification_once(
    ports: Ports, expose: Expose, recorder: Recorder
) -> None:
    exposed = await expose(CoAPServer(port=ports.coap))
    apply_fixes(["coap-observe", "coap-observe"])
    got = await notifications_of_one_change(await consume(CoAPClient(), ports), exposed, recorder)
    assert got == [1, 42]


async def test_without_it_the_last_notification_comes_again_and_again(
    ports: Ports, expose: Expose, recorder: Recorder
) -> None:
    exposed = await expose(CoAPServer(port=ports.coap))
    got = await notifications_of_one_change(await consume(CoAPClient(), ports), exposed, recorder)
    assert got.count(42) > 100


async def test_td_cost_looks_ids_and_titles_up(
    ports: Ports, expose: Expose, monkeypatch: pytest.MonkeyPatch
) -> None:
    exposed = await expose(HTTPServer(port=ports.http))
    before = exposed.thing.id, exposed.thing.title, exposed.thing.url_name
    apply_fixes(["td-cost"])
    monkeypatch.setattr(
        Thing, "thing_fragment", property(lambda thing: pytest.fail("it built the description"))
    )
    assert (exposed.thing.id, exposed.thing.title, exposed.thing.url_name) == before
    assert exposed.id == LAMP


async def test_ws_teardown_takes_a_second_off_each_request(ports: Ports, expose: Expose) -> None:
    await expose(WebsocketServer(port=ports.ws))
    assert await seconds_of_a_read(WebsocketClient(), ports) > SLOW_S
    apply_fixes(["ws-teardown"])
    assert await seconds_of_a_read(WebsocketClient(), ports) < SLOW_S


async def test_mqtt_delivery_takes_a_second_off_each_request(ports: Ports, expose: Expose) -> None:
    async with running_broker(ports.mqtt):
        await expose(MQTTServer(f"mqtt://{HOST}:{ports.mqtt}", servient_id="n"))
        assert await seconds_of_a_read(MQTTClient(), ports) > SLOW_S
        apply_fixes(["mqtt-delivery", "mqtt-delivery"])
        assert await seconds_of_a_read(MQTTClient(), ports) < SLOW_S


def test_mqtt_delivery_leaves_an_apps_own_timeouts_alone() -> None:
    apply_fixes(["mqtt-delivery"])
    assert MQTTClient(deliver_timeout_secs=3)._deliver_timeout_secs == 3
    assert MQTTClient(4)._deliver_timeout_secs == 4
    assert MQTTClient(timeout_default=7)._timeout_default == 7


async def test_http_clients_raises_the_limit_that_all_requests_share() -> None:
    assert AsyncHTTPClient(force_instance=True).max_clients == 10
    apply_fixes(["http-clients"])
    assert AsyncHTTPClient(force_instance=True).max_clients == 1000


class TwoAddresses:
    """A name with one silent address, and one that answers."""

    def __init__(self, *addresses: tuple[str, int]) -> None:
        self.addresses = addresses

    async def resolve(self, *_: Any) -> list[tuple[int, Any]]:
        return [(socket.AF_INET, address) for address in self.addresses]


async def test_next_address_is_tried_while_the_first_one_is_silent() -> None:
    with contextlib.ExitStack() as stack:
        silent, answering = (stack.enter_context(socket.create_server((HOST, 0), backlog=0)) for _ in "ab")
        # A full backlog: the kernel drops what would connect, as a network does that was left.
        stack.enter_context(socket.create_connection(silent.getsockname()))
        client = TCPClient(TwoAddresses(silent.getsockname(), answering.getsockname()))
        with pytest.raises(NoAnswerError):
            await client.connect("peer", 1, timeout=0.9)
        apply_fixes(["next-address"])
        stream = await client.connect("peer", 1, timeout=9)
        assert stream.socket.getpeername() == answering.getsockname()
        stream.close()
