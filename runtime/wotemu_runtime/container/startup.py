"""Waits for the bus and the networks' gateways before a container's role starts."""

from __future__ import annotations

import attrs

from wotemu_runtime.bus import BusAddress, connect
from wotemu_runtime.container.name_lookup import wait_for_subnet
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.container_environment import gateway_alias

BUS_DEADLINE_S = 300.0
"""In a cluster the bus's machine may still be pulling the image when all others have started."""


async def wait_for_bus(bus: BusAddress, deadline_s: float = BUS_DEADLINE_S) -> None:
    """Return once the bus answers.

    Raises:
        EmulationError: It refuses the password, or did not answer in time.
    """
    client = await connect(bus, deadline_s)
    await client.aclose()


async def complete_assignment(assignment: Assignment) -> Assignment:
    """The assignment with its networks' subnets, where Docker chose them after it was written.

    The entries ``subnet`` and ``subnets`` of its data are filled in where they are empty.

    Raises:
        EmulationError: A network's gateway did not start in time.
    """
    data = dict(assignment.data)
    if data.get("subnet") == "":
        data["subnet"] = await _subnet(data["network"])
    if "" in data.get("subnets", {}).values():
        known = dict(data["subnets"])
        for network in [network for network, subnet in known.items() if not subnet]:
            known[network] = await _subnet(network)
        data["subnets"] = known
    return attrs.evolve(assignment, data=data)


async def _subnet(network: str) -> str:
    return await wait_for_subnet(gateway_alias(network), f"the gateway of network {network!r}")


__all__ = ["complete_assignment", "wait_for_bus"]
