"""Rates every machine of a swarm: a service that runs once on each, and is removed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiodocker
import attrs

from wotemu.errors import HostError, InputError
from wotemu_runtime.calibration.rating import Rating
from wotemu_runtime.engines.swarm.docker_client import asking_docker, managed_swarm
from wotemu_runtime.engines.swarm.limiters import calibration_spec
from wotemu_runtime.engines.swarm.removal import objects_of, remove_stack
from wotemu_runtime.engines.swarm.specs import STACK_LABEL
from wotemu_runtime.engines.swarm.stack import Stack

NAME = "wotemu-calibrate"
"""The service, and the stack that its labels name."""
DEADLINE_S = 900.0
_LOOK_EVERY_S = 1.0
_CONFLICT = 409
_OVER = frozenset({"complete", "failed", "rejected", "orphaned", "shutdown"})


@attrs.frozen
class RatedMachine:
    """One machine's rating, or why there is none."""

    host: str
    rating: Rating | None
    error: str = ""


async def rate_machines(docker: aiodocker.Docker, *, is_quick: bool) -> AsyncIterator[RatedMachine]:
    """Rate every machine that takes tasks, all at the same time, and yield each as it is rated.

    Args:
        docker: A client of a manager.
        is_quick: By the bundled benchmark.

    Raises:
        HostError: Docker manages no swarm, or refuses the service.
        InputError: The machines are being rated already.
    """
    with asking_docker():
        managed_swarm(await docker.system.info())
        nodes = await docker.nodes.list()
    hosts = {
        node["ID"]: str(node["Description"]["Hostname"])
        for node in nodes
        if node["Status"]["State"] == "ready" and node["Spec"]["Availability"] == "active"
    }
    await _create(docker, calibration_spec(NAME, is_quick=is_quick))
    try:
        try:
            async with asyncio.timeout(DEADLINE_S):
                while hosts:
                    for task in await objects_of(docker, "tasks", NAME, STACK_LABEL):
                        if task["Status"]["State"] in _OVER and (host := hosts.pop(task["NodeID"], None)):
                            yield await _rated(docker, host, task)
                    await asyncio.sleep(_LOOK_EVERY_S)  # Swarm has no event for it
        except TimeoutError:
            for host in hosts.values():
                yield RatedMachine(host, None, f"it is not done after {DEADLINE_S:g} s")
    finally:
        await remove_stack(docker, NAME)


async def _create(docker: aiodocker.Docker, spec: dict[str, Any]) -> None:
    try:
        await docker._query_json("services/create", method="POST", data=spec)
    except aiodocker.DockerError as error:
        if error.status == _CONFLICT:
            hint = f"wait for it; or if it was interrupted: wotemu rm {NAME}"
            raise InputError(
                "these machines are being measured", where="--engine swarm", hint=hint
            ) from error
        raise HostError(error.message, where="Docker") from error


async def _rated(docker: aiodocker.Docker, host: str, task: dict[str, Any]) -> RatedMachine:
    printed = (await Stack(docker, NAME).log_tail(task["ID"], 1)).decode(errors="replace").strip()
    if task["Status"]["State"] != "complete":
        return RatedMachine(host, None, printed or str(task["Status"].get("Err", "")))
    try:
        return RatedMachine(host, Rating.from_dict(json.loads(printed)))
    except (KeyError, TypeError, ValueError):
        return RatedMachine(host, None, f"it printed no rating: {printed}")
