"""The programs of `benchmarks.stopwatch`: a Thing, and a consumer with a stopwatch of its own.

The consumer runs as an app, as a command (``python own.py HOST COUNT``), and as a child of that command
(``python own.py HOST COUNT spawn``). It knows nothing of what WoTemu measures.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from wotpy.protocols.coap.client import CoAPClient
from wotpy.protocols.http.client import HTTPClient
from wotpy.protocols.mqtt.client import MQTTClient
from wotpy.protocols.ws.client import WebsocketClient
from wotpy.wot.servient import Servient
from wotpy.wot.wot import WoT

from wotemu.app import Conf, consume_from_catalogue, write_metric
from wotemu_runtime.app_process.wotpy_patches import apply_fixes

THING = {
    "@context": "https://www.w3.org/2022/wot/td/v1.1",
    "security": ["nosec_sc"],
    "securityDefinitions": {"nosec_sc": {"scheme": "nosec"}},
    "id": "urn:stopwatch:lamp",
    "title": "lamp",
    "properties": {
        "colour": {"type": "string"},
        "target": {"type": "number"},
        "level": {"type": "number", "observable": True},
        "broken": {"type": "number"},
    },
    "actions": {
        "double": {"input": {"type": "object"}, "output": {"type": "object"}},
        "fail": {"input": {"type": "object"}},
    },
    "events": {"flash": {"data": {"type": "number"}}},
}
EMIT_EVERY_S = 0.05
FIXES = ("coap-observe", "mqtt-delivery", "ws-teardown")
"""Without them, requests over two bindings take a second, and a CoAP subscription delivers without end."""
TIMEOUT_S = 2.0
BROKEN_TIMEOUT_S = 0.5
"""Over MQTT, nobody answers a read that fails."""
PATIENCE = 4.0
"""Times as long as it takes to emit its items, a subscription waits for them: some lose one now and then."""
TRY_AGAIN_S = 0.2
AFTERWARDS_S = 0.5
"""So long items may still come that were under way when a subscription ended."""
DONE = "done"
"""The metric that says that a consumer has measured everything."""
MARK = "stopwatch "
"""What lines with measurements begin with."""
PER_LINE = 500

CLIENTS: dict[str, Callable[[], Any]] = {
    "http": HTTPClient,
    "ws": WebsocketClient,
    "coap": CoAPClient,
    "mqtt": lambda: MQTTClient(msg_wait_timeout_secs=0.2),
}


async def lamp(wot: Any, conf: Conf, loop: asyncio.AbstractEventLoop) -> None:  # noqa: ARG001
    """Expose the Thing, and change its observable property and emit its event without end."""

    async def double(wanted: dict[str, float]) -> dict[str, float]:
        return {"twice": 2 * wanted["it"]}

    async def fail(_wanted: Any = None) -> None:
        raise RuntimeError("it can't")

    thing = wot.produce(json.dumps(THING))
    thing.set_action_handler("double", double)
    thing.set_action_handler("fail", fail)
    thing.set_property_read_handler("broken", fail)
    for name, value in (("colour", "red"), ("target", 0), ("level", 0)):
        await thing.write_property(name, value)
    thing.expose()
    number = 0
    while True:
        await asyncio.sleep(EMIT_EVERY_S)
        number += 1
        await thing.write_property("level", number)
        thing.emit_event("flash", number)


class Stopwatch:
    """What one consumer measures over one binding, in seconds."""

    def __init__(self, binding: str) -> None:
        self._binding = binding
        self._found: dict[tuple[str, str, str], list[float]] = {}

    def add(self, op: str, stage: str, status: str, seconds: float) -> None:
        """Take one measurement."""
        self._found.setdefault((op, stage, status), []).append(seconds)

    async def request(self, op: str, call: Callable[..., Awaitable[Any]], *args: Any, timeout: float) -> None:
        """Measure one request."""
        status = "ok"
        start = time.perf_counter()
        try:
            await call(*args, timeout=timeout)
        except Exception:  # WoTPy raises bare ones
            status = "failed"
        self.add(op, "request", status, time.perf_counter() - start)

    async def subscription(self, op: str, source: Any, items: int) -> None:
        """Measure a subscription, until so many items should have come: when each came, and when it ended."""
        came, enough = list[float](), asyncio.Event()

        def on_next(_item: Any) -> None:
            came.append(time.perf_counter())
            if len(came) >= items:
                enough.set()

        start = time.perf_counter()
        subscribed = source.subscribe(on_next=on_next, on_error=lambda _error: enough.set())
        self.add(op, "subscribe", "ok", 0.0)
        with contextlib.suppress(TimeoutError):  # then it has fewer
            await asyncio.wait_for(enough.wait(), items * EMIT_EVERY_S * PATIENCE)
        subscribed.dispose()
        self.add(op, "end", "ok", time.perf_counter() - start)
        await asyncio.sleep(AFTERWARDS_S)
        for each in came:
            self.add(op, "next", "ok", each - start)

    def lines(self) -> Iterator[str]:
        """The measurements, in microseconds."""
        for (op, stage, status), seconds in self._found.items():
            for start in range(0, len(seconds), PER_LINE):
                us = [round(each * 1e6) for each in seconds[start : start + PER_LINE]]
                key = {"binding": self._binding, "op": op, "stage": stage, "status": status}
                yield MARK + json.dumps({**key, "us": us})


async def consume(binding: str, host: str) -> Any:
    """The Thing, once it is there, by a servient that has this binding's client alone."""
    wot = WoT(Servient(hostname="localhost", catalogue_port=None, clients=[CLIENTS[binding]()]))
    while True:
        try:
            return await consume_from_catalogue(wot, servient_host=host, thing_id=THING["id"])  # type: ignore[arg-type]
        except (OSError, LookupError, ValueError):
            await asyncio.sleep(TRY_AGAIN_S)


