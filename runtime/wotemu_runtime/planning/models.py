"""The plan of an emulation, its replicas and networks: values that engines and the coordinator share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from wotemu.scenario.timeline import Timeline
from wotemu.topology.placement import ANYWHERE, Placement
from wotemu.topology.resources import NodeResources
from wotemu.topology.topology import Topology
from wotemu_runtime.app_process.loading.spec import AppSpec

CAPTURE_ROLE = "capture"
CAPTURES = "captures"
"""The folder of captured packets in the run directory."""
PUBLISH_ROLE = "publish"
PROBE_EVERY_S = 1.0
"""How often a replica probes one peer on each of its networks."""


@attrs.frozen(kw_only=True)
class Replica:
    """One replica of a node, a broker or a service, and what it runs."""

    name: str
    node: str
    kind: str
    networks: tuple[str, ...]
    app: AppSpec | None = None
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    resources: NodeResources | None = None
    image: str | None = None
    """The container image that it needs; None means WoTemu's own."""
    placement: Placement = ANYWHERE
    publish: Mapping[int, int] = attrs.field(factory=dict)
    """Ports of this machine that lead to ports of the replica."""

    @property
    def runs(self) -> str:
        """What it runs, for people."""
        if self.kind == "broker":
            return "MQTT broker"
        if self.kind == "uplink":
            return f"way out, by {self.command[0]}"
        return self.app.target if self.app else " ".join(self.command) or str(self.image)


@attrs.frozen(kw_only=True)
class PlannedNetwork:
    """One network, whose gateway imposes `hops` on its members."""

    name: str
    shared: bool
    members: tuple[str, ...]
    hops: tuple[dict[str, Any], ...]
    has_gateway: bool = True
    """Whether its packets pass a gateway; on a cluster, those between a service on no network and its nodes
    don't."""
    mtu: int | None = None
    """The largest IP packet of its interfaces; None for what the engine has."""
    placement: Placement = ANYWHERE
    """Where its gateway may run."""
    probe_every_s: float = PROBE_EVERY_S
    """How often each member probes another one."""


@attrs.frozen
class Capture:
    """What is captured of a run: the packets of these replicas, up to so many bytes of each.

    `is_by_agents`: replicas' agents send their packets over the bus, where no role of one machine could.
    """

    replicas: tuple[str, ...]
    max_bytes: int
    is_by_agents: bool = False


@attrs.frozen(kw_only=True)
class Plan:
    """Everything that an engine has to place."""

    stack: str
    root: Path
    topology: Topology
    timeline: Timeline
    replicas: tuple[Replica, ...]
    networks: tuple[PlannedNetwork, ...]
    seed: int
    capture: Capture | None = None
    publishes_over_bus: bool = False
    """Whether connections to published ports are carried over the bus, as nodes are on other machines."""

    @property
    def emulated(self) -> tuple[PlannedNetwork, ...]:
        """The networks whose packets pass a gateway."""
        return tuple(network for network in self.networks if network.has_gateway)

    @property
    def agents(self) -> tuple[Replica, ...]:
        """What a role of WoTemu's runs or stands for: all but plain services that no gateway leads to."""
        gated = {network.name for network in self.emulated}
        return tuple(each for each in self.replicas if each.kind != "service" or gated & {*each.networks})

    @property
    def roles(self) -> frozenset[str]:
        """The roles that say when they are ready."""
        agents = [f"agent:{replica.name}" for replica in self.agents]
        others = [CAPTURE_ROLE] if self.capture_by_role is not None else []
        others += [PUBLISH_ROLE] if self.published and not self.publishes_over_bus else []
        return frozenset([*agents, *others, *(f"gateway:{network.name}" for network in self.emulated)])

    @property
    def capture_by_role(self) -> Capture | None:
        """What the capture role of this machine captures; None where there is none, or agents do."""
        return None if self.capture is None or self.capture.is_by_agents else self.capture

    @property
    def published(self) -> tuple[tuple[int, str, int], ...]:
        """Each published port of this machine, with the replica and the port there that it leads to."""
        return tuple((port, each.name, to) for each in self.replicas for port, to in each.publish.items())

    def replica(self, name: str) -> Replica:
        """The replica with this name."""
        return next(replica for replica in self.replicas if replica.name == name)
