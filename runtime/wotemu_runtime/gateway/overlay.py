"""The gateway role on a swarm: one interface on the overlay, and members that may move."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address
from typing import Any

from wotemu.errors import HostError
from wotemu_gateways.netem import kernel_support
from wotemu_gateways.netem.netem_shaper import NetemShaper
from wotemu_gateways.packets.ethernet import mac_of
from wotemu_gateways.shaper import Member, Shaper
from wotemu_gateways.userspace.routed import RoutedTunShaper, add_taps
from wotemu_runtime.gateway.role import Gateway, network_state, serve_network
from wotemu_runtime.gateway.shaper_choice import no_netem
from wotemu_runtime.gateway.tun_device import make_tun_device
from wotemu_runtime.roles.address_stream import RoleAddress
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.interfaces import wait_until_attached
from wotemu_runtime.roles.role import Role, on_bus

NOWHERE = IPv4Address("240.0.0.1")


async def serve(assignment: Assignment) -> None:
    """Until the coordinator says stop."""
    async with on_bus(assignment) as (role, group):
        overlay = OverlayGateway(role)
        await overlay.run(group)


class OverlayGateway:
    """Shapes once every member is known; takes the members' new addresses when they move."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self._state = network_state(role.assignment.data)
        self._addresses: dict[str, str] = {}
        self._news = asyncio.Event()
        self._shaped: dict[str, str] = {}
        """The addresses that the shaper knows; `_addresses` has the latest."""
        self._device = ""
        self._kind = "tun"

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Until the role stops."""
        make_tun_device()
        network, data = self._state.setup.name, self._role.assignment.data
        self._device, address = (await wait_until_attached({network: data["subnet"]}))[network]
        try:
            self._kind = await _choose(data["shaper"], self._role.session.host)
        except HostError as error:
            self._role.unable(error)
            await self._role.stopping.wait()  # to end now would have Swarm start it again, to no avail
            return
        tasks = [group.create_task(self._role.session.addresses.follow(self._hear), name="members")]
        if not await self._all_known():
            _cancel(tasks)
            return
        await self._role.session.commands.caught_up.wait()
        gateway = Gateway(self._role, await self._shaper(), self._state)
        tasks.append(group.create_task(self._follow_moves(gateway), name="moves"))
        try:
            await serve_network(
                self._role, group, gateway, lambda: self._role.announce_address(network, str(address.ip))
            )
        finally:
            _cancel(tasks)

    def _hear(self, member: RoleAddress) -> None:
        kind, _, replica = member.role.partition(":")
        ours = (
            kind == "agent"
            and member.network == self._state.setup.name
            and replica in self._state.setup.nodes
        )
        if not ours or self._addresses.get(replica) == member.address:
            return
        for other, address in self._addresses.items():
            if address == member.address:  # Docker gave the address of a task that is lost to another
                self._addresses[other] = self._nowhere(other)
        self._addresses[replica] = member.address
        self._news.set()

    def _nowhere(self, replica: str) -> str:
        """An address that no packet has (RFC 1112, section 4), for a replica until it has one again."""
        return str(NOWHERE + list(self._state.setup.nodes).index(replica))

    async def _all_known(self) -> bool:
        """Wait until every member has said where it is; False if the role stops before."""
        stopping = asyncio.ensure_future(self._role.stopping.wait())
        try:
            while not set(self._state.setup.nodes) <= set(self._addresses):
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
        members = [Member(name, address, mac_of(address)) for name, address in self._addresses.items()]
        ports = {port: name for name, port in data["ports"].items()}
        network, seed, loop = self._state.setup.name, data["seed"], asyncio.get_running_loop()
        self._shaped = dict(self._addresses)
        if self._kind == NetemShaper.name:
            return NetemShaper(
                network,
                members,
                interface=self._device,
                ports=ports,
                seed=seed,
                shared=self._state.setup.shared,
                loop=loop,
            )
        taps = await asyncio.to_thread(add_taps, self._device, members)
        return RoutedTunShaper(network, members, taps, loop, ports=ports, seed=seed)

    async def _follow_moves(self, gateway: Gateway) -> None:
        """A member that was placed again has another address: shape for it there.

        NetEm does so in place. The other shaper is made anew: what was under way in it is lost, and told.
        """
        while True:
            await self._news.wait()
            self._news.clear()
            moved = {
                replica: address
                for replica, address in self._addresses.items()
                if self._shaped.get(replica) != address
            }
            if not moved:
                continue
            lost = 0
            shaper = gateway.shaper
            if isinstance(shaper, NetemShaper):
                for replica, address in moved.items():
                    shaper.move(replica, address)
                self._shaped |= moved
            elif isinstance(shaper, RoutedTunShaper):
                lost = shaper.packets_in_flight
                gateway.retire()
                gateway.use(await self._shaper())
            where = ", ".join(f"{replica} is now {address}" for replica, address in moved.items())
            self._role.event("gateway.moved", f"{self._state.setup.name}: {where}", moved=moved, lost=lost)


async def _choose(asked: str, host: str) -> str:
    """The shaper to use; HostError where only NetEm will do and the kernel lacks it."""
    if asked == "tun":
        return asked
    missing = await asyncio.to_thread(kernel_support.missing_features)
    if missing and asked == NetemShaper.name:
        raise no_netem(missing, host)
    return "tun" if missing else NetemShaper.name


def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
