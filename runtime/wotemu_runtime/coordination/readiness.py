"""Waits until every role is ready, and learns where the roles are and what they shape with."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import attrs
from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu.errors import EmulationError
from wotemu.wording import MAX_NAMES, shortened
from wotemu_runtime.calibration.wanted_limits import oversubscribed
from wotemu_runtime.coordination.live_run import LiveRun
from wotemu_runtime.engines.engine import Deployed, in_words
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.roles.address_stream import AddressStream, addresses_by_replica

READY_DEADLINE_S = 60.0
READY_DEADLINE_PER_ROLE_S = 2.0


async def all_ready(run: LiveRun, deployed: Deployed) -> bool:
    """Wait until every role of the deployment is ready.

    Returns:
        False where the run is stopped before.

    Raises:
        EmulationError: some role is not ready in time.
        WotemuError: what the run failed of meanwhile.
    """
    deadline_s = READY_DEADLINE_S + READY_DEADLINE_PER_ROLE_S * len(deployed.roles)
    ingest = run.recorder.ingest
    try:
        async with asyncio.timeout(deadline_s):
            return await run.control.until(lambda: deployed.roles <= ingest.ready)
    except TimeoutError:
        raise _late(deployed.roles - ingest.ready, run.state.not_running, deadline_s) from None


def _late(missing: AbstractSet[str], not_running: Mapping[str, str], deadline_s: float) -> EmulationError:
    """The error that roles are missing: by those whose containers do not run, as others wait for them."""
    names = sorted(missing)
    if not not_running:
        return EmulationError(f"not ready after {deadline_s:g} s: {', '.join(names)}")
    found = [f"{in_words(role)}: {why}" for role, why in sorted(not_running.items())]
    more = f"; and {len(found) - MAX_NAMES} more" if len(found) > MAX_NAMES else ""
    waiting = [name for name in names if name not in not_running]
    return EmulationError(
        f"not running after {deadline_s:g} s: {'; '.join(found[:MAX_NAMES])}{more}",
        hint=f"not ready either, which may be for that: {shortened(waiting)}" if waiting else None,
    )


async def learn_places(run: LiveRun, client: Redis) -> None:
    """Complete the outcome by the addresses, shapers and scheduling that the roles have reported.

    What the engine knows itself stays; a bus that does not answer leaves everything as it is.
    """
    deployed = run.outcome.deployed
    run.outcome.scheduling = ", ".join(sorted(run.recorder.ingest.scheduling))
    if deployed is None:
        return
    with contextlib.suppress(OSError, RedisError):
        addresses = addresses_by_replica(await AddressStream(client, run.streams).read())
        devices, unenforced = found_limits(run.plan, run.recorder.ingest.limits)
        run.outcome.deployed = attrs.evolve(
            deployed,
            devices=tuple(dict.fromkeys((*deployed.devices, *devices))),
            unenforced=tuple(dict.fromkeys((*deployed.unenforced, *unenforced))),
            addresses={**deployed.addresses, **addresses},
            shaper=deployed.shaper or ", ".join(sorted(run.recorder.ingest.shapers)),
        )


def found_limits(plan: Plan, limits: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """What the machines' limiters say of the nodes' limits.

    Args:
        plan: The nodes.
        limits: By the role of each replica the `MachineLimits` of its machine, with its name as ``host``.

    Returns:
        What makes nodes as fast as devices, and what of limits can't be enforced, one sentence each.
    """
    devices, unenforced = dict[str, None](), dict[str, None]()
    cores: dict[str, int] = {}
    of_devices: defaultdict[str, float] = defaultdict(float)
    for role, found in sorted(limits.items()):
        where = f"{plan.replica(role.partition(':')[2]).node} on {found['host']}"
        if found["device"]:
            devices[f"{where}: {found['device']}"] = None
            cores[found["host"]] = found["cores"]
            of_devices[found["host"]] += found["cpu"]
        unenforced |= {f"{where}: {what}": None for what in found["missing"]}
    for host, count in sorted(cores.items()):
        if crowded := oversubscribed(of_devices[host], count):
            unenforced[f"{host}: {crowded}"] = None
    return list(devices), list(unenforced)
