"""Finds and removes all objects of one stack by their labels, also of a stack that is partly created."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from typing import Any

import aiodocker

from wotemu.errors import EmulationError
from wotemu_runtime.engines.swarm.specs import NAMESPACE_LABEL, STACK_LABEL

REMOVE_DEADLINE_S = 180.0
HOLDINGS = ("networks", "configs", "secrets", "volumes")
"""The kinds of objects that tasks hold: Docker refuses to remove them before the last task has ended."""
KINDS = ("services", *HOLDINGS)

Json = dict[str, Any]


async def objects_of(docker: aiodocker.Docker, kind: str, stack: str, *labels: str) -> list[Json]:
    """The stack's objects of one kind.

    Args:
        docker: A client of a manager.
        kind: One of `KINDS`, or ``tasks``.
        stack: The stack's name.
        labels: The labels to look in; ours and Docker's own if none is given.
    """
    found: dict[str, Json] = {}
    # One request a label: Docker's filters of one kind must all match.
    for label in labels or (STACK_LABEL, NAMESPACE_LABEL):
        filters = json.dumps({"label": [f"{label}={stack}"]})
        answer = await docker._query_json(kind, params={"filters": filters})
        for item in (answer["Volumes"] if kind == "volumes" else answer) or []:
            found[id_of(item)] = item
    return list(found.values())


def id_of(item: Json) -> str:
    """An object's id. Docker spells the key differently for networks, and volumes have only names."""
    return str(item.get("ID") or item.get("Id") or item["Name"])


async def remove_stack(docker: aiodocker.Docker, stack: str) -> Counter[str]:
    """Remove every object of a stack: its services, then what they held.

    Returns:
        How many objects were removed, by kind.

    Raises:
        EmulationError: Some are still there after `REMOVE_DEADLINE_S`.
    """
    # Removing a service makes Swarm stop its tasks, which takes up to their grace period.
    services = await objects_of(docker, "services", stack)
    await asyncio.gather(*(_delete(docker, "services", service) for service in services))
    removed = {("services", id_of(service)) for service in services}
    try:
        async with asyncio.timeout(REMOVE_DEADLINE_S):
            while left := await _try_to_remove(docker, stack, removed):  # noqa: ASYNC110
                await asyncio.sleep(0.5)  # until no task holds them, for which Swarm has no event
    except TimeoutError:
        raise EmulationError(
            f"still there after {REMOVE_DEADLINE_S:g} s: {', '.join(left)}",
            where=f"stack {stack!r}",
            hint="are all nodes of the swarm up? docker node ls tells",
        ) from None
    return Counter(kind for kind, _ in sorted(removed, key=lambda each: KINDS.index(each[0])))


async def _try_to_remove(docker: aiodocker.Docker, stack: str, removed: set[tuple[str, str]]) -> list[str]:
    """Ask for every removal once; the objects that were still there, an empty list when all are gone."""
    found = []
    for kind in HOLDINGS:
        for item in await objects_of(docker, kind, stack):
            found.append(f"{kind[:-1]} {item.get('Name') or item['Spec']['Name']}")
            removed.add((kind, id_of(item)))
            await _delete(docker, kind, item)
    return found


async def _delete(docker: aiodocker.Docker, kind: str, item: Json) -> None:
    """Ask for one removal. It fails while a task holds the object, or where somebody else has removed it."""
    with contextlib.suppress(aiodocker.DockerError):
        async with docker._query(f"{kind}/{id_of(item)}", method="DELETE"):
            pass
