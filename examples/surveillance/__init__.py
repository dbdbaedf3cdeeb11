"""What surveillance_cloud.py and surveillance_edge.py have in common: cameras, users, and what is asked."""

from __future__ import annotations

from wotemu import Network, NetworkConditions, Node, NodeApp, Phase, Scenario
from wotemu.scenario import app, expect, p95

users_network = Network("users", NetworkConditions.CABLE)
uplinks = {
    "dock": Network("uplink-dock", NetworkConditions.REGULAR_3G, shared=True),
    "yard": Network("uplink-yard", NetworkConditions.LTE, shared=True),
}
CAMERAS = {"dock": 2, "yard": 6}
"""Cameras of each site."""
VIDEO = {"fps": 4, "width": 160, "height": 120, "quality": 50}


def cameras(site: str, network: Network) -> list[Node]:
    """The cameras of a site, on a network."""
    names = [f"camera-{site}-{number}" for number in range(1, CAMERAS[site] + 1)]
    return [Node(name, NodeApp("camera", http=True, params=VIDEO), networks=[network]) for name in names]


def detector(name: str, watched: list[Node], networks: list[Network]) -> Node:
    """What looks at the frames of these cameras."""
    hosts = [{"servient_host": each.name} for each in watched]
    return Node(name, NodeApp("detector", http=True, params={"cameras": hosts}), networks=networks)


def users(hosts: list[str]) -> list[Node]:
    """For each detector, one that reads the latest detections each second."""
    return [
        Node(
            f"user-of-{host}",
            NodeApp(
                "reader",
                params={
                    "servient_host": host,
                    "thing_id": "urn:wotemu:detector",
                    "properties": ["latestDetections"],
                    "timeout": 10,
                },
            ),
            networks=[users_network, *uplinks.values()],
        )
        for host in hosts
    ]


def scenario_of(*detectors: Node) -> Scenario:
    """Forty seconds; what a detection and a user's request may take, the same for both designs."""
    return Scenario(
        duration="40s",
        phases=[Phase("start", 0), Phase("steady", "10s")],
        expect=[
            *(expect(app(f"{each.name}.detection_latency").p95 < 1.0).during("steady") for each in detectors),
            expect(p95("readproperty", name="latestDetections") < "2s").during("steady"),
        ],
    )
