"""The gateway role on a swarm: one interface on an overlay, and members whose addresses may change."""

from __future__ import annotations

import asyncio
import os
import stat
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from wotemu.errors import HostError
from wotemu_gateways.netem import kernel_support
from wotemu_gateways.netem.netem_shaper import NetemShaper
from wotemu_gateways.packets.ethernet import mac_of
from wotemu_gateways.shaper import Member, Shaper
from wotemu_gateways.userspace.routed import RoutedTunShaper, add_taps
from wotemu_runtime.gateway.role import Gateway, network_state, serve_network
from wotemu_runtime.gateway.shaper_choice import netem_missing
from wotemu_runtime.roles.address_stream import RoleAddress
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.interfaces import wait_until_attached
from wotemu_runtime.roles.role import Role, on_bus

FIRST_PLACEHOLDER = IPv4Address("240.0.0.1")
"""First of the reserved addresses (RFC 1112, section 4), which no packet has."""

TUN = Path("/dev/net/tun")
_TUN_MAJOR, _TUN_MINOR = 10, 200
"""Device numbers of TUN (Documentation/admin-guide/devices.txt)."""


async def serve(assignment: Assignment) -> None:
    """Run a gateway until the coordinator commands it to stop."""
    async with on_bus(assignment) as (role, group):
        await OverlayGateway(role).run(group)


class OverlayGateway:
    """Shapes once every member's address is known, and follows members that move."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self._state = network_state(role.assignment.data)
        self._addresses: dict[str, str] = {}
        """The latest address of each replica."""
        self._shaped: dict[str, str] = {}
        """The addresses that the shaper has."""
        self._addresses_changed = asyncio.Event()
        self._device = ""
        self._kind = "tun"

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Serve the network until the role is stopping."""
        make_tun_device()
        network, data = self._state.setup.name, self._role.assignment.data
        self._device, interface = (await wait_until_attached({network: data["subnet"]}))[network]
        try:
            self._kind = await _choose_shaper(data["shaper"], self._role.session.host)
        except HostError as error:
            self._role.unable(error)
            await self._role.stopping.wait()  # Swarm would restart a task that ends, to no avail
            return
        following = self._role.session.addresses.follow(self._on_address)
        tasks = [group.create_task(following, name="addresses")]
        if not await self._wait_for_members():
            _cancel(tasks)
            return
        await self._role.session.commands.caught_up.wait()
        gateway = Gateway(self._role, await self._make_shaper(), self._state)
        tasks.append(group.create_task(self._follow_moves(gateway), name="moves"))
        try:
            await serve_network(
                self._role,
                group,
                gateway,
                lambda: self._role.announce_address(network, str(interface.ip)),
            )
        finally:
            _cancel(tasks)

    def _on_address(self, new: RoleAddress) -> None:
        setup = self._state.setup
        replica = new.replica
        if replica is None or new.network != setup.name or replica not in setup.nodes:
            return
        if self._addresses.get(replica) == new.address:
            return
        for other, address in self._addresses.items():
            if address == new.address:  # Docker assigned the address of a task that is gone to this one
                self._addresses[other] = self._placeholder(other)
        self._addresses[replica] = new.address
        self._addresses_changed.set()

    def _placeholder(self, replica: str) -> str:
        """The address of a replica that has none for now: one of its own that no packet has."""
        return str(FIRST_PLACEHOLDER + list(self._state.setup.nodes).index(replica))

    async def _wait_for_members(self) -> bool:
        """Wait until every member has announced its address; False if the role is stopping before."""
        stopping = asyncio.ensure_future(self._role.stopping.wait())
        try:
            while not set(self._state.setup.nodes) <= set(self._addresses):
                changed = asyncio.ensure_future(self._addresses_changed.wait())
                await asyncio.wait([changed, stopping], return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if stopping.done():
                    return False
                self._addresses_changed.clear()
            return True
        finally:
            stopping.cancel()

    async def _make_shaper(self) -> Shaper:
        """A shaper for the members at their present addresses."""
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
        """Have the shaper use a member's new address whenever one has moved, until cancelled.

        NetEm changes its filters in place. The tun shaper is replaced: packets in its queues are lost, and
        the event has their number.
        """
        while True:
            await self._addresses_changed.wait()
            self._addresses_changed.clear()
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
                gateway.close_shaper()
                gateway.replace_shaper(await self._make_shaper())
            where = ", ".join(f"{replica} is now {address}" for replica, address in moved.items())
            self._role.event("gateway.moved", f"{self._state.setup.name}: {where}", moved=moved, lost=lost)


def make_tun_device() -> None:
    """Make /dev/net/tun where it is missing: Docker allows containers the device, but does not make its file.

    Needs CAP_MKNOD.
    """
    if not TUN.exists():
        TUN.parent.mkdir(parents=True, exist_ok=True)
        os.mknod(TUN, stat.S_IFCHR | 0o600, os.makedev(_TUN_MAJOR, _TUN_MINOR))


async def _choose_shaper(requested: str, host: str) -> str:
    """The shaper to use on this kernel.

    Args:
        requested: ``tun``, ``netem`` or ``auto``: NetEm where the kernel has it.
        host: This machine's name, for the error.

    Raises:
        HostError: NetEm is requested and the kernel lacks it.
    """
    if requested == "tun":
        return requested
    missing = await asyncio.to_thread(kernel_support.missing_features)
    if missing and requested == NetemShaper.name:
        raise netem_missing(missing, host)
    return "tun" if missing else NetemShaper.name


def _cancel(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()


__all__ = ["OverlayGateway", "serve"]
