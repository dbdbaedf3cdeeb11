"""A Thing to try every operation on, and a recorder that tests can wait on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from wotemu.records import Emission, Interaction, Record
from wotemu_runtime.app_process.messages import Claim

HOST = "127.0.0.1"
LAMP = "urn:test:lamp"
DESCRIPTION = {
    "@context": "https://www.w3.org/2022/wot/td/v1.1",
    "security": ["nosec_sc"],
    "securityDefinitions": {"nosec_sc": {"scheme": "nosec"}},
    "id": LAMP,
    "title": "My Lamp",
    "properties": {
        "level": {"type": "number", "observable": True},
        "broken": {"type": "number"},
    },
    "actions": {
        "double": {"input": {"type": "object"}, "output": {"type": "object"}},
        "fail": {"input": {"type": "object"}},
    },
    "events": {"flash": {"data": {"type": "string"}}},
}
DEADLINE_S = 10.0

Facts = tuple[str, str, str, str, int | None, bool]
Expose = Callable[..., Awaitable[Any]]


class Recorder:
    """Keeps the records, and wakes who waits for one."""

    def __init__(self) -> None:
        self.records: list[Interaction] = []
        self.emissions: list[Emission] = []
        self.claims: list[Claim] = []
        self._news = asyncio.Event()

    def __call__(self, record: Record) -> None:
        if isinstance(record, Interaction):
            self.records.append(record)
        else:
            assert isinstance(record, Emission)
            self.emissions.append(record)
        self._news.set()

    def of(self, role: str) -> list[Interaction]:
        """One side's records."""
        return [record for record in self.records if record.role == role]

    def facts(self, role: str | None = None) -> list[Facts]:
        """Role, operation, name, stage, bytes and ok of each record."""
        chosen = self.records if role is None else self.of(role)
        return [(r.role, r.op, r.name, r.stage, r.bytes, r.status == "ok") for r in chosen]

    async def until(self, role: str, stage: str, count: int = 1) -> None:
        """Wait until one side has so many records of a stage."""
        async with asyncio.timeout(DEADLINE_S):
            while sum(record.stage == stage for record in self.of(role)) < count:
                self._news.clear()
                await self._news.wait()


@contextlib.asynccontextmanager
async def running_broker(port: int) -> AsyncIterator[None]:
    """An MQTT broker on this port, in a process of its own: amqtt's does not tidy up after itself."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "wotemu_runtime.broker.server", str(port), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await accepting(port)
        yield
    finally:
        process.kill()
        await process.wait()


async def accepting(port: int) -> None:
    """Wait until something listens on this port of loopback."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            await writer.wait_closed()
            return


async def expose_lamp(wot: Any) -> Any:
    """Produce and expose the lamp."""

    async def double(wanted: dict[str, float]) -> dict[str, float]:
        return {"twice": 2 * wanted["it"]}

    async def fail(_wanted: Any = None) -> None:
        raise RuntimeError("it can't")

    thing = wot.produce(json.dumps(DESCRIPTION))
    thing.set_action_handler("double", double)
    thing.set_action_handler("fail", fail)
    thing.set_property_read_handler("broken", fail)
    await thing.write_property("level", 1)
    thing.expose()
    return thing
