"""The apps of deployment.py: coroutine functions that use WoTPy. They need nothing else to be measured."""

import asyncio
import json
import random
from typing import Any

from wotemu.app import Conf, consume_from_catalogue, wait_node, write_metric

THERMOMETER = "urn:example:thermometer"
DESCRIPTION = {
    "@context": "https://www.w3.org/2022/wot/td/v1.1",
    "id": THERMOMETER,
    "title": "Thermometer",
    "security": ["nosec_sc"],
    "securityDefinitions": {"nosec_sc": {"scheme": "nosec"}},
    "properties": {"celsius": {"type": "number", "readOnly": True}},
}


async def thermometer(wot: Any, conf: Conf, loop: asyncio.AbstractEventLoop) -> None:
    """Expose a Thing with a property to read."""

    async def read() -> float:
        return 20 + random.random()

    thing = wot.produce(json.dumps(DESCRIPTION))
    thing.set_property_read_handler("celsius", read)
    thing.expose()


async def phone(wot: Any, conf: Conf, loop: asyncio.AbstractEventLoop, every_s: float = 1.0) -> None:
    """Read it over and over, and count what fails."""
    await wait_node(conf, "thermometer", thing_ids=[THERMOMETER])
    thing = await consume_from_catalogue(wot, servient_host="thermometer", thing_id=THERMOMETER, conf=conf)
    failures = 0
    while True:
        try:
            write_metric("celsius", await thing.properties["celsius"].read(timeout=2))
        except Exception as error:  # whatever a network that fails makes of it
            failures += 1
            write_metric("failures", failures)
            print(f"read failed: {error!r}")  # wotemu logs shows it
        await asyncio.sleep(every_s)
