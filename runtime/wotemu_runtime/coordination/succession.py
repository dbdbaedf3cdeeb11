"""One coordinator after the other: the lease, the card for a successor, and taking over."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from wotemu.errors import EmulationError
from wotemu_runtime.bus import Streams
from wotemu_runtime.coordination.command_log import CommandLog
from wotemu_runtime.coordination.coordinator_lease import Lease
from wotemu_runtime.coordination.live_control import report_live_change
from wotemu_runtime.coordination.live_run import LiveRun
from wotemu_runtime.engines.engine import Engine

PREDECESSOR = "coordinator before"
"""The source of losses of a coordinator that died, where its run directory is not at hand."""


@asynccontextmanager
async def leased(client: Redis, streams: Streams, engine: Engine, *, resume: bool) -> AsyncIterator[Lease]:
    """Hold the right to coordinate while the block runs, then leave it to the next one at once.

    Raises:
        EmulationError: another coordinator has it. Where that is whose run was to be resumed, the engine
            leaves the deployment to it.
    """
    lease = Lease(client, streams)
    try:
        await lease.acquire()
    except BaseException:
        if resume:
            engine.leave()
        raise
    try:
        yield lease
    finally:
        await lease.release()


async def hold(lease: Lease, engine: Engine) -> None:
    """Renew the lease until cancelled.

    Raises:
        EmulationError: another coordinator has it; the engine leaves the deployment to that one.
    """
    try:
        await lease.hold()
    except EmulationError:
        engine.leave()
        raise


class Card:
    """What a coordinator needs to take over, on the bus: a few facts of the run, and the deployment's code.

    Args:
        facts: JSON values, as the card of `wotemu attach` has them.
        code: the bundle of the deployment's folder; empty where it is too large for the bus.
    """

    def __init__(self, facts: Mapping[str, Any], code: bytes) -> None:
        self._facts = dict(facts)
        self._code = code

    async def publish(self, client: Redis, streams: Streams, run_id: str) -> None:
        """Put the card on the bus, with the id of the run."""
        self._facts["run"] = run_id
        await client.set(streams.card, json.dumps(self._facts))
        if self._code:
            await client.set(streams.code, self._code)

    async def publish_end(self, client: Redis, streams: Streams, status: str) -> None:
        """Add how the run ended: there is nothing to take over any more."""
        with contextlib.suppress(OSError, RedisError):
            await client.set(streams.card, json.dumps({**self._facts, "status": status}))


async def take_over(run: LiveRun, client: Redis, log: CommandLog) -> None:
    """Continue the run of a coordinator that died, by its commands and its run directory.

    Raises:
        EmulationError: the roles follow another timeline; the engine leaves them alone then.
    """
    if log.timeline_hash not in (None, run.plan.timeline.hash):
        run.engine.leave()
        raise EmulationError(
            f"the roles follow another timeline: {log.timeline_hash}, not {run.plan.timeline.hash}",
            where="coordinator",
            hint="a scenario must depend on nothing but its seed",
        )
    if log.t0 is not None:
        run.begin_at(log.t0)
    run.recorder.replay()
    when = "before T0" if log.t0 is None else f"{run.now() - log.t0:.1f} s after T0"
    run.report("run.resumed", f"another coordinator takes over {when}", t0=log.t0)
    await run.inserted.restore(log.insertions)
    _report_insertions(run, log)
    for table, count in (await run.recorder.missing(client, run.streams)).items():
        run.report_loss(PREDECESSOR, f"{table} records that only its run directory has", count)
    for name in run.recorder.directory.damaged:
        run.report_loss(PREDECESSOR, f"end of {name}, which its machine had not written", 1)


def _report_insertions(run: LiveRun, log: CommandLog) -> None:
    """Record the guards and changes that the coordinator before sent and could not record any more."""
    fired = {each.guard for each in log.insertions if each.guard is not None}
    for each in log.insertions:
        if each.guard is not None and each.guard not in run.state.guards:
            run.report("guard.fired", f"guard {each.guard} fired", id=each.guard, at_s=each.at_s)
    by_hand = [each for each in log.insertions if each.change is not None]
    for each in by_hand[run.state.live_changes :]:
        report_live_change(run, each)
    run.guards.forget(fired, run.state.guards)
