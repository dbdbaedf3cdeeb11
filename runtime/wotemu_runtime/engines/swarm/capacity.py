"""Whether a swarm's subnets have an address for everybody. Pure."""

from __future__ import annotations

from wotemu.errors import HostError
from wotemu_runtime.engines.swarm.specs import CONTROL
from wotemu_runtime.planning.models import Plan

DEFAULT_PREFIX = 24
_RESERVED = 3
"""The network's own address, its router's, and the broadcast's."""
_SERVING = 3
"""On the control network: bus, and in a stack that runs by itself coordinator and proxy."""


def check_capacity(plan: Plan, prefix: int, machines: int) -> None:
    """`HostError` where a network has more members than a subnet with this prefix has addresses.

    Swarm gives each of its `machines` an address of its own on every network, too.
    """
    free = 2 ** (32 - prefix) - _RESERVED - machines
    wanted = {network.name: len(network.members) + 1 for network in plan.emulated}
    wanted[CONTROL] = len(plan.replicas) + len(plan.emulated) + _SERVING
    for network, count in wanted.items():
        if count > free:
            raise HostError(
                f"its {count} members need an address each; a subnet of this swarm (/{prefix}) has {free}",
                where=f"network {network!r}",
                hint="use fewer replicas, or a swarm made with a shorter mask, as by"
                " docker swarm init --default-addr-pool 10.0.0.0/8 --default-addr-pool-mask-length 20",
            )


__all__ = ["DEFAULT_PREFIX", "check_capacity"]
