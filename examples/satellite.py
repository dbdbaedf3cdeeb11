"""Do ships stay in touch over satellites that hand over every few seconds?

wotemu run examples/satellite.py

Two buoys and a ship use low-orbit satellites whose path to the ground changes at each handover, replayed from
examples/traces/leo_satellite.csv; a lighthouse has a geostationary one, far and steady.
"""

from __future__ import annotations

from pathlib import Path

from wotemu import Link, LinkConditions, Network, Node, NodeApp, Phase, Scenario, Topology, during
from wotemu.scenario import availability, errors, expect, p95

TRACE = Path(__file__).parent / "traces" / "leo_satellite.csv"

ground = Network("ground")
low_orbit = Link(ground, LinkConditions.STARLINK_US)
geostationary = Link(ground, LinkConditions.GEO_VIASAT_US)
SENSOR = {"servient_host": "weather", "thing_id": "urn:wotemu:sensor"}

weather = Node("weather", NodeApp("sensor", http=True, coap=True, ws=True), networks=[ground])
buoy = Node("buoy", NodeApp("reader", params={**SENSOR, "rate": 2}), networks=[low_orbit], scale=2)
ship = Node("ship", NodeApp("subscriber", params=SENSOR), networks=[low_orbit])
lighthouse = Node("lighthouse", NodeApp("reader", params={**SENSOR, "rate": 2}), networks=[geostationary])


def topology() -> Topology:
    """A weather station on the ground, and who uses it from the sea."""
    return Topology([weather, buoy, ship, lighthouse])


def scenario() -> Scenario:
    """Ten seconds of a steady satellite, then handovers."""
    return Scenario(
        duration="60s",
        phases=[Phase("steady", 0), Phase("handovers", "10s")],
        events=[during("10s", "60s").replay(low_orbit, TRACE, loop=True)],
        expect=[
            expect(p95("readproperty", node=buoy) < "500ms").during("handovers"),
            expect(p95("readproperty", node=lighthouse) < "2s"),
            expect(errors("readproperty")).below("5%"),
            expect(availability(buoy) > "90%"),
        ],
    )
