"""The gateway role: one network's shaper, its changes and its counters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from typing import Any, Protocol

from wotemu.records import GatewayLoad, Hop, Record
from wotemu.scenario.timeline import DIRECTIONS, Change, Direction
from wotemu_gateways.conditions.network_state import NetworkSetup, NetworkState
from wotemu_gateways.shaper import Shaper
from wotemu_gateways.userspace.routed import PREFIX as TAP_PREFIX
from wotemu_gateways.userspace.scheduling import request_low_latency
from wotemu_runtime.roles.role import Role
from wotemu_runtime.roles.self_monitoring import CpuMeter, record_stalls, report_interface_drops

DRAIN_EVERY_S = 1.0
ROWS_PER_SLICE = 64
"""Rows published before the event loop serves packets again: well below a millisecond of work."""


def network_state(data: dict[str, Any]) -> NetworkState:
    """The state at T0 of the network that a gateway's assignment describes."""
    nodes = {member["replica"]: member["node"] for member in data["members"]}
    setup = NetworkSetup.of(data["network"], shared=data["shared"], nodes=nodes, hops=data["hops"])
    return NetworkState(setup)


def packets_taken(rows: Iterable[Record]) -> int:
    """How many packets members' up hops passed on or dropped: each packet of the network once."""
    return sum(
        row.sent + row.dropped_loss + row.dropped_queue + row.dropped_cut + row.dropped_memory
        for row in rows
        if isinstance(row, Hop) and row.direction == "up"
    )


class Plugs(Protocol):
    """The ends of nodes' interfaces at the gateway."""

    def set(self, replica: str, *, is_in: bool) -> None:
        """Give a replica's interface its carrier, or take it away. Raises OSError."""


class Gateway:
    """Imposes the state of one network on a shaper, and publishes the shaper's counters.

    Args:
        role: The gateway's role.
        shaper: What imposes conditions.
        state: What holds on the network.
        plugs: The nodes' interfaces, where this gateway has their other ends; None where the nodes' agents
            take them down themselves.
    """

    def __init__(self, role: Role, shaper: Shaper, state: NetworkState, plugs: Plugs | None = None) -> None:
        self._plugs = plugs
        self._role = role
        self.shaper = shaper
        self.state = state

    def impose_all(self) -> None:
        """Impose the whole present state."""
        self.shaper.set_shared_bucket(self.state.bucket)
        self._impose(self.state.setup.nodes, DIRECTIONS)
        if self.state.partition:
            self.shaper.partition(self.state.partition)
        if self.state.blocks:
            self.shaper.block(self.state.blocks)
        for replica in self.state.cuts | self.state.unplugged:
            self.shaper.cut(replica, True)
        for replica in self.state.unplugged:
            self._plug(replica, is_in=False)

    def _impose(self, replicas: Iterable[str], directions: tuple[Direction, ...]) -> None:
        for replica in replicas:
            for direction in directions:
                self.shaper.set_hop(replica, direction, self.state.hop(replica, direction))

    def apply(self, change: Change) -> None:
        """Apply one change to the state, and impose what it changed, in place.

        Raises:
            EmulationError: A gateway does not apply such changes.
            OSError: The kernel refused the conditions.
        """
        changed_replicas = self.state.apply(change)
        match change.action:
            case "conditions":
                if change.node is None:
                    self.shaper.set_shared_bucket(self.state.bucket)
                self._impose(changed_replicas, (change.direction or "up",))
            case "partition":
                self.shaper.partition(self.state.partition)
            case "block":
                self.shaper.block(self.state.blocks)
            case "cut":
                self.shaper.cut(str(change.node), self.state.is_cut(str(change.node)))
            case "disconnect":
                self._plug(str(change.node), is_in=not change.after)
                self.shaper.cut(str(change.node), self.state.is_cut(str(change.node)))

    def _plug(self, replica: str, *, is_in: bool) -> None:
        if self._plugs is not None:
            self._plugs.set(replica, is_in=is_in)

    def close_shaper(self) -> None:
        """Publish the shaper's last counters and close it, before another replaces it."""
        self._role.publisher.put(*self.shaper.drain(self._role.now()))
        self._report_ignored()
        self.shaper.close()

    def replace_shaper(self, shaper: Shaper) -> None:
        """Impose the present state on another shaper from now on."""
        self.shaper = shaper
        self.impose_all()

    async def publish_counters(self) -> None:
        """Publish the counters each second until the role is stopping, and once more then."""
        meter = CpuMeter(self._role.now)
        while not self._role.stopping.is_set():
            try:
                async with asyncio.timeout(DRAIN_EVERY_S):
                    await self._role.stopping.wait()
            except TimeoutError:
                pass
            rows, packets = self.shaper.drain(self._role.now()), 0
            while rows_now := list(islice(rows, ROWS_PER_SLICE)):
                self._role.publisher.put(*rows_now)
                packets += packets_taken(rows_now)
                await asyncio.sleep(0)
            t, interval_s, cpu_s = meter.sample()
            load = GatewayLoad(
                t, self.state.setup.name, self.shaper.name, interval=interval_s, cpu=cpu_s, packets=packets
            )
            self._role.publisher.put(load)
        self._report_ignored()

    def _report_ignored(self) -> None:
        """Report the frames that did not reach the shaping, by reason."""
        report_interface_drops(self._role, prefix=TAP_PREFIX)
        for what, count in self.shaper.losses.items():
            if what == "arp":  # the gateway answers these itself
                continue
            self._role.event("gateway.ignored", f"{count} frames: {what}", what=what, count=count)


async def serve_network(
    role: Role,
    group: asyncio.TaskGroup,
    gateway: Gateway,
    announce: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Impose the state, apply changes when they are due, and publish counters, until the role is stopping.

    Args:
        role: The gateway's role.
        group: Gets the role's tasks.
        gateway: The gateway; its shaper is closed at the end.
        announce: Publishes the gateway's address, where nodes can't know it.
    """
    scheduling = request_low_latency()
    try:
        # A gateway that replaces another imposes all that is due by now before nodes route through it: no
        # packet passes unshaped, or under conditions that have ended.
        overdue = role.changes.pop_overdue()
        for change in overdue:
            gateway.state.apply(change)
        gateway.impose_all()
        if announce is not None:
            await announce()
        role.changes.report_overdue(overdue)
        tasks = [
            group.create_task(role.changes.follow(gateway.apply), name="changes"),
            group.create_task(record_stalls(role), name="stalls"),
        ]
        role.ready(shaper=gateway.shaper.name, scheduling=scheduling)
        await gateway.publish_counters()
        for task in tasks:
            task.cancel()
    finally:
        gateway.shaper.close()


__all__ = ["Gateway", "network_state", "serve_network"]
