"""The gateway role: one network's shaper, its timeline and its counters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any

from wotemu.errors import EmulationError
from wotemu.scenario.timeline import DIRECTIONS, Change, Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.hop_conditions import hop_conditions
from wotemu_gateways.shaper import Shaper
from wotemu_gateways.userspace.routed import PREFIX as TAP_PREFIX
from wotemu_gateways.userspace.scheduling import request_low_latency
from wotemu_runtime.roles.role import Role
from wotemu_runtime.roles.self_monitoring import record_stalls, report_interface_drops

DRAIN_EVERY_S = 1.0
ROWS_AT_ONCE = 64
"""So many are made before packets get their turn again: well below a millisecond."""

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

    def __init__(self, role: Role, shaper: Shaper, state: NetworkState) -> None:
        self._role = role
        self.shaper = shaper
        self._state = state
        self._groups: list[set[str]] = []
        self._cut: set[str] = set()

    def impose_all(self) -> None:
        """Have the shaper impose everything that holds now."""
        self.shaper.set_shared_bucket(self._state.bucket)
        self._impose(self._state.nodes, DIRECTIONS)
        if self._groups:
            self.shaper.partition(self._groups)
        for replica in self._cut:
            self.shaper.cut(replica, True)

    def use(self, shaper: Shaper) -> None:
        """Go on with another shaper, in the same state."""
        self.shaper = shaper
        self.impose_all()

    def _impose(self, replicas: Any, directions: tuple[Direction, ...]) -> None:
        for replica in replicas:
            for direction in directions:
                self.shaper.set_hop(replica, direction, self._state.effective(replica, direction))

    def apply(self, change: Change) -> None:
        """One change of the timeline, in place."""
        touched = self.remember(change)
        match change.action:
            case "conditions":
                if change.node is None:
                    self.shaper.set_shared_bucket(self._state.bucket)
                self._impose(touched, (change.direction or "up",))
            case "partition":
                self.shaper.partition(self._groups)
            case "cut":
                self.shaper.cut(str(change.node), change.after)

    def remember(self, change: Change) -> list[str]:
        """Take a change as what holds, and impose nothing yet; the replicas whose hops it touches."""
        match change.action:
            case "conditions":
                after = NetworkConditions.from_dict(change.after)
                return self._state.change(change.node, change.direction or "up", after)
            case "partition":
                present = set(self._state.nodes)
                self._groups = [present.intersection(group) for group in change.after]
            case "cut":
                (self._cut.add if change.after else self._cut.discard)(str(change.node))
            case other:
                raise EmulationError(f"a gateway can't apply {other!r}")
        return []

    async def report(self) -> None:
        """Publish the counters once a second until the role stops, and once more."""
        while not self._role.stopping.is_set():
            try:
                async with asyncio.timeout(DRAIN_EVERY_S):
                    await self._role.stopping.wait()
            except TimeoutError:
                pass
            rows = self.shaper.drain(self._role.now())
            while chunk := list(islice(rows, ROWS_AT_ONCE)):
                self._role.publisher.put(*chunk)
                await asyncio.sleep(0)
        self._tell_losses()

    def retire(self) -> None:
        """Close the shaper, whose place another takes, and tell its counters."""
        self._role.publisher.put(*self.shaper.drain(self._role.now()))
        self._tell_losses()
        self.shaper.close()

    def _tell_losses(self) -> None:
        report_interface_drops(self._role, prefix=TAP_PREFIX)
        for what, count in self.shaper.losses.items():
            if what == "arp":  # answered, not ignored
                continue
            self._role.event("gateway.ignored", f"{count} frames: {what}", what=what, count=count)


async def serve_network(
    role: Role,
    group: asyncio.TaskGroup,
    gateway: Gateway,
    announce: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Impose, follow the timeline and report, until the role stops.

    A gateway that takes another's place first imposes what holds by then, and is announced only afterwards:
    no packet meets no conditions, or older ones.
    """
    request_low_latency()
    try:
        missed = role.changes.pop_overdue()
        for change in missed:
            gateway.remember(change)
        gateway.impose_all()
        if announce is not None:
            await announce()
        role.changes.report_overdue(missed)
        tasks = [
            group.create_task(role.changes.follow(gateway.apply), name="timeline"),
            group.create_task(record_stalls(role), name="stalls"),
        ]
        role.ready(shaper=gateway.shaper.name)
        await gateway.report()
        for task in tasks:
            task.cancel()
    finally:
        gateway.shaper.close()


__all__ = ["Gateway", "NetworkState", "serve_network"]
