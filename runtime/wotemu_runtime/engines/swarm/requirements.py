"""What a plan asks of a swarm: resources and placement in Docker's terms, and addresses. Pure."""

from __future__ import annotations

from typing import Any

from wotemu.errors import HostError
from wotemu.scenario.timeline import Change
from wotemu.topology.placement import Placement
from wotemu.topology.resources import NodeResources
from wotemu.units import Bytes
from wotemu_runtime.engines.swarm.object_names import CONTROL
from wotemu_runtime.gateway.shaper_choice import check_duty_cycles
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.stress_check import Room, check_stress

LEAST_MEMORY_BYTES = 6 << 20
"""The least limit of memory that Docker takes (linuxMinMemory of its daemon)."""
AGENT_PIDS = 16
"""Processes and threads of a node's container that are not its app's: the launcher's and the agent's."""
Json = dict[str, Any]

DEFAULT_PREFIX = 24
"""The prefix length of the subnets of a swarm that was made without ``--default-addr-pool-mask-length``."""
_RESERVED = 3
"""Addresses of a subnet that no task gets: the network's own, its router's and the broadcast address."""
_SERVING = 3
"""Tasks on the control network besides agents and gateways: bus, and if composed, coordinator and proxy."""


def resources(wanted: NodeResources | None, *, has_cpu_limit: bool = True) -> Json:
    """A task's ``Resources``: the limits and reservations that are asked for, and one of processes.

    Args:
        wanted: What is asked for.
        has_cpu_limit: Whether Swarm limits its CPU. Docker changes no limit of CPU that a task began with.
    """
    wanted = wanted or NodeResources()
    limits = {
        "NanoCPUs": _nano(wanted.cpu_limit) if has_cpu_limit else 0,
        "MemoryBytes": _whole(wanted.memory_limit),
        "Pids": wanted.most_pids + AGENT_PIDS,
    }
    reservations = {"NanoCPUs": _nano(wanted.cpu_reservation), "MemoryBytes": _whole(wanted.mem_reservation)}
    return {
        "Limits": {key: value for key, value in limits.items() if value},
        "Reservations": {key: value for key, value in reservations.items() if value},
    }


def placement(wanted: Placement) -> Json:
    """A task's ``Placement``. It names no platform, as an image may have several."""
    asked: Json = {}
    if wanted.constraints:
        asked["Constraints"] = list(wanted.constraints)
    if wanted.preferences:
        asked["Preferences"] = [{"Spread": {"SpreadDescriptor": label}} for label in wanted.spread_over]
    if wanted.max_per_machine is not None:
        asked["MaxReplicas"] = wanted.max_per_machine
    return asked


def unsupported(plan: Plan) -> list[str]:
    """What a topology asks for and a swarm can't provide, one sentence each."""
    speeds = [
        f"{service.name}: target_cpu_speed {service.resources.target_cpu_speed}: Swarm chooses the machine, "
        "whose speed is not known before; give cpu_limit"
        for service in plan.topology.services
        if service.resources is not None and service.resources.target_cpu_speed is not None
    ]
    forwarded = [
        f"{service.name}: it sees all its clients at one address, that of the container that forwards to it, "
        "and connections that it opens itself don't reach the emulated networks"
        for service in plan.topology.services
        if service.networks
    ]
    return speeds + forwarded


def check_plan(plan: Plan, shaper: str) -> None:
    """Check that a swarm can impose the conditions and the faults of a plan.

    Args:
        plan: The plan.
        shaper: ``tun``, ``netem`` or ``auto``.

    Raises:
        HostError: It can't.
    """
    if shaper == "netem":
        check_duty_cycles(plan)
    check_faults(plan)


def check_faults(plan: Plan) -> None:
    """Check that a swarm can impose the faults of the scenario.

    Raises:
        HostError: It can't.
    """
    for change in plan.timeline.all_changes:
        if change.action == "limit":
            _check_limit(change)
        if change.action == "fill_disk":
            raise HostError(
                f"the scratch folder of {change.target} is on its machine's disk, which must not be filled",
                where=f"fill_disk at {change.at_s:g} s",
                hint="use the local engine, where it has a size of its own",
            )
    check_stress(plan, {each.name: _limits_of(each.resources) for each in plan.replicas}, Room())


def _check_limit(change: Change) -> None:
    memory = change.after["mem_bytes"]
    if memory is not None and memory < LEAST_MEMORY_BYTES:
        least = Bytes(LEAST_MEMORY_BYTES)
        raise HostError(
            f"{change.target} can't be limited to {Bytes(memory)}: Docker's least is {least}",
            where=f"limit at {change.at_s:g} s",
            hint=f'write memory="{least}" or more',
        )


def _limits_of(resources: NodeResources | None) -> Room:
    if resources is None:
        return Room()
    memory = resources.memory_limit
    return Room(resources.cpu_limit, None if memory is None else int(memory))


def check_capacity(plan: Plan, prefix: int, machines: int) -> None:
    """Check that every network has an address for each of its members.

    Args:
        plan: The networks and their members.
        prefix: The prefix length of the swarm's subnets.
        machines: How many machines the swarm has: each gets an address of its own on every network.

    Raises:
        HostError: A network has more members than addresses.
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


def _nano(cores: float | None) -> int:
    return round((cores or 0) * 1e9)  # Docker counts CPUs in billionths


def _whole(size: float | None) -> int:
    return int(size or 0)
