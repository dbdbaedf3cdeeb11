"""Finds and removes all that belongs to one stack, whole or half made, by its labels."""

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
"""What services hold, and what therefore can go only after their last tasks."""
KINDS = ("services", *HOLDINGS)

Json = dict[str, Any]


async def objects_of(docker: aiodocker.Docker, kind: str, stack: str, *labels: str) -> list[Json]:
    """The stack's objects of one kind that carry its name in a label: in any of ours and Docker's."""
    found: dict[str, Json] = {}
    for label in labels or (STACK_LABEL, NAMESPACE_LABEL):
        filters = json.dumps({"label": [f"{label}={stack}"]})
        answer = await docker._query_json(kind, params={"filters": filters})
        for item in (answer["Volumes"] if kind == "volumes" else answer) or []:
            found[id_of(item)] = item
    return list(found.values())


def id_of(item: Json) -> str:
    """An object's id, which Docker calls differently for networks; volumes have their names alone."""
    return str(item.get("ID") or item.get("Id") or item["Name"])


async def remove_stack(docker: aiodocker.Docker, stack: str) -> Counter[str]:
    """Remove every object that carries the stack's label, services first, then what they held.

    Returns how many there were of each kind. Raises `EmulationError` where some don't go.
    """
    services = await objects_of(docker, "services", stack)
    for service in services:
        await _delete(docker, "services", service)
    removed = {("services", id_of(service)) for service in services}
    try:
        async with asyncio.timeout(REMOVE_DEADLINE_S):
            while left := await _try_to_remove(docker, stack, removed):  # noqa: ASYNC110
                await asyncio.sleep(0.5)  # they can go once no task holds them, which Swarm tells nobody
    except TimeoutError:
        raise EmulationError(
            f"still there after {REMOVE_DEADLINE_S:g} s: {', '.join(left)}",
            where=f"stack {stack!r}",
            hint="are all nodes of the swarm up? docker node ls tells",
        ) from None
    return Counter(kind for kind, _ in sorted(removed, key=lambda each: KINDS.index(each[0])))


async def _try_to_remove(docker: aiodocker.Docker, stack: str, removed: set[tuple[str, str]]) -> list[str]:
    """Remove what may be removed; what was there, so that nothing means that all is gone."""
    found = []
    for kind in HOLDINGS:
        for item in await objects_of(docker, kind, stack):
            found.append(f"{kind[:-1]} {item.get('Name') or item['Spec']['Name']}")
            removed.add((kind, id_of(item)))
            await _delete(docker, kind, item)
    return found


async def _delete(docker: aiodocker.Docker, kind: str, item: Json) -> None:
    """Ask for it; a task may still hold it, or somebody else may have removed it."""
    with contextlib.suppress(aiodocker.DockerError):
        async with docker._query(f"{kind}/{id_of(item)}", method="DELETE"):
            pass
