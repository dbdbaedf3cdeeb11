"""Real servers on loopback, and WoTPy's classes as they were after each test."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.tcpclient import _Connector
from wotpy.protocols.coap.client import CoAPClient
from wotpy.protocols.mqtt.client import MQTTClient
from wotpy.protocols.ws.client import WebsocketClient
from wotpy.wot.servient import Servient
from wotpy.wot.thing import Thing

from wotemu.app import Ports
from wotemu_runtime.app_process.measuring.interaction_meter import Meter
from wotemu_runtime.app_process.measuring.wotpy_hooks import install
from wotemu_runtime.app_process.wotpy_patches import apply_fixes

from .lamp import HOST, Expose, Recorder, expose_lamp

PATCHED = [
    (CoAPClient, "_build_subscribe"),
    (MQTTClient, "__init__"),
    (MQTTClient, "DELIVER_TERMINATE_LOOP_SLEEP_SECS"),
    (Thing, "id"),
    (Thing, "title"),
    (WebsocketClient, "SLEEP_AFTER_ERR_SECS"),
    (WebsocketClient, "RECEIVE_LOOP_TERMINATE_SLEEP_SECS"),
    (_Connector, "split"),
]


@pytest.fixture(autouse=True)
def udp_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """CoAP servers otherwise listen on fixed TCP ports, too, which two of them would fight for."""
    monkeypatch.setenv("AIOCOAP_SERVER_TRANSPORT", "udp6")


@pytest.fixture
def wotpy_as_it_was() -> Iterator[None]:
    """What fixes replace is put back."""
    before = [(owner, name, owner.__dict__[name]) for owner, name in PATCHED]
    yield
    for owner, name, value in before:
        setattr(owner, name, value)
    AsyncHTTPClient.configure(None)


@pytest.fixture
def fast_clients(wotpy_as_it_was: None) -> None:
    """Without WoTPy's one-second sleeps and its endless CoAP notifications."""
    apply_fixes(["coap-observe", "ws-teardown", "mqtt-delivery"])


@pytest.fixture
def ports() -> Ports:
    """Ports that were free a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(5)]
        for one in sockets:
            one.bind((HOST, 0))
        http, ws, coap, mqtt, catalogue = (one.getsockname()[1] for one in sockets)
    return Ports(http=http, ws=ws, coap=coap, mqtt=mqtt, catalogue=catalogue)


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    """What a meter that is hung into WoTPy records during the test."""
    recorder = Recorder()
    with install(Meter("node-1", recorder, recorder.claims.append)):
        yield recorder


@pytest.fixture
async def expose(ports: Ports) -> AsyncIterator[Expose]:
    """Starts a servient with the given servers and returns the lamp that it exposes."""
    async with contextlib.AsyncExitStack() as stack:

        async def started(*servers: Any) -> Any:
            servient = Servient(hostname=HOST, catalogue_port=ports.catalogue)
            for server in servers:
                servient.add_server(server)
            wot = await servient.start()
            stack.push_async_callback(servient.shutdown)
            return await expose_lamp(wot)

        yield started
