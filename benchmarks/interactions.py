"""What measuring costs an app: CPU time of an interaction with the meter, beside the same one without.

    python -m benchmarks.interactions [--count 5000] [--rounds 7] [--check] [--slack 1] [--json FILE]

A consumer reads a property, and gets an event, through WoTPy's own classes over a client without a protocol;
a producer serves a read, and emits an event to one subscriber. Records go through the app's socket to a
process that drops them, as they go to a node's agent. With and without the meter take turns; the median of
the rounds is printed, in microseconds of CPU time of the app's process.

`--check` exits with 1 where the meter adds more than 50 us to one of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from reactivex.subject import Subject
from wotpy.protocols.http.server import HTTPServer
from wotpy.wot.consumed.thing import ConsumedThing
from wotpy.wot.servient import Servient
from wotpy.wot.td import ThingDescription
from wotpy.wot.wot import WoT

from wotemu_runtime.app_process.agent_connection import AgentConnection
from wotemu_runtime.app_process.measuring.interaction_meter import Meter
from wotemu_runtime.app_process.measuring.wotpy_hooks import install
from wotemu_runtime.app_process.messages import PACKET_BYTES
from wotemu_runtime.app_process.record_sockets import socket_pair

GOAL_US = 50.0
VALUE = {"celsius": 21.5, "at": "roof"}
THING = {
    "@context": "https://www.w3.org/2022/wot/td/v1.1",
    "security": ["nosec_sc"],
    "securityDefinitions": {"nosec_sc": {"scheme": "nosec"}},
    "id": "urn:bench:roof",
    "title": "Roof",
    "properties": {"reading": {"type": "object", "observable": True}},
    "events": {"news": {"data": {"type": "object"}}},
}

Repeated = Callable[[int], Awaitable[None]]
"""Performs an interaction so many times."""


class Client:
    """A protocol client that answers at once."""

    protocol = "BENCH"

    def __init__(self) -> None:
        self.news: Subject[Any] = Subject()

    def is_supported_interaction(self, td: Any, name: str) -> bool:  # noqa: ARG002
        """Every one."""
        return True

    async def read_property(self, td: Any, name: str, timeout: float | None = None) -> Any:  # noqa: ARG002
        """The value."""
        return VALUE

    def on_event(self, td: Any, name: str) -> Any:  # noqa: ARG002
        """The source of all events."""
        return self.news


class Item:
    """An event as a client delivers it."""

    name = "news"
    data = VALUE


def interactions() -> dict[str, Repeated]:
    """The interactions, on Things that are made with WoTPy as it is now: measured or not."""
    client = Client()
    consumed = ConsumedThing(
        Servient(hostname="here", catalogue_port=None, clients=[client]), ThingDescription(THING)
    )
    consumed.on_event("news").subscribe(on_next=lambda _item: None)
    server = HTTPServer(port=1)
    servient = Servient(hostname="here", catalogue_port=None)
    servient.add_server(server)
    exposed = WoT(servient).produce(json.dumps(THING))
    exposed.expose()
    view = server.get_exposed_thing("roof")
    view.on_event("news").subscribe(on_next=lambda _item: None)

    async def read(count: int) -> None:
        for _ in range(count):
            await consumed.read_property("reading")

    async def get(count: int) -> None:
        for _ in range(count):
            client.news.on_next(Item)

    async def serve(count: int) -> None:
        for _ in range(count):
            await view.read_property("reading")

    async def emit(count: int) -> None:
        for _ in range(count):
            exposed.emit_event("news", VALUE)

    return {"read": read, "event received": get, "read served": serve, "event emitted, to one": emit}


def drain(agent: socket.socket, own: socket.socket) -> int:
    """Start a process that drops what comes until `own` is closed; its id."""
    pid = os.fork()
    if not pid:
        own.close()
        while agent.recv(PACKET_BYTES):
            pass
        os._exit(0)
    agent.close()
    return pid


async def cpu_us(interaction: Repeated, count: int) -> float:
    """Microseconds of CPU time of one interaction."""
    begun = time.process_time()
    await interaction(count)
    return (time.process_time() - begun) / count * 1e6


async def measure(count: int, rounds: int, sink: Callable[[Any], None]) -> dict[str, dict[str, float]]:
    """The medians of each interaction, with the meter and without."""
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(rounds):
        for how in ("without", "with"):
            with install(Meter("bench", sink)) if how == "with" else nullcontext():
                for name, interaction in interactions().items():
                    await interaction(count // 10)
                    found.setdefault(name, {}).setdefault(how, []).append(await cpu_us(interaction, count))
    return {name: {how: statistics.median(us) for how, us in both.items()} for name, both in found.items()}


def main() -> None:
    """Measure, print the table, and check the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--slack", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    agent, own = socket_pair()
    pid = drain(agent, own)
    connection = AgentConnection(own)
    found = asyncio.run(measure(given.count, given.rounds, connection.record))
    own.close()
    os.waitpid(pid, 0)
    print(f"{'':24}{'without':>10}{'with':>10}{'added':>10}{'ratio':>8}")
    for name, us in found.items():
        added, ratio = us["with"] - us["without"], us["with"] / us["without"]
        print(f"{name:24}{us['without']:>7.1f} us{us['with']:>7.1f} us{added:>7.1f} us{ratio:>8.2f}")
    if given.json:
        given.json.write_text(json.dumps(found))
    if given.check and any(us["with"] - us["without"] > GOAL_US * given.slack for us in found.values()):
        sys.exit(f"goal missed: measuring adds at most {GOAL_US:g} us to an interaction")


if __name__ == "__main__":
    main()
