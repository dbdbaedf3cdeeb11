"""The gateway role under the local engine: one network's switch, its timeline and its counters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import uvloop

from wotemu.errors import EmulationError
from wotemu.scenario.timeline import DIRECTIONS, Change, Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.crossing import hop_conditions
from wotemu_gateways.switch import Member, Switch
from wotemu_gateways.tun import Pump
from wotemu_runtime.assignment import Assignment
from wotemu_runtime.role import Role, on_bus
from wotemu_runtime.stalls import watch_stalls

DRAIN_EVERY_S = 1.0

HopKey = tuple[str | None, Direction]
"""A node (None: the network's own conditions) and a direction."""


class NetworkState:
    """One network's conditions as the timeline has left them, and what they come to for each replica."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.network: str = data["network"]
        self.shared: bool = data["shared"]
        self.nodes: dict[str, str] = {member["replica"]: member["node"] for member in data["members"]}
        self._conditions: dict[HopKey, NetworkConditions] = {
            (hop["node"], hop["direction"]): NetworkConditions.from_dict(hop["conditions"])
            for hop in data["hops"]
        }

    def change(self, node: str | None, direction: Direction, conditions: NetworkConditions) -> list[str]:
        """Take new conditions; the replicas whose hops they touch."""
        if (node, direction) not in self._conditions:
            raise EmulationError(f"there is no hop {node!r} {direction} on network {self.network!r}")
        self._conditions[node, direction] = conditions
        return [replica for replica, owner in self.nodes.items() if node in (None, owner)]

    def effective(self, replica: str, direction: Direction) -> NetworkConditions:
        """Network and link composed. A shared network's rate is its bucket's, not each hop's."""
        network_up, network = self._conditions[None, "up"], self._conditions[None, direction]
        link = self._conditions[self.nodes[replica], direction]
        return hop_conditions(network_up, network, link, direction, shared=self.shared)

    @property
    def bucket(self) -> NetworkConditions | None:
        """What the bucket of a shared network has."""
        return self._conditions[None, "up"] if self.shared else None


class Gateway:
    """One network: imposes its conditions on a switch and changes them on time."""

    def __init__(self, role: Role, switch: Switch, state: NetworkState) -> None:
        self._role = role
        self._switch = switch
        self._state = state

    def impose_all(self) -> None:
        """Before any traffic: what holds at T0."""
        self._switch.set_shared_bucket(self._state.bucket)
        self._impose(self._state.nodes, DIRECTIONS)

    def _impose(self, replicas: Any, directions: tuple[Direction, ...]) -> None:
        for replica in replicas:
            for direction in directions:
                self._switch.set_hop(replica, direction, self._state.effective(replica, direction))

    def apply(self, change: Change) -> None:
        """One change of the timeline, in place."""
        match change.action:
            case "conditions":
                direction = change.direction or "up"
                after = NetworkConditions.from_dict(change.after)
                touched = self._state.change(change.node, direction, after)
                if change.node is None:
                    self._switch.set_shared_bucket(self._state.bucket)
                self._impose(touched, (direction,))
            case "partition":
                present = set(self._state.nodes)
                groups = [present.intersection(group) for group in change.after]
                self._switch.partition(groups)
            case "cut":
                self._switch.cut(str(change.node), change.after)
            case other:
                raise EmulationError(f"a gateway can't apply {other!r}")

    async def report(self) -> None:
        """Publish the counters once a second until the role stops, and once more."""
        while not self._role.stopping.is_set():
            try:
                async with asyncio.timeout(DRAIN_EVERY_S):
                    await self._role.stopping.wait()
            except TimeoutError:
                pass
            self._role.publisher.put(*self._switch.drain(self._role.now()))
        for what, count in self._switch.losses.items():
            if what == "arp":  # answered, not ignored
                continue
            self._role.event("gateway.ignored", f"{count} frames: {what}", what=what, count=count)


def run_gateway(assignment: dict[str, Any], taps: Mapping[str, int]) -> int:
    """The gateway's process: until the coordinator says stop. `taps` are the replicas' descriptors."""
    uvloop.run(_gateway(Assignment.from_dict(assignment), taps))
    return 0


async def _gateway(assignment: Assignment, taps: Mapping[str, int]) -> None:
    data = assignment.data
    members = [
        Member(m["replica"], m["address"], bytes.fromhex(m["mac"].replace(":", ""))) for m in data["members"]
    ]
    ports = {port: name for name, port in data["ports"].items()}
    state = NetworkState(data)
    switch = Switch(state.network, members, ports=ports, seed=data["seed"])
    async with on_bus(assignment) as (role, group):
        gateway = Gateway(role, switch, state)
        gateway.impose_all()
        pump = Pump(switch, asyncio.get_running_loop())
        try:
            for replica, tap in taps.items():
                pump.attach(replica, tap)
            follower = group.create_task(role.follow_timeline(gateway.apply), name="timeline")
            stalls = group.create_task(watch_stalls(role), name="stalls")
            role.ready(shaper="tun")
            await gateway.report()
            follower.cancel()
            stalls.cancel()
        finally:
            pump.close()


__all__ = ["Gateway", "NetworkState", "run_gateway"]
