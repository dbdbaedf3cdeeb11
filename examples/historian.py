"""How much does a cloud historian miss while the uplink of one plant is down?

wotemu run examples/historian.py

Each plant has sensors and a historian of its own. The one in the cloud fetches what those have stored every
five seconds over a slow uplink, one of which is cut for 15 seconds: it then has nothing new of this plant,
while the plant's own historian goes on.
"""

from __future__ import annotations

from wotemu import (
    Link,
    LinkConditions,
    Network,
    NetworkConditions,
    Node,
    NodeApp,
    Phase,
    Scenario,
    Topology,
    during,
)
from wotemu.scenario import app, availability, expect

wide = Network("wide", NetworkConditions.CABLE)
uplink = Link(wide, LinkConditions.LTE_TELIA_NO_MEDIUM)


def plant(name: str) -> list[Node]:
    """Two sensors, and a historian that reads them each second."""
    field = Network(f"field-{name}", NetworkConditions.WIFI)
    sensors = [Node(f"sensor-{name}-{n}", NodeApp("sensor", http=True), networks=[field]) for n in (1, 2)]
    observed = [{"servient_host": each.name, "thing_id": "urn:wotemu:sensor"} for each in sensors]
    store = NodeApp("historian", http=True, params={"observed_things": observed, "interval": 1})
    return [*sensors, Node(f"edge-{name}", store, networks=[field, uplink])]


def cloud(name: str) -> Node:
    """What fetches from one plant's historian."""
    params = {"downlink_servient_host": f"edge-{name}", "downlink_interval": 5, "downlink_buckets": 5}
    return Node(f"cloud-{name}", NodeApp("historian", http=True, params=params), networks=[wide])


north, south = plant("north"), plant("south")
clouds = {name: cloud(name) for name in ("north", "south")}


def topology() -> Topology:
    """Two plants and their historians in the cloud."""
    return Topology([*north, *south, *clouds.values()])


def scenario() -> Scenario:
    """A minute in which the uplink of the plant in the south is cut for 15 seconds."""
    return Scenario(
        duration="60s",
        phases=[Phase("up", 0), Phase("south is cut", "20s"), Phase("up again", "35s")],
        events=[during("20s", "35s").cut(f"{south[-1].name}@wide")],
        expect=[
            expect(availability(north[-1]) > "99%"),
            expect(availability(south[-1]) > "99%"),
            expect(app("cloud-north.historian_values").max > 40),
            expect(app("cloud-south.historian_values").max > 20),
        ],
    )
