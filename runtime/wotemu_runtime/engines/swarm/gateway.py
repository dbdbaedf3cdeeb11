"""The gateway role on a swarm: one interface on the overlay, and members that may move."""

from __future__ import annotations

import asyncio
from typing import Any

from wotemu_gateways.frames import mac_of
from wotemu_gateways.routed import RoutedSwitch, TunShaper, add_taps
from wotemu_gateways.shaper import Shaper
from wotemu_gateways.switch import Member as Address
from wotemu_runtime.assignment import Assignment
from wotemu_runtime.engines.swarm.tun_device import make_tun_device
from wotemu_runtime.gateway_role import Gateway, NetworkState, serve_network
from wotemu_runtime.membership import Member, attached
from wotemu_runtime.role import Role, on_bus


async def serve(assignment: Assignment) -> None:
    """Until the coordinator says stop."""
    async with on_bus(assignment) as (role, group):
        overlay = OverlayGateway(role)
        await overlay.run(group)


class OverlayGateway:
    """Shapes once every member is known; takes the members' new addresses when they move."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self._state = NetworkState(role.assignment.data)
        self._addresses: dict[str, str] = {}
        self._news = asyncio.Event()
        self._device = ""

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Until the role stops."""
        make_tun_device()
        network = self._state.network
        self._device, address = (await attached({network: self._role.assignment.data["subnet"]}))[network]
        await self._role.announce(network, str(address.ip))
        tasks = [group.create_task(self._role.follow_members(self._hear), name="members")]
        if not await self._all_known():
            return _cancel(tasks)
        gateway = Gateway(self._role, await self._shaper(), self._state)
        tasks.append(group.create_task(self._follow_moves(gateway), name="moves"))
        try:
            await serve_network(self._role, group, gateway)
        finally:
            _cancel(tasks)

    def _hear(self, member: Member) -> None:
        kind, _, replica = member.role.partition(":")
        ours = kind == "agent" and member.network == self._state.network and replica in self._state.nodes
        if ours and self._addresses.get(replica) != member.address:
            self._addresses[replica] = member.address
            self._news.set()

    async def _all_known(self) -> bool:
        """Wait until every member has said where it is; False if the role stops before."""
        stopping = asyncio.ensure_future(self._role.stopping.wait())
        try:
            while not set(self._state.nodes) <= set(self._addresses):
                news = asyncio.ensure_future(self._news.wait())
                await asyncio.wait([news, stopping], return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
                if stopping.done():
                    return False
                self._news.clear()
            return True
        finally:
            stopping.cancel()

    async def _shaper(self) -> Shaper:
        """A shaper for the members where they are now."""
        data = self._role.assignment.data
        members = [Address(name, address, mac_of(address)) for name, address in self._addresses.items()]
        ports = {port: name for name, port in data["ports"].items()}
        switch = RoutedSwitch(self._state.network, members, ports=ports, seed=data["seed"])
        taps = await asyncio.to_thread(add_taps, self._device, members)
        return TunShaper(switch, taps, asyncio.get_running_loop())

    async def _follow_moves(self, gateway: Gateway) -> None:
        """A member that was placed again has another address: shape for it there.

        Meanwhile nothing passes; what was under way is lost, and the event says so.
        """
        while True:
            await self._news.wait()
            self._news.clear()
            gateway.shaper.close()
            gateway.use(await self._shaper())
            self._role.event("gateway.moved", f"{self._state.network}: a member has another address")


def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
