"""Waits until every role is ready, and learns where the roles are and what they shape with."""

from __future__ import annotations

import asyncio
import contextlib

import attrs
from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu.errors import EmulationError
from wotemu_runtime.coordination.live_run import LiveRun
from wotemu_runtime.engines.engine import Deployed
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
        missing = ", ".join(sorted(deployed.roles - ingest.ready))
        raise EmulationError(f"not ready after {deadline_s:g} s: {missing}") from None


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
        run.outcome.deployed = attrs.evolve(
            deployed,
            addresses={**deployed.addresses, **addresses},
            shaper=deployed.shaper or ", ".join(sorted(run.recorder.ingest.shapers)),
        )
