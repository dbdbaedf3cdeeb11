"""A broker of an emulation that stores what it has and speaks TLS, through a crash of its node."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import Require
from tests.engine.conftest import PACE, paced
from wotemu import Emulation
from wotemu.scenario import Scenario, event
from wotemu.topology.models import Broker, Network, NetworkConditions, Node, NodeApp, Topology
from wotemu_runtime.app_process.scratch import IN_NAMESPACE
from wotemu_runtime.planning.mosquitto import find_mosquitto

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("namespaces", "no_leftovers")]

FIELD = Network("field", NetworkConditions(latency="5ms"))

# Subscribes in a session that the broker keeps, leaves, and publishes to it, and to whoever comes later.
BEFORE = """
import asyncio, os, ssl, aiomqtt
context = ssl.create_default_context(cafile=os.environ["WOTEMU_BROKER_CA"])
def client(name):
    return aiomqtt.Client("mqtt", 1883, identifier=name, clean_session=False, tls_context=context)
async def main():
    async with client("reader") as reader:
        await reader.subscribe("queued", qos=1)
    async with client("writer") as writer:
        for number in range(5):
            await writer.publish("queued", str(number), qos=1)
        await writer.publish("kept", "here", qos=1, retain=True)
asyncio.run(main())
"""

# Returns once the broker has stored the last of it.
STORED = ["sh", "-c", f"until grep -q here {IN_NAMESPACE}/*.db 2>/dev/null; do sleep 0.1; done"]

# Takes what the broker has for that session, and what is retained.
AFTER = """
import asyncio, os, ssl, aiomqtt
context = ssl.create_default_context(cafile=os.environ["WOTEMU_BROKER_CA"])
async def main():
    count = 0
    while count < 6:
        try:
            async with aiomqtt.Client(
                "mqtt", 1883, identifier="reader", clean_session=False, tls_context=context
            ) as reader:
                await reader.subscribe("kept", qos=1)
                async for message in reader.messages:
                    print(message.topic, message.payload.decode(), flush=True)
                    count += 1
                    if count == 6:
                        break
        except aiomqtt.MqttError:
            await asyncio.sleep(0.1)
asyncio.run(main())
"""


async def test_what_a_broker_has_stored_is_there_after_a_crash(tmp_path: Path, require: Require) -> None:
    require(find_mosquitto() is not None, "Mosquitto is not installed")
    broker = Broker("mqtt", [FIELD], tls=True, persistence=True)
    sensor = NodeApp("sensor", http=True, mqtt=True, wotpy_fixes=("td-cost",))
    found = {"servient_host": "sensor", "thing_id": "urn:wotemu:sensor"}
    topology = Topology([
        Node("client", command=["sleep", "1000"], networks=[FIELD]),
        Node("sensor", sensor, networks=[FIELD], broker=broker),
        Node("reader", NodeApp("reader", params=found), networks=[FIELD], broker=broker),
    ])  # fmt: skip
    async with Emulation(topology, Scenario(duration=paced(60)), out=tmp_path / "run") as run:
        await run.ready()
        before = await run.exec("client", [sys.executable, "-c", BEFORE], timeout=paced(20))
        assert before.returncode == 0, before.stderr
        await run.exec("mqtt", STORED, timeout=paced(20))
        await run.crash("mqtt")
        await run.wait_for(event("app.exited", node="mqtt"), timeout=paced(20))
        await run.restart("mqtt")
        after = await run.exec("client", [sys.executable, "-c", AFTER], timeout=paced(20))
        queued = [f"queued {number}" for number in range(5)]
        assert sorted(after.stdout.splitlines()) == ["kept here", *queued]
        async with asyncio.timeout(20 * PACE):
            while "mqtt" not in bindings(run):  # noqa: ASYNC110  # of rows there is no event
                await asyncio.sleep(0.1)
    assert any(run.result.events("broker.ready")), "its agent speaks TLS, too"
    figures = run.result.table("broker").collect()
    assert figures["key"].str.starts_with("$SYS/").all()
    left = b"".join(path.read_bytes() for path in run.result.run_dir.rglob("*") if path.is_file())
    assert b"PRIVATE KEY" not in left


def bindings(run: Emulation) -> set[str]:
    """The bindings by which properties have been read; that of MQTT has the broker's TLS."""
    reads = run.table("interactions").filter(
        pl.col("role") == "consumer", pl.col("op") == "readproperty", pl.col("status") == "ok"
    )
    return {*reads.collect()["binding"]}
