"""The gateway role: one network's shaper, its timeline and its counters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any

from wotemu.scenario.timeline import DIRECTIONS, Change, Direction
from wotemu_gateways.conditions.network_state import NetworkSetup, NetworkState
from wotemu_gateways.shaper import Shaper
from wotemu_gateways.userspace.routed import PREFIX as TAP_PREFIX
from wotemu_gateways.userspace.scheduling import request_low_latency
from wotemu_runtime.roles.role import Role
from wotemu_runtime.roles.self_monitoring import record_stalls, report_interface_drops

DRAIN_EVERY_S = 1.0
ROWS_AT_ONCE = 64
"""So many are made before packets get their turn again: well below a millisecond."""


def network_state(data: dict[str, Any]) -> NetworkState:
    """The state at T0 of the network that a gateway's assignment describes."""
    nodes = {member["replica"]: member["node"] for member in data["members"]}
    setup = NetworkSetup.of(data["network"], shared=data["shared"], nodes=nodes, hops=data["hops"])
    return NetworkState(setup)


class Gateway:
    """One network: imposes its conditions on a switch and changes them on time."""

    def __init__(self, role: Role, shaper: Shaper, state: NetworkState) -> None:
        self._role = role
        self.shaper = shaper
        self.state = state

    def impose_all(self) -> None:
        """Have the shaper impose everything that holds now."""
        self.shaper.set_shared_bucket(self.state.bucket)
        self._impose(self.state.setup.nodes, DIRECTIONS)
        if self.state.partition:
            self.shaper.partition(self.state.partition)
        for replica in self.state.cuts:
            self.shaper.cut(replica, True)

    def use(self, shaper: Shaper) -> None:
        """Go on with another shaper, in the same state."""
        self.shaper = shaper
        self.impose_all()

    def _impose(self, replicas: Any, directions: tuple[Direction, ...]) -> None:
        for replica in replicas:
            for direction in directions:
                self.shaper.set_hop(replica, direction, self.state.hop(replica, direction))

    def apply(self, change: Change) -> None:
        """One change of the timeline, in place."""
        touched = self.state.apply(change)
        match change.action:
            case "conditions":
                if change.node is None:
                    self.shaper.set_shared_bucket(self.state.bucket)
                self._impose(touched, (change.direction or "up",))
            case "partition":
                self.shaper.partition(self.state.partition)
            case "cut":
                self.shaper.cut(str(change.node), change.after)

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
    scheduling = request_low_latency()
    try:
        missed = role.changes.pop_overdue()
        for change in missed:
            gateway.state.apply(change)
        gateway.impose_all()
        if announce is not None:
            await announce()
        role.changes.report_overdue(missed)
        tasks = [
            group.create_task(role.changes.follow(gateway.apply), name="timeline"),
            group.create_task(record_stalls(role), name="stalls"),
        ]
        role.ready(shaper=gateway.shaper.name, scheduling=scheduling)
        await gateway.report()
        for task in tasks:
            task.cancel()
    finally:
        gateway.shaper.close()


__all__ = ["Gateway", "network_state", "serve_network"]
