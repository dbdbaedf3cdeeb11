"""What do readers notice while a mobile link fades, is cut and heals?

wotemu run examples/quickstart.py

A sensor on a wired network is read over 3G and over WiFi. The apps below are ordinary WoTPy apps: what WoTemu
measures, it measures from outside.
"""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

from wotemu import Link, Network, NetworkConditions, Node, NodeApp, Phase, Scenario, Topology, at
from wotemu.app import Conf, consume_from_catalogue, wait_node, write_metric
from wotemu.scenario import errors, expect, node, p95

ROOF = "urn:example:roof"
THING = {
    "@context": "https://www.w3.org/2022/wot/td/v1.1",
    "id": ROOF,
    "title": "Roof",
    "security": ["nosec_sc"],
    "securityDefinitions": {"nosec_sc": {"scheme": "nosec"}},
    "properties": {"temperature": {"type": "number", "readOnly": True}},
    "events": {"reading": {"data": {"type": "object"}}},
}


async def sensor(wot: Any, conf: Conf, loop: asyncio.AbstractEventLoop, every: float = 1.0) -> None:
    """Expose the Thing, and emit a reading each second."""

    async def temperature() -> float:
        return round(20 + 5 * math.sin(loop.time() / 10), 2)

    thing = wot.produce(json.dumps(THING))
    thing.set_property_read_handler("temperature", temperature)
    thing.expose()
    while True:
        thing.emit_event("reading", {"celsius": await temperature()})
        await asyncio.sleep(every)


async def find_roof(wot: Any, conf: Conf) -> Any:
    """The Thing on the node "sensor", as soon as it is there."""
    await wait_node(conf, "sensor", thing_ids=[ROOF])
    return await consume_from_catalogue(wot, servient_host="sensor", thing_id=ROOF, conf=conf)


async def reader(wot: Any, conf: Conf, loop: asyncio.AbstractEventLoop, pause: float = 0.3) -> None:
    """Read the temperature over and over."""
    roof = await find_roof(wot, conf)
    while True:
        try:
            write_metric("celsius", await roof.properties["temperature"].read(timeout=5))
        except Exception as error:  # WoTPy raises bare exceptions for what went wrong on the way
            print(f"no temperature: {error}")
        await asyncio.sleep(pause)


async def subscriber(wot: Any, conf: Conf, loop: asyncio.AbstractEventLoop) -> None:
    """Follow the readings; subscribe again whenever that fails."""
    roof = await find_roof(wot, conf)
    while True:
        lost = loop.create_future()
        subscription = roof.events["reading"].subscribe(
            on_next=lambda item: write_metric("celsius", item.data["celsius"]),
            on_error=lambda error, lost=lost: lost.done() or lost.set_result(error),
        )
        print(f"subscription lost: {await lost}")
        subscription.dispose()
        await asyncio.sleep(1)


WIFI = NetworkConditions.WIFI
MOBILE = NetworkConditions.REGULAR_3G

backbone = Network("backbone", conditions=NetworkConditions.CABLE)
mobile_link = Link(backbone, up=MOBILE, down=MOBILE)
wifi_link = Link(backbone, up=WIFI, down=WIFI)

roof = Node(
    "sensor",
    NodeApp("quickstart.py:sensor", http=True, ws=True, wotpy_fixes=["td-cost"]),
    networks=[backbone],
)
read, follow = NodeApp("quickstart.py:reader"), NodeApp("quickstart.py:subscriber")
phone = Node("phone", read, networks=[mobile_link], scale=2)
laptop = Node("laptop", read, networks=[wifi_link], scale=2)
pager = Node("pager", follow, networks=[mobile_link])
display = Node("display", follow, networks=[wifi_link])


def topology() -> Topology:
    """One sensor, four readers, two subscribers."""
    return Topology([roof, phone, laptop, pager, display])


def scenario() -> Scenario:
    """A minute in which the mobile link fades, is cut, and heals."""
    return Scenario(
        duration="60s",
        phases=[Phase("clear", 0), Phase("fade", "15s"), Phase("cut", "30s"), Phase("healed", "40s")],
        events=[
            at("15s").set(mobile_link, latency="600ms", loss="5%", rate="200kbit"),
            at("30s").partition([phone, pager], [roof]),
            at("40s").heal(),
            at("40s").restore(mobile_link),
        ],
        expect=[
            expect(p95("readproperty", node=laptop) < "1s"),
            expect(errors("readproperty", node=phone)).below("20%").during("clear"),
            expect(node(roof).restarts == 0),
        ],
    )
