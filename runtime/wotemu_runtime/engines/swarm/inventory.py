"""Lists the emulations on a swarm and their states, from the labels of Docker's objects."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import aiodocker
import attrs

from wotemu_runtime.engines.swarm.docker_client import asking_docker, managed_swarm
from wotemu_runtime.engines.swarm.removal import HOLDINGS, KINDS
from wotemu_runtime.engines.swarm.specs import NAMESPACE_LABEL, ROLE_LABEL, STACK_LABEL

COORDINATOR = "coordinator"

_NANOSECONDS = re.compile(r"\.\d+")
"""Docker's times have nanoseconds, which `datetime.fromisoformat` refuses."""

Json = dict[str, Any]


@attrs.frozen
class ServiceState:
    """One service: how many tasks it should have, and how many run and are complete.

    `error` is that of its last task, if that failed.
    """

    name: str
    role: str
    desired: int
    running: int
    complete: int
    error: str

    @property
    def is_whole(self) -> bool:
        """Whether every desired task runs or is complete."""
        return self.running + self.complete >= self.desired


@attrs.frozen
class Inventory:
    """One emulation: made by ``wotemu run``, or deployed as a stack.

    `held` counts its networks, configs, secrets and volumes; `created` is in seconds since the epoch;
    `nodes` are the machines that run its tasks. An emulation without services is partly created or removed.
    """

    name: str
    made_by: Literal["run", "stack"]
    created: float
    services: tuple[ServiceState, ...]
    held: Mapping[str, int]
    nodes: tuple[str, ...]

    @property
    def running(self) -> int:
        """The number of tasks that run."""
        return sum(service.running for service in self.services)

    @property
    def desired(self) -> int:
        """The number of tasks that should run."""
        return sum(service.desired for service in self.services)

    @property
    def has_own_coordinator(self) -> bool:
        """Whether its coordinator is a service of its own that runs."""
        return any(service.role == COORDINATOR and service.running for service in self.services)


def taken(
    found: Mapping[str, Sequence[Json]], tasks: Sequence[Json], nodes: Sequence[Json]
) -> list[Inventory]:
    """Work out the emulations from Docker's lists.

    Args:
        found: The labelled objects by kind (`KINDS`); those without a label of ours are ignored.
        tasks: All tasks.
        nodes: All machines.

    Returns:
        The emulations, sorted by name.
    """
    owned: dict[str, dict[str, list[Json]]] = {}
    for kind in KINDS:
        for item in found.get(kind, ()):
            if (name := _owner(_labels(item))) is not None:
                owned.setdefault(name, {}).setdefault(kind, []).append(item)
    # A machine that is joining has no description yet.
    hosts = {node["ID"]: node.get("Description", {}).get("Hostname", "?") for node in nodes}
    by_service: dict[str, list[Json]] = {}
    for task in tasks:
        by_service.setdefault(task["ServiceID"], []).append(task)
    return [_inventory(name, objects, by_service, hosts) for name, objects in sorted(owned.items())]


def _inventory(
    name: str, objects: Mapping[str, list[Json]], tasks: Mapping[str, list[Json]], hosts: Mapping[str, str]
) -> Inventory:
    services = sorted(objects.get("services", ()), key=lambda service: service["Spec"]["Name"])
    running = [
        task for service in services for task in tasks.get(service["ID"], ()) if _state(task) == "running"
    ]
    everything = [item for items in objects.values() for item in items]
    return Inventory(
        name=name,
        made_by="run" if any(STACK_LABEL in _labels(item) for item in everything) else "stack",
        created=min(_created(item) for item in everything),
        services=tuple(_service(name, service, tasks.get(service["ID"], ())) for service in services),
        held={kind: len(objects.get(kind, ())) for kind in HOLDINGS},
        nodes=tuple(sorted({hosts.get(task.get("NodeID", ""), "?") for task in running})),
    )


def _service(stack: str, service: Json, tasks: Iterable[Json]) -> ServiceState:
    tasks = list(tasks)
    states = Counter(_state(task) for task in tasks)
    # Swarm keeps ended tasks for its history (5 a slot by default): the latest says how the service is now.
    last = max(tasks, key=lambda task: task["Status"]["Timestamp"], default=None)
    failing = last is not None and _state(last) not in ("running", "complete", "shutdown")
    spec = service["Spec"]
    return ServiceState(
        name=spec["Name"].removeprefix(f"{stack}_"),
        role=spec["Labels"].get(ROLE_LABEL, ""),
        desired=_desired(spec["Mode"], tasks),
        running=states["running"],
        complete=states["complete"],
        error=str(last["Status"].get("Err", "")) if failing and last is not None else "",
    )


def _desired(mode: Json, tasks: Iterable[Json]) -> int:
    """How many tasks there should be: of a global service one on each machine that has one, or had."""
    if "Global" in mode:
        return len({task.get("NodeID", "") for task in tasks})
    return int(mode.get("Replicated", {}).get("Replicas", 0))


def _state(task: Json) -> str:
    return str(task["Status"]["State"])


def _labels(item: Json) -> dict[str, str]:
    # Networks and volumes have labels at the top, services, configs and secrets in their spec.
    return item.get("Labels") or item.get("Spec", {}).get("Labels") or {}


def _owner(labels: Mapping[str, str]) -> str | None:
    # `docker stack deploy` labels objects with its namespace alone, so ours are known by the role's label.
    if STACK_LABEL in labels:
        return labels[STACK_LABEL]
    return labels.get(NAMESPACE_LABEL) if ROLE_LABEL in labels else None


def _created(item: Json) -> float:
    text = str(item.get("CreatedAt") or item["Created"])
    return datetime.fromisoformat(_NANOSECONDS.sub("", text)).timestamp()


async def take_inventory(docker: aiodocker.Docker) -> list[Inventory]:
    """The emulations on the swarm that `docker` manages.

    Raises:
        HostError: It manages none, or does not answer.
    """
    with asking_docker():
        managed_swarm(await docker.system.info())
        listed = await asyncio.gather(*(_labelled(docker, kind) for kind in KINDS))
        tasks, nodes = await asyncio.gather(docker._query_json("tasks"), docker._query_json("nodes"))
    return taken(dict(zip(KINDS, listed, strict=True)), tasks or [], nodes or [])


async def _labelled(docker: aiodocker.Docker, kind: str) -> list[Json]:
    filters = json.dumps({"label": [ROLE_LABEL]})
    answer = await docker._query_json(kind, params={"filters": filters})
    # Only the list of volumes is wrapped in an object; it may be null.
    return (answer["Volumes"] if kind == "volumes" else answer) or []
