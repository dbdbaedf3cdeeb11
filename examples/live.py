"""Watch a deployment and change it while it runs, from Python: ``python examples/live.py``."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import polars as pl

from wotemu import (
    Emulation,
    Link,
    Network,
    NetworkConditions,
    Node,
    NodeApp,
    Scenario,
    Topology,
    during,
    event,
    metric,
    sweep,
)
from wotemu.app import Conf, consume_from_catalogue, wait_node, write_metric

ROOF = "urn:example:roof"
THING = {
    "@context": "https://www.w3.org/2022/wot/td/v1.1",
    "id": ROOF,
    "title": "Roof",
    "security": ["nosec_sc"],
    "securityDefinitions": {"nosec_sc": {"scheme": "nosec"}},
    "properties": {"temperature": {"type": "number", "readOnly": True}},
}


async def sensor(wot: Any, conf: Conf, loop: asyncio.AbstractEventLoop) -> None:
    """Expose a thermometer."""

    async def read() -> float:
        return 20 + random.random()

    thing = wot.produce(json.dumps(THING))
    thing.set_property_read_handler("temperature", read)
    thing.expose()


async def phone(wot: Any, conf: Conf, loop: asyncio.AbstractEventLoop, every_s: float) -> None:
    """Read it, and count what fails."""
    await wait_node(conf, "sensor", thing_ids=[ROOF])
    roof = await consume_from_catalogue(wot, servient_host="sensor", thing_id=ROOF, conf=conf)
    errors = 0
    while True:
        try:
            write_metric("celsius", await roof.properties["temperature"].read(timeout=1))
        except Exception:  # whatever a network that fails makes of it
            errors += 1
            write_metric("errors", errors)
        await asyncio.sleep(every_s)


field = Network("field", NetworkConditions(latency="20ms", loss="1%"))
mobile = Link(field, NetworkConditions.LTE)


def topology(every_s: float = 0.5) -> Topology:
    """A sensor, and phones on a mobile network."""
    return Topology(
        [
            Node("sensor", NodeApp(sensor, http=True), networks=[field]),
            Node("phone", NodeApp(phone, params={"every_s": every_s}), networks=[mobile], scale=2),
        ]
    )


def scenario() -> Scenario:
    """A minute with a lossy third."""
    return Scenario(duration="60s", events=[during("20s", "40s").set(mobile, loss="5%")], seed=7)


async def main() -> None:
    """Run it, and do to it what comes to mind."""
    async with Emulation(topology(), scenario(), name="live") as emulation:
        await emulation.ready()
        async for happened in emulation.events("app.*"):
            print(f"{happened.kind}: {happened.message}")
            if happened.kind == "app.ready" and happened.source == "agent:sensor":
                break
        await emulation.wait_for(metric("phone-1.celsius") > 0, timeout="20s")
        await emulation.wait_for(metric("phone-2.celsius") > 0, timeout="20s")
        done = await emulation.exec("phone-1", ["ping", "-c3", "-i0.2", "sensor"])
        print(done.stdout.splitlines()[-1])

        print(await emulation.set(mobile, latency="300ms"))
        await emulation.partition(["phone"], ["sensor"])
        await emulation.wait_for(metric("phone.errors") > 2, timeout="30s")
        await emulation.heal()

        await emulation.crash("phone-2")
        await emulation.wait_for(event("app.exited", node="phone-2"), timeout="5s")
        await emulation.restart("phone-2")
        await emulation.at(emulation.now + 3)
        read = emulation.table("interactions").filter(pl.col("role") == "consumer", pl.col("s") > 1)
        print(read.group_by("node").agg(pl.len(), pl.col("duration").median()).collect())
    run = emulation.result
    print(run, run.certificate)

    runs = await sweep(topology, Scenario(duration="5s"), seeds=range(2), every_s=[0.2, 1.0])
    print(runs.frame.select("every_s", "seed", "status", "verdict"))
    print(runs.table("interactions").group_by("every_s", "seed").agg(pl.len()).collect())


if __name__ == "__main__":
    asyncio.run(main())
