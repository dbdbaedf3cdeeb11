"""Which binding still works for a bus whose 3G fades along the way?

wotemu run examples/fading_3g.py

Four passengers' devices read the same Thing over the link that a bus had, replayed from examples/traces/: one
over HTTP, one over WebSocket, one over CoAP, one over MQTT. The report's percentiles by binding are the
answer.
"""

from __future__ import annotations

from pathlib import Path

from wotemu import Broker, Link, Network, NetworkConditions, Node, NodeApp, Phase, Scenario, Topology, during
from wotemu.scenario import errors, expect, p95

TRACES = Path(__file__).parent / "traces"

city = Network("city", NetworkConditions.CABLE)
bus = Link(city, up=NetworkConditions(latency="60ms"), down=NetworkConditions(latency="60ms"))
broker = Broker("broker", [city])


def stop_of(binding: str) -> Node:
    """A Thing that has this binding alone, so that nobody can choose another."""
    app = NodeApp(
        "sensor", http=binding == "http", ws=binding == "ws", coap=binding == "coap", mqtt=binding == "mqtt"
    )
    return Node(f"stop-{binding}", app, networks=[city], broker=broker if binding == "mqtt" else None)


def passenger(binding: str) -> Node:
    """Reads it twice a second on the bus."""
    params = {"servient_host": f"stop-{binding}", "thing_id": "urn:wotemu:sensor", "rate": 2}
    return Node(f"bus-{binding}", NodeApp("reader", params=params), networks=[bus])


BINDINGS = ("http", "ws", "coap", "mqtt")
stops, passengers = [stop_of(each) for each in BINDINGS], [passenger(each) for each in BINDINGS]


def topology() -> Topology:
    """A Thing and a device for each binding."""
    return Topology([*stops, *passengers])


def scenario() -> Scenario:
    """Ten seconds of standing, then the drive."""
    return Scenario(
        duration="60s",
        phases=[Phase("standing", 0), Phase("driving", "10s")],
        events=[
            during("10s", "60s").replay(bus, TRACES / "hspa_bus.up", direction="up", loop=True),
            during("10s", "60s").replay(bus, TRACES / "hspa_bus.down", direction="down", loop=True),
        ],
        expect=[
            *(expect(p95("readproperty", node=each) < "2s").during("driving") for each in passengers),
            expect(errors("readproperty")).below("10%"),
        ],
    )
