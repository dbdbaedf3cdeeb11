"""A node's routes and host names on a swarm: to each emulated network through its gateway.

While a network's gateway is not known, packets for that network are dropped: none takes the direct way, past
the shaping. An app reaches the emulated networks alone, neither the control network nor the outside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path

from wotemu_gateways.netlink import routing
from wotemu_gateways.netlink.request_socket import Netlink
from wotemu_gateways.netlink.routes import FR_ACT_UNREACHABLE, RT_TABLE_MAIN, Rule
from wotemu_runtime.container.name_lookup import wait_for_subnet
from wotemu_runtime.roles.address_stream import AddressDirectory, RoleAddress
from wotemu_runtime.roles.hosts_file import HostsEntry, hosts_text
from wotemu_runtime.roles.interfaces import wait_until_attached
from wotemu_runtime.roles.role import Role

HOSTS = Path("/etc/hosts")

# Rules are tried in the order of their priorities; those to the emulated networks have `routing.RULES`, 600.
DIRECT_RULE = 650
"""Priority of the rules that let apps reach plain services which are on no emulated network."""
APP_RULE = 700
"""Priority of the rule that makes everything else unreachable for apps."""


class NodeNetwork:
    """Updates one replica's routes and /etc/hosts as gateways and replicas are announced.

    Args:
        role: The replica's role; its data has the networks' subnets and the nodes of all replicas.
        app_uid: The user whose programs may reach the emulated networks alone; None where there is no app.
    """

    def __init__(self, role: Role, *, app_uid: int | None) -> None:
        data = role.assignment.data
        self._role = role
        self._app_uid = app_uid
        self._subnets: dict[str, str] = data["subnets"]
        self._services: dict[str, str] = data.get("services", {})
        """Alias of each plain service that is reached directly, by its overlay."""
        self._nodes: dict[str, str] = data["nodes"]
        self._devices: dict[str, str] = {}
        """The interface on each network."""
        self._routed: dict[str, str] = {}
        """The gateway that each network goes through."""
        self._unplugged: set[str] = set()
        self._directory = AddressDirectory()
        self._addresses_changed = asyncio.Event()
        self._is_routed = asyncio.Event()
        """Set once every network has a route through its gateway."""

    @property
    def interfaces(self) -> dict[str, str]:
        """The networks by the names of the interfaces on them, once it is settled."""
        return {device: network for network, device in self._devices.items()}

    async def settle(self, group: asyncio.TaskGroup) -> None:
        """Announce the replica and wait until every network is routed through its gateway.

        Args:
            group: Gets the task that updates routes and names until the role is stopping.
        """
        own = await wait_until_attached(self._subnets)
        self._devices = {network: device for network, (device, _) in own.items()}
        direct = [await wait_for_subnet(name, f"Service {name!r}") for name in self._services.values()]
        self._isolate(direct)
        if not own:
            self._is_routed.set()  # a node on no network has nothing to wait for
        for network, (_, address) in own.items():
            await self._role.announce_address(network, str(address.ip))
        following = group.create_task(self._follow(), name="addresses")
        updating = group.create_task(self._update(), name="routes")
        group.create_task(self._end_with_role(following, updating), name="end of routes")
        await self._is_routed.wait()

    async def _end_with_role(self, *tasks: asyncio.Task[None]) -> None:
        await self._role.stopping.wait()
        self._is_routed.set()
        for task in tasks:
            task.cancel()

    async def _follow(self) -> None:
        addresses = self._role.session.addresses
        await addresses.wait_for_gateways(self._devices)
        await addresses.follow(self._on_address)

    def _on_address(self, address: RoleAddress) -> None:
        if address.network in self._subnets:
            self._directory.update(address)
            self._addresses_changed.set()

    async def _update(self) -> None:
        """Write /etc/hosts and change routes after each change of addresses."""
        while True:
            await self._addresses_changed.wait()
            self._addresses_changed.clear()
            self._apply_addresses()
            if len(self._routed) == len(self._devices):
                self._is_routed.set()

    def _apply_addresses(self) -> None:
        """Write /etc/hosts, and change the routes.

        A thread would take longer than this does, and some memory for good.
        """
        HOSTS.write_text(self._hosts())
        for network in self._devices:
            self._route(network)

    def _route(self, network: str) -> None:
        """Have the routes to a network lead through its gateway's present address."""
        if network in self._unplugged:  # the kernel accepts no route through an interface that is down
            return
        device, gateway = self._devices[network], self._directory.address(f"gateway:{network}", network)
        if gateway is None and network in self._routed:
            routing.blackhole(device)
            del self._routed[network]
        elif gateway is not None and self._routed.get(network) != gateway:
            routing.route_via(gateway, self._subnets[network], device)
            self._routed[network] = gateway

    def plug(self, network: str, *, is_in: bool) -> None:
        """Take the interface on a network down, or set it up, with its routes through the gateway.

        Raises:
            OSError: The kernel refused it.
        """
        device, subnet = self._devices[network], self._subnets[network]
        if is_in:
            routing.set_up(device)
            self._unplugged.discard(network)
            self._route(network)
            routing.end_unreachable(subnet)
        else:
            routing.unplug(subnet, device)
            self._unplugged.add(network)
            self._routed.pop(network, None)

    def _hosts(self) -> str:
        entries = [
            HostsEntry(each.replica, each.network, each.address)
            for each in self._directory
            if each.replica is not None
        ]
        return hosts_text(entries, self._nodes, self._role.assignment.subject)

    def _isolate(self, direct: Sequence[str]) -> None:
        """Drop packets for the emulated networks, and keep the app from reaching anything else.

        Args:
            direct: Subnets of plain services that are reached without a gateway.
        """
        for network, device in self._devices.items():
            routing.isolate(self._subnets[network], device)
        rules = [
            Rule(priority=DIRECT_RULE, table=RT_TABLE_MAIN, destination=IPv4Network(subnet))
            for subnet in direct
        ]
        if self._app_uid is not None:
            # Unreachable rather than dropped: an app gets an error at once instead of a timeout.
            rules.append(Rule(priority=APP_RULE, action=FR_ACT_UNREACHABLE, uid=self._app_uid))
        with Netlink() as netlink:
            routing.add_rules(netlink, *rules)


__all__ = ["NodeNetwork"]
