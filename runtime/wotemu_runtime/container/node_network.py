"""A node's place on the emulated networks of a swarm: routes through the gateways, and everybody's names.

Until a network's gateway is known, and whenever it is gone, what is for that network is dropped: nothing goes
its direct way. An app reaches the emulated networks alone, neither the control network nor the outside.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from wotemu_gateways.netlink import routing
from wotemu_runtime.container.subnets import subnet_with
from wotemu_runtime.roles.address_stream import AddressDirectory, RoleAddress
from wotemu_runtime.roles.hosts_file import HostsEntry, hosts_text
from wotemu_runtime.roles.interfaces import wait_until_attached
from wotemu_runtime.roles.role import Role

HOSTS = Path("/etc/hosts")
APP_RULE = 700  # after `routing.RULES`
"""Priority of the rule that keeps apps on the emulated networks: after the rules that lead there."""
DIRECT_RULE = 650
"""Priority of the rules that let apps reach plain services which are on no emulated network."""
_MAIN_TABLE = 254


class NodeNetwork:
    """Keeps one replica's routes and names as the members of its networks come and go.

    `app_uid` is the user whose programs may reach nothing but these networks, if there is an app.
    """

    def __init__(self, role: Role, *, app_uid: int | None) -> None:
        data = role.assignment.data
        self._role = role
        self._app_uid = app_uid
        self._subnets: dict[str, str] = data["subnets"]
        self._services: dict[str, str] = data.get("services", {})
        """The plain services that are reached directly, by their overlays."""
        self._nodes: dict[str, str] = data["nodes"]
        self._devices: dict[str, str] = {}
        self._members = AddressDirectory()
        self._news = asyncio.Event()
        self._whole = asyncio.Event()

    async def settle(self, group: asyncio.TaskGroup) -> None:
        """Return once every network leads through its gateway; names and routes are kept from then on."""
        own = await wait_until_attached(self._subnets)
        self._devices = {network: device for network, (device, _) in own.items()}
        direct = [await subnet_with(name, f"Service {name!r}") for name in self._services.values()]
        await asyncio.to_thread(self._close, direct)
        if not own:
            self._whole.set()  # a node on no network has nothing to wait for
        for network, (_, address) in own.items():
            await self._role.announce_address(network, str(address.ip))
        following = group.create_task(self._role.session.addresses.follow(self._hear), name="members")
        keeping = group.create_task(self._keep(), name="routes")
        group.create_task(self._leave_with_role(following, keeping), name="end of routes")
        await self._whole.wait()

    async def _leave_with_role(self, *tasks: asyncio.Task[None]) -> None:
        await self._role.stopping.wait()
        self._whole.set()
        for task in tasks:
            task.cancel()

    def _hear(self, member: RoleAddress) -> None:
        if member.network in self._subnets:
            self._members.update(member)
            self._news.set()

    async def _keep(self) -> None:
        led: dict[str, str] = {}
        while True:
            await self._news.wait()
            self._news.clear()
            await asyncio.to_thread(HOSTS.write_text, self._hosts())
            for network, device in self._devices.items():
                gateway = self._members.address(f"gateway:{network}", network)
                if gateway is None and network in led:
                    await asyncio.to_thread(routing.blackhole, device)
                    del led[network]
                elif gateway is not None and led.get(network) != gateway:
                    await asyncio.to_thread(routing.route_via, gateway, self._subnets[network], device)
                    led[network] = gateway
            if len(led) == len(self._devices):
                self._whole.set()

    def _hosts(self) -> str:
        entries = [
            HostsEntry(each.replica, each.network, each.address)
            for each in self._members
            if each.replica is not None
        ]
        return hosts_text(entries, self._nodes, self._role.assignment.subject)

    def _close(self, direct: Sequence[str]) -> None:
        """Drop everything until the gateways are known, and keep the app on its networks.

        `direct` are those of services that no gateway leads to.
        """
        with IPRoute() as netlink:
            for network, device in self._devices.items():
                index = netlink.link_lookup(ifname=device)[0]
                table, subnet = routing.TABLES + index, self._subnets[network]
                netlink.route("replace", dst=subnet, type="blackhole", table=table, priority=9999)
                _add_rule(netlink.rule, priority=routing.RULES, table=table, dst=subnet)
            for subnet in direct:
                _add_rule(netlink.rule, priority=DIRECT_RULE, table=_MAIN_TABLE, dst=subnet)
            if self._app_uid is None:
                return
            _add_rule(
                netlink.rule,
                priority=APP_RULE,
                uid_range=f"{self._app_uid}:{self._app_uid}",
                action="FR_ACT_UNREACHABLE",
                family=socket.AF_INET,
            )


def _add_rule(rule: Callable[..., Any], **wanted: Any) -> None:
    try:
        rule("add", **wanted)
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise
