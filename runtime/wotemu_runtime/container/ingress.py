"""The door of a plain service: stands for it on the emulated networks, and leads what comes for it on.

The service's own container has no route to those networks and knows none of their nodes. So what reaches it
came through the gateways, and what it answers goes back through them.
"""

from __future__ import annotations

import asyncio

from wotemu.errors import HostError
from wotemu_gateways.netlink.dnat import redirect_to
from wotemu_runtime.agent.prober import Prober
from wotemu_runtime.container.node_network import NodeNetwork
from wotemu_runtime.container.subnets import addresses_of, subnet_with
from wotemu_runtime.planning.probe_schedule import Rounds
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.interfaces import wait_until_attached
from wotemu_runtime.roles.role import Role, on_bus

LOOK_EVERY_S = 1.0
"""How often the service's address is asked for: Docker tells nobody when it is placed again."""


async def serve(assignment: Assignment) -> None:
    """Until the coordinator says stop."""
    async with on_bus(assignment) as (role, group):
        await Door(role).run(group)


class Door:
    """Opens once the service is there, and follows it when it moves."""

    def __init__(self, role: Role) -> None:
        data = role.assignment.data
        self._role = role
        self._server: str = data["server"]
        self._replica: str = data["replica"]
        self._subnets: dict[str, str] = data["subnets"]
        rounds = data["probes"][self._replica]
        self._prober = Prober(role, self._replica, [Rounds.from_dict(each) for each in rounds])
        self._led_to = ""

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Until the role stops."""
        subnet = await subnet_with(self._server, f"Service {self._replica!r}")
        try:
            await self._lead(subnet)
        except HostError as error:
            self._role.unable(error)
            await self._role.stopping.wait()  # to end now would have Swarm start it again, to no avail
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

    async def _lead(self, subnet: str) -> bool:
        """Lead to where the service is now; whether that is somewhere else than before."""
        address = next(iter(await addresses_of(self._server)), None)
        if address is None or str(address) == self._led_to:
            return False
        own = await wait_until_attached({"": subnet, **self._subnets})
        inner, _ = own.pop("")
        outer = {device: str(interface.ip) for device, interface in own.values()}
        await asyncio.to_thread(redirect_to, inner, outer, str(address))
        self._led_to = str(address)
        return True

    async def _follow(self, subnet: str) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if await self._lead(subnet):
                self._role.event("service.moved", f"{self._replica} is at another place", to=self._led_to)