async def measure(binding: str, host: str, count: int) -> Stopwatch:
    """Do each operation `count` times; half as many items, a fifth of failing invocations, and a tenth of
    failing reads.
    """
    thing, watch = await consume(binding, host), Stopwatch(binding)
    for number in range(count):
        await watch.request("readproperty", thing.read_property, "colour", timeout=TIMEOUT_S)
        await watch.request("writeproperty", thing.write_property, "target", number, timeout=TIMEOUT_S)
        await watch.request("invokeaction", thing.invoke_action, "double", {"it": number}, timeout=TIMEOUT_S)
    for _ in range(count // 5):
        await watch.request("invokeaction", thing.invoke_action, "fail", {}, timeout=TIMEOUT_S)
    for _ in range(count // 10):
        await watch.request("readproperty", thing.read_property, "broken", timeout=BROKEN_TIMEOUT_S)
    await watch.subscription("observeproperty", thing.on_property_change("level"), count // 2)
    await watch.subscription("subscribeevent", thing.on_event("flash"), count // 2)
    return watch


async def measure_all(host: str, count: int) -> None:
    """Measure over one binding after another, and print what was found."""
    apply_fixes(FIXES)
    for binding in CLIENTS:
        watch = await measure(binding, host, count)
        print("\n".join(watch.lines()), flush=True)
    write_metric(DONE, 1)


async def consumer(wot: Any, conf: Conf, loop: asyncio.AbstractEventLoop, host: str, count: int) -> None:  # noqa: ARG001
    """The consumer as an app."""
    await measure_all(host, count)


def run(host: str, count: int) -> None:
    """The consumer as a program, or as the child of one."""
    asyncio.run(measure_all(host, count))


def main(host: str, count: str, method: str = "") -> None:
    """Measure here, or in a child that is started by a method of `multiprocessing`."""
    if not method:
        run(host, int(count))
        return
    multiprocessing.set_start_method(method)
    child = multiprocessing.Process(target=run, args=(host, int(count)))
    child.start()
    child.join()
    sys.exit(child.exitcode)


if __name__ == "__main__":
    main(*sys.argv[1:])
