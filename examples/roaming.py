"""What does a van notice that roams, while machines crash and a backhaul fades?

A day of trouble in a minute and a half: the station crashes, too, and a guard starts it again once the van
has failed to read.

wotemu plan examples/roaming.py --html plan.html
wotemu run examples/roaming.py
"""

from __future__ import annotations

from wotemu import (
    Link,
    Network,
    NetworkConditions,
    Node,
    NodeApp,
    Phase,
    Scenario,
    Topology,
    at,
    during,
    every,
    metric,
    sine,
    square,
    tag,
    when,
)
from wotemu.scenario import availability, errors, expect, node, p95

SENSOR = {"servient_host": "station", "thing_id": "urn:wotemu:sensor"}

yard = Network("yard", NetworkConditions.WIFI)
street = Network("street", NetworkConditions.LTE, shared=True)
backhaul = Link(
    street,
    up=NetworkConditions(latency="20ms", rate="8mbit"),
    down=NetworkConditions(latency="20ms"),
)

station = Node("station", NodeApp("sensor", http=True, ws=True), networks=[yard, backhaul])
van = Node("van", NodeApp("reader", params=SENSOR), networks=[yard, street])
meter = Node("meter", NodeApp("reader", params={**SENSOR, "rate": 1}), networks=[street], scale=4)
screen = Node("screen", NodeApp("subscriber", params=SENSOR), networks=[yard])

meters = tag("meters", meter)


def topology() -> Topology:
    """A station with a sensor, a van that roams, four meters, a screen."""
    return Topology([station, van, meter, screen])


def scenario() -> Scenario:
    """What happens to them in 90 seconds."""
    return Scenario(
        duration="90s",
        seed=2026,
        phases=[Phase("calm", 0), Phase("fading", "20s"), Phase("trouble", "45s"), Phase("after", "70s")],
        events=[
            during("5s", "90s").move(van, path=[("0s", yard), ("15s", street), ("60s", yard)], gap="400ms"),
            during("20s", "45s").ramp(backhaul, direction="up", rate=("8mbit", "250kbit"), keep=True),
            during("20s", "70s").wave(
                street, sine("10s") + square("3s", weight=0.3), latency=("30ms", "150ms"), every="500ms"
            ),
            during("45s", "70s").churn(meters, rate="12/min", downtime=("3s", "6s")),
            every("30s", start="10s").do(at(0).set(yard, loss="3%"), at("2s").restore(yard)),
            at("50s").crash(station),
            at("70s").restore(backhaul),
            when(metric("van.read_failures") > 0).do(at("1s").restart(station), within="80s"),
        ],
        expect=[
            expect(p95("readproperty", node=van) < "1s").during("calm"),
            expect(errors("readproperty", node=meter)).below("10%").during("calm"),
            expect(availability(van) > "80%"),
            expect(availability(meters) > "60%"),
            expect(p95("readproperty", node=van) < "1s").recovers(within="15s").after("after"),
            expect(node(screen).restarts == 0),
        ],
    )
