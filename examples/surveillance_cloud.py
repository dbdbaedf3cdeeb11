"""Eight cameras on two sites: can their frames be looked at in the cloud?

wotemu run examples/surveillance_cloud.py
wotemu run examples/surveillance_edge.py
wotemu compare runs/surveillance_cloud runs/surveillance_edge

Each site's cameras send every frame over the site's uplink (3G and LTE, which its cameras share) to one
detector. Of surveillance_edge.py the detectors are on the sites. Both have the same objectives, and `compare`
puts them side by side. It needs OpenCV: pip install '.[vision]'
"""

from __future__ import annotations

import surveillance as parts

from wotemu import Node, Scenario, Topology

cameras: list[Node] = [each for site, uplink in parts.uplinks.items() for each in parts.cameras(site, uplink)]
detector = parts.detector("detector", cameras, [*parts.uplinks.values(), parts.users_network])


def topology() -> Topology:
    """The cameras on their uplinks, the detector and its user in the cloud."""
    return Topology([*cameras, detector, *parts.users(["detector"])])


def scenario() -> Scenario:
    """What a detection and a user's request may take."""
    return parts.scenario_of(detector)
