"""Does a home go on working while its hub's WiFi is bad, and while a device keeps failing?

wotemu run examples/smart_home.py

Sensors on a radio speak MQTT through a broker at home; the hub serves HTTP to phones, and keeps what it reads
in a database. One device crashes at random times. In the second phase the radio gets worse, in the third it
recovers.
"""

from __future__ import annotations

from wotemu import Broker, Network, NetworkConditions, Node, NodeApp, Phase, Scenario, Topology, at
from wotemu.scenario import app, availability, errors, expect, node, p95

radio = Network("radio", NetworkConditions.WIFI, shared=True)
home = Network("home", NetworkConditions.CABLE)
broker = Broker("broker", [radio])

clock = Node("clock", NodeApp("clock", mqtt=True), networks=[radio], broker=broker)
boiler = Node("boiler", NodeApp("sensor", http=True), networks=[radio])
flaky = Node("flaky", NodeApp("error", params={"mean_time": 20}), networks=[radio])
hub = Node(
    "hub",
    NodeApp(
        "historian",
        http=True,
        params={
            "observed_things": [{"servient_host": "boiler", "thing_id": "urn:wotemu:sensor"}],
            "interval": 1,
        },
    ),
    networks=[radio, home],
)
display = Node(
    "display",
    NodeApp("subscriber", params={"servient_host": "clock", "thing_id": "urn:wotemu:clock"}),
    networks=[radio],
)
phone = Node(
    "phone",
    NodeApp(
        "caller",
        params={
            "servient_host": "hub",
            "thing_id": "urn:wotemu:historian",
            "actions": ["get"],
            "params": {"get": {"buckets": 5}},
            "interval": 1,
        },
    ),
    networks=[home],
    scale=2,
)


def topology() -> Topology:
    """A broker, two sensors, a display, a hub with a database, two phones, a device that fails."""
    return Topology([clock, boiler, flaky, hub, display, phone])


def scenario() -> Scenario:
    """A minute: calm, a bad radio, calm again."""
    return Scenario(
        duration="60s",
        phases=[Phase("calm", 0), Phase("bad radio", "20s"), Phase("calm again", "40s")],
        events=[at("20s").set(radio, loss="10%", latency="60ms", rate="500kbit"), at("40s").restore(radio)],
        expect=[
            expect(p95("invokeaction", node=phone) < "500ms"),
            expect(availability(phone) > "95%"),
            expect(errors("readproperty", node=hub)).below("5%"),
            expect(app("hub.historian_values").max > 20),
            expect(node(hub).restarts == 0),
        ],
    )
