"""Takes a meter's readings by UDP, and exposes the last one as a Thing."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from wotemu.app import Conf, write_metric

METER = {
    "@context": "https://www.w3.org/2022/wot/td/v1.1",
    "id": "urn:example:meter",
    "title": "Meter",
    "security": ["nosec_sc"],
    "securityDefinitions": {"nosec_sc": {"scheme": "nosec"}},
    "properties": {
        "reading": {
            "type": "object",
            "readOnly": True,
            "properties": {
                "number": {"type": "integer"},
                "t": {"type": "number"},
                "level": {"type": "number"},
            },
        }
    },
}


@dataclass
class Readings(asyncio.DatagramProtocol):
    """What has come from the meter.

    Attributes:
        last: The newest reading: its number, when it was taken in seconds since the epoch, the level.
        count: How many came.
    """

    last: dict[str, float] = field(default_factory=lambda: {"number": 0, "t": 0.0, "level": 0.0})
    count: int = 0

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Keep a reading unless a newer one has overtaken it."""
        number, t, level = data.split()
        self.count += 1
        if int(number) > self.last["number"]:
            self.last = {"number": int(number), "t": float(t), "level": float(level)}


async def app(wot: Any, conf: Conf, loop: asyncio.AbstractEventLoop, port: int) -> None:
    """Expose the Thing, and report each second how many readings came and how many did not."""
    _, readings = await loop.create_datagram_endpoint(Readings, local_addr=("0.0.0.0", port))

    async def latest() -> dict[str, float]:
        return readings.last

    thing = wot.produce(json.dumps(METER))
    thing.set_property_read_handler("reading", latest)
    thing.expose()
    while True:
        write_metric("received", readings.count)
        write_metric("lost", readings.last["number"] - readings.count)
        await asyncio.sleep(1)
