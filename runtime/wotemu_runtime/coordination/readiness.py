"""Waits until every role is ready, and learns where the roles are and what they shape with."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import attrs
from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu.errors import EmulationError
from wotemu.wording import MAX_NAMES, shortened
from wotemu_runtime.coordination.live_run import LiveRun
from wotemu_runtime.engines.engine import Deployed, in_words
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
        run.outcome.deployed = attrs.evolve(
            deployed,
            addresses={**deployed.addresses, **addresses},
            shaper=deployed.shaper or ", ".join(sorted(run.recorder.ingest.shapers)),
        )
