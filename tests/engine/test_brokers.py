"""A broker of an emulation that stores what it has and speaks TLS, through a crash of its node."""

from __future__ import annotations

import re
import sys

import polars as pl
import pytest

from tests.conftest import Require
from tests.engine.conftest import Emulate, paced
from wotemu.scenario import Scenario, at
from wotemu.topology.models import Broker, Network, NetworkConditions, Node, NodeApp, Topology
from wotemu_runtime.planning.mosquitto import find_mosquitto

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("no_leftovers")]

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
    print("published", flush=True)
asyncio.run(main())
"""

# Takes what the broker has for that session, and what is retained.
AFTER = """
import asyncio, os, ssl, aiomqtt
context = ssl.create_default_context(cafile=os.environ["WOTEMU_BROKER_CA"])
async def main():
    while True:
        try:
            async with aiomqtt.Client(
                "mqtt", 1883, identifier="reader", clean_session=False, tls_context=context
            ) as reader:
                await reader.subscribe("kept", qos=1)
                async for message in reader.messages:
                    print(message.topic, message.payload.decode(), flush=True)
        except aiomqtt.MqttError:
            await asyncio.sleep(0.1)
asyncio.run(main())
"""


async def test_what_a_broker_has_stored_is_there_after_a_crash(emulate: Emulate, require: Require) -> None:
    require(find_mosquitto() is not None, "Mosquitto is not installed")
    broker = Broker("mqtt", [FIELD], tls=True, persistence=True)
    sensor = NodeApp("sensor", http=True, mqtt=True, wotpy_fixes=("td-cost",))
    found = {"servient_host": "sensor", "thing_id": "urn:wotemu:sensor"}
    ran = await emulate(
        Topology([
            Node("before", command=[sys.executable, "-c", BEFORE], networks=[FIELD]),
            Node("after", command=[sys.executable, "-c", AFTER], networks=[FIELD]),
            Node("sensor", sensor, networks=[FIELD], broker=broker),
            Node("reader", NodeApp("reader", params=found), networks=[FIELD], broker=broker),
        ]),
        Scenario(
            duration=paced(9),
            events=[
                at(0).stop("after"),
                at(paced(5)).crash("mqtt"),
                at(paced(5.5)).restart("mqtt"),
                at(paced(6)).start("after"),
            ],
        ),
    )  # fmt: skip
    assert ran.result.status == "done", ran.result.error
    assert ran.log("before") == ["published"]
    lines = [line for line in ran.log("after") if re.match(r"(queued|kept) ", line)]
    assert sorted(lines) == ["kept here", *(f"queued {number}" for number in range(5))]
    reads = pl.read_parquet(ran.result.run_dir / "tables" / "interactions.parquet").filter(
        (pl.col("role") == "consumer") & (pl.col("op") == "readproperty") & (pl.col("status") == "ok")
    )
    assert "mqtt" in {*reads["binding"]}, "over TLS"
    assert ran.of_kind("broker.ready"), "its agent speaks TLS, too"
    figures = pl.read_parquet(ran.result.run_dir / "tables" / "broker.parquet")
    assert figures["key"].str.starts_with("$SYS/").all()
    left = b"".join(path.read_bytes() for path in ran.result.run_dir.rglob("*") if path.is_file())
    assert b"PRIVATE KEY" not in left
