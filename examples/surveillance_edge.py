"""Eight cameras on two sites: what does a detector on each site save?

wotemu run examples/surveillance_edge.py

The counterpart of surveillance_cloud.py, which says more: here frames stay on the site's own network, and the
uplink carries what users read of the detectors.
"""

from __future__ import annotations

import surveillance as parts

from wotemu import Network, NetworkConditions, Node, Scenario, Topology

sites = {site: Network(f"site-{site}", NetworkConditions.WIFI) for site in parts.uplinks}
cameras = {site: parts.cameras(site, network) for site, network in sites.items()}
detectors: list[Node] = [
    parts.detector(f"detector-{site}", cameras[site], [sites[site], parts.uplinks[site]]) for site in sites
]


def topology() -> Topology:
    """The cameras and a detector on each site, its user behind the uplink."""
    everything = [each for group in cameras.values() for each in group]
    return Topology([*everything, *detectors, *parts.users([each.name for each in detectors])])


def scenario() -> Scenario:
    """What a detection and a user's request may take."""
    return parts.scenario_of(*detectors)
