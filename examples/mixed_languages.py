"""What does a dashboard in JavaScript show of a meter in C, while the radio is bad and the office is cut off?

wotemu run examples/mixed_languages.py

The meter sends ten readings a second by UDP over a radio. A hub on WoTPy exposes the last one as a Thing. In
the office, a dashboard on Node.js and a built-in reader look at it, and a shell script watches the hub's
port. The programs in languages/ know nothing of WoTemu but where a StatsD server listens; the script calls
`wotemu-metric`. The meter's node compiles it when it starts. This needs a C compiler, Node.js 18 or newer,
and bash.
"""

from __future__ import annotations

from wotemu import Network, NetworkConditions, Node, NodeApp, Phase, Scenario, Topology, during
from wotemu.scenario import app, errors, expect, failures, http, p95

PORT = 7000
"""The UDP port at which the hub takes readings."""

READINGS = http("GET", "*/property/reading", node="dashboard", peer="hub")
"""What the dashboard asks the hub for, as it is seen on the wire."""

radio = Network("radio", NetworkConditions(latency="30ms", jitter="10ms", loss="1%"))
office = Network("office", NetworkConditions.WIFI)


def topology() -> Topology:
    """A meter, the hub, and three programs in the office that look at it."""
    look = {"servient_host": "hub", "thing_id": "urn:example:meter", "interval": 0.2, "timeout": 5}
    hub = NodeApp("languages/hub.py", http=True, params={"port": PORT})
    return Topology(
        [
            Node("hub", hub, networks=[radio, office]),
            Node("meter", command=["sh", "languages/meter.sh", "hub", str(PORT)], networks=[radio]),
            Node("dashboard", command=["node", "languages/dashboard.js", "hub"], networks=[office]),
            Node("display", NodeApp("reader", params=look), networks=[office]),
            Node("watch", command=["bash", "languages/watch.sh", "hub", "8080"], networks=[office]),
        ]
    )


def scenario() -> Scenario:
    """A minute: twenty seconds of a bad radio, and five in which the office is cut off."""
    return Scenario(
        duration="60s",
        phases=[
            Phase("calm", 0),
            Phase("bad radio", "20s"),
            Phase("calm again", "40s"),
            Phase("cut", "45s"),
            Phase("after", "50s"),
        ],
        events=[
            during("20s", "40s").set(radio, loss="20%", latency="80ms"),
            during("45s", "50s").cut("hub@office"),
        ],
        expect=[
            expect(app("dashboard.age").p95 < 500).during("calm"),
            expect(app("dashboard.age").p95 < 1000).during("bad radio"),
            expect(app("dashboard.age").p95 < 500).during("after"),
            expect(app("dashboard.took").p95 < 300).during("bad radio"),
            # The same as the packets have it, of a program that need not report anything.
            expect(p95(READINGS) < "300ms").during("bad radio"),
            expect(failures(READINGS) == 0).during("calm"),
            expect(errors(READINGS)).recovers(within="10s").after("after"),
            expect(app("hub.lost").last < 80),
            expect(app("meter.sent").last > 500),
        ],
    )
