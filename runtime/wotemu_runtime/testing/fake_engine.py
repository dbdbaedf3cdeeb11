"""An engine whose roles are tasks of the running event loop, on a bus in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from wotemu_runtime.bus import BusAddress, BusClient, BusClock
from wotemu_runtime.engines.engine import Deployed, News, RoleEnded
from wotemu_runtime.planning.models import Plan, PlannedNetwork
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.role import Role, running
from wotemu_runtime.roles.session import BusSession
from wotemu_runtime.testing.memory_bus import MemoryBus

EPOCH_S = 1_000_000.0
"""The bus's time when the loop's is 0."""

Play = Callable[[Role, asyncio.TaskGroup], Coroutine[Any, Any, None]]
"""The behaviour of a role until it ends."""


def loop_clock() -> BusClock:
    """The bus's clock, on the running loop's time."""
    clock = BusClock(asyncio.get_running_loop().time, own_epoch_s=0.0, kernel="fake")
    clock.be_the_bus(EPOCH_S)
    return clock


def make_role(bus: MemoryBus, name: str, data: dict[str, Any] | None = None) -> Role:
    """A role on a bus in memory."""
    assignment = Assignment(name=name, stack="test", bus=ADDRESS, data=data or {})
    return Role(assignment, BusSession(bus.client, "test", loop_clock()))


ADDRESS = BusAddress("", path="/nowhere", anchor_s=EPOCH_S)


class FakeEngine:
    """Implements `Engine` with a task for each role.

    Args:
        bus: The bus of all roles.
        play: Gives, by a role's name, the coroutine function that plays it.

    Attributes:
        calls: The methods that were called, in order.
        deploy_s: How long `deploy` takes, on the loop's clock.
        broken: By method, the exception that it raises.
    """

    name = "fake"
    image: str | None = None

    def __init__(self, bus: MemoryBus, play: Callable[[str], Play]) -> None:
        self._bus = bus
        self._play = play
        self._news: asyncio.Queue[News] = asyncio.Queue()
        self._roles: list[asyncio.Task[None]] = []
        self._is_left = False
        self.calls: list[str] = []
        self.deploy_s = 0.0
        self.broken: dict[str, Exception] = {}

    async def connect(self, address: BusAddress, deadline_s: float) -> BusClient:
        """What the coordinator calls for a client of the bus."""
        return self._bus.client

    async def deploy(self, plan: Plan) -> Deployed:
        """Start every role as a task. If they run already, another coordinator takes them over."""
        self._call("deploy")
        self._is_left = False
        await asyncio.sleep(self.deploy_s)
        networks = {f"gateway:{network.name}": gateway_data(plan, network) for network in plan.networks}
        for name in sorted(plan.roles) if not self._roles else ():
            self._roles.append(asyncio.create_task(self._run(name, networks.get(name)), name=name))
        return Deployed(bus=ADDRESS, shaper="", roles=plan.roles, addresses={}, unenforced=())

    def _call(self, method: str) -> None:
        self.calls.append(method)
        if method in self.broken:
            raise self.broken[method]

    async def _run(self, name: str, data: dict[str, Any] | None) -> None:
        role = make_role(self._bus, name, data)
        status = "exit code 0"
        try:
            async with running(role) as group:
                await self._play(name)(role, group)
        except Exception:
            status = "exit code 1"
        self.tell(RoleEnded(name, status))

    def tell(self, news: News) -> None:
        """Put news into the queue of `news`."""
        self._news.put_nowait(news)

    async def news(self) -> AsyncIterator[News]:
        """The news of `tell`, and each role's end, as they come."""
        while True:
            yield await self._news.get()

    async def remove(self) -> None:
        """Cancel the roles that still run, unless they were left to another coordinator."""
        self._call("remove")
        if self._is_left:
            return
        for role in self._roles:
            role.cancel()
        await asyncio.gather(*self._roles, return_exceptions=True)

    def leave(self) -> None:
        """Keep the roles from being cancelled by `remove`."""
        self.calls.append("leave")
        self._is_left = True


def gateway_data(plan: Plan, network: PlannedNetwork) -> dict[str, Any]:
    """What a gateway's assignment says of its network."""
    members = [{"replica": name, "node": plan.replica(name).node} for name in network.members]
    return {"network": network.name, "shared": network.shared, "members": members, "hops": network.hops}


__all__ = ["ADDRESS", "EPOCH_S", "FakeEngine", "Play", "gateway_data", "loop_clock", "make_role"]
