"""Winds a run down: the roles end, what they still send is recorded, and the run is judged."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from redis.asyncio import Redis

from wotemu.errors import EmulationError
from wotemu.records import Probe
from wotemu_runtime.coordination.command_sender import CommandSender
from wotemu_runtime.coordination.live_run import LiveRun
from wotemu_runtime.coordination.readiness import learn_places
from wotemu_runtime.engines.engine import Deployed
from wotemu_runtime.fidelity import Certificate, Thresholds, judge
from wotemu_runtime.planning.models import CAPTURE_ROLE
from wotemu_runtime.recording.ingest import BUS
from wotemu_runtime.recording.liveness import SOURCE

STOP_DEADLINE_S = 12.0
STOP_DEADLINE_PER_ROLE_S = 0.25
UNHEARD_GRACE_S = 1.0
"""Roles that have sent nothing by then get no longer to end: most likely they were never placed."""
SENDS_NO_MORE_S = 5.0
SENDING_DEADLINE_S = 60.0
"""Roles that are to end and still send records get so long."""
ANSWER_S = 1.0
"""A change that was due this shortly before a run was interrupted may lack its answer."""

LAST = ("gateway:", CAPTURE_ROLE)
"""How the names of roles begin that end when all others have ended."""


async def wind_down(
    run: LiveRun,
    client: Redis,
    sender: CommandSender,
    deployed: Deployed,
    *,
    recording: asyncio.Task[None],
    others: Sequence[asyncio.Task[None]],
    keep: bool,
    thresholds: Thresholds | None,
) -> None:
    """End the roles, or with `keep` have them go on unrecorded; record the rest; then judge the run.

    Args:
        recording: the task that reads the bus; it is drained, then cancelled.
        others: the run's other tasks, which are cancelled once nothing more is to be recorded.
    """
    end = min(run.now(), (run.outcome.t0 or math.inf) + run.timeline.duration_s)
    run.witness.end(end)
    run.report("run.stopping", "the nodes go on, unrecorded" if keep else "stopping the nodes")
    if BUS in run.state.ended:  # nobody starts it again: there is no way to the roles, and none from them
        run.recorder.record(*run.recorder.ingest.bus_failed(run.now()))
        is_stored = False
    else:
        with contextlib.suppress(EmulationError):  # a bus that is away: the outcome says so below
            await _end_roles(run, sender, deployed.roles, keep=keep)
        drain = run.recorder.drain(recording, STOP_DEADLINE_S)
        is_stored = bool(await run.control.unless_aborted(drain))
    for task in (recording, *others):
        task.cancel()
    await asyncio.wait([recording])
    await learn_places(run, client)
    await _report_missing(run, client, deployed.roles, is_stored=is_stored)
    await _certify(run, thresholds)
    _report_unanswered_changes(run, end)
    if run.recorder.ingest.bus_is_away and not run.control.abort_requested:
        message = "it was away at the end: what the roles recorded since it went is lost"
        run.fail(EmulationError(message, where="event bus"))


async def _end_roles(run: LiveRun, sender: CommandSender, roles: AbstractSet[str], *, keep: bool) -> None:
    """Send the roles their end and wait for it; a lost role that comes back later is not waited for."""
    lost = run.recorder.ingest.lost
    if keep:
        await sender.send(command="mute")
    else:  # gateways last: until then apps disconnect from each other as they would in the field
        await sender.send(command="stop", but=LAST)
        await _until_over(run, {role for role in roles if not role.startswith(LAST)} - lost)
        await sender.send(command="stop")
    await _until_over(run, roles - lost)


async def _until_over(run: LiveRun, roles: AbstractSet[str]) -> None:
    """Wait until the roles are over, or send no more, or the run is aborted."""
    ingest, state = run.recorder.ingest, run.state
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(UNHEARD_GRACE_S):
            await run.control.until_over(lambda: roles <= state.over)
            return
    deadline_s = STOP_DEADLINE_S + STOP_DEADLINE_PER_ROLE_S * len(roles)
    began = run.now()
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                await run.control.until_over(lambda: roles & ingest.heard <= state.over)
                return
        now, deadline_s = run.now(), STOP_DEADLINE_S
        is_sending = now - ingest.last_heard(roles - state.over) < SENDS_NO_MORE_S
        if not is_sending or now - began > SENDING_DEADLINE_S:
            return


async def _report_missing(run: LiveRun, client: Redis, roles: AbstractSet[str], *, is_stored: bool) -> None:
    """Report the records that never came, as far as that can be known without the bus."""
    recorder = run.recorder
    if recorder.ingest.bus_is_away or run.control.abort_requested:
        recorder.finish()
        return
    if not is_stored:
        await recorder.count_the_rest(client, run.streams)
    recorder.finish(roles - recorder.ingest.lost)


async def _certify(run: LiveRun, thresholds: Thresholds | None) -> None:
    """Judge what ran, unless nothing did or the run is aborted."""
    if run.outcome.t0 is None or run.control.abort_requested:
        return

    def judged() -> tuple[list[Probe], Certificate]:
        probes = run.witness.finish()
        return probes, judge(run.witness.evidence(), thresholds)

    # In a thread, so that interrupts are heard meanwhile: long runs of many nodes take a second or two.
    found = await run.control.unless_aborted(asyncio.to_thread(judged))
    if found is None:
        return
    probes, certificate = found
    run.recorder.store(*probes)
    run.outcome.certificate = certificate
    reasons = [reason.text for reason in certificate.reasons]
    run.report("run.certified", str(certificate), verdict=certificate.verdict, reasons=reasons)


def _report_unanswered_changes(run: LiveRun, end: float) -> None:
    """Report the changes that should have been answered and were not.

    After the certificate: the witness counts them by itself.
    """
    if run.outcome.t0 is None:
        return
    changes, answered = run.timeline.changes, run.recorder.ingest.answered
    if run.outcome.status != "done":
        lasted_s = end - run.outcome.t0
        changes = tuple(change for change in changes if change.at_s < lasted_s - ANSWER_S)
    if missing := sum(change.id not in answered for change in changes):
        run.report_loss(SOURCE, "changes without an answer", missing)
