"""The ingress of a plain service: stands for it on the emulated networks and forwards connections to it.

The service's own container has no route to the emulated networks and can't resolve their nodes. So all
traffic that reaches it has passed the gateways, and so have its answers.
"""

from __future__ import annotations

import asyncio

from wotemu.errors import HostError
from wotemu_gateways.netlink.dnat import redirect_to
from wotemu_runtime.agent.namespaces import OwnNamespaces
from wotemu_runtime.agent.prober import Prober
from wotemu_runtime.container.name_lookup import resolve, wait_for_subnet
from wotemu_runtime.container.node_network import NodeNetwork
from wotemu_runtime.planning.probe_rounds import Rounds
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.interfaces import wait_until_attached
from wotemu_runtime.roles.role import Role, on_bus

LOOK_UP_EVERY_S = 1.0
"""Period of looking the service's address up: Docker sends no signal when it moves the service."""


async def serve(assignment: Assignment) -> None:
    """Run an ingress until the coordinator commands it to stop."""
    async with on_bus(assignment) as (role, group):
        await Ingress(role).run(group)


class Ingress:
    """Forwards to one service, also after that has moved to another address."""

    def __init__(self, role: Role) -> None:
        data = role.assignment.data
        self._role = role
        self._server: str = data["server"]
        self._replica: str = data["replica"]
        self._subnets: dict[str, str] = data["subnets"]
        rounds = [Rounds.from_dict(each) for each in data["probes"][self._replica]]
        self._prober = Prober(role, self._replica, rounds, OwnNamespaces())
        self._target = ""
        """The service's address that connections are forwarded to; empty before the first."""

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Forward, probe and follow the service until the role is stopping."""
        subnet = await wait_for_subnet(self._server, f"Service {self._replica!r}")
        try:
            await self._retarget(subnet)
        except HostError as error:
            self._role.unable(error)
            await self._role.stopping.wait()  # Swarm would restart a task that ends, to no avail
            return
        await NodeNetwork(self._role, app_uid=None).settle(group)
        self._prober.open()
        tasks = [
            group.create_task(self._follow(subnet), name="service"),
            group.create_task(self._prober.run(), name="probes"),
        ]
        self._role.ready()
        await self._role.stopping.wait()
        for task in tasks:
            task.cancel()
        self._prober.close()

    async def _retarget(self, subnet: str) -> bool:
        """Forward to the service's present address.

        Args:
            subnet: Subnet of the service's own network, which only it and its ingress are on.

        Returns:
            Whether that is another address than before.

        Raises:
            HostError: The kernel lacks what forwarding needs.
        """
        address = next(iter(await resolve(self._server)), None)
        if address is None or str(address) == self._target:
            return False
        own = await wait_until_attached({"": subnet, **self._subnets})
        inner, _ = own.pop("")
        outer = {device: str(interface.ip) for device, interface in own.values()}
        await asyncio.to_thread(redirect_to, inner, outer, str(address))
        self._target = str(address)
        return True

    async def _follow(self, subnet: str) -> None:
        while True:
            await asyncio.sleep(LOOK_UP_EVERY_S)
            if await self._retarget(subnet):
                self._role.event("service.moved", f"{self._replica} is at another place", to=self._target)


__all__ = ["Ingress", "serve"]
