"""The tasks that go on beside the scenario: the engine's news, silence, guards, this machine's load."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from wotemu.errors import EmulationError
from wotemu.records import Event, Host
from wotemu_runtime.bus import redirect
from wotemu_runtime.coordination.command_sender import CommandSender
from wotemu_runtime.coordination.live_run import LiveRun
from wotemu_runtime.engines.engine import BusAt, News, NotRunning, RoleEnded, RoleLost, Unplaced, in_words
from wotemu_runtime.recording.liveness import SOURCE
from wotemu_runtime.roles.host_report import HostClaim, host_name, report_host

LOOK_EVERY_S = 1.0


async def watch_roles(run: LiveRun, client: Redis) -> None:
    """Act on the engine's news until cancelled."""
    async for news in run.engine.news():
        if isinstance(news, BusAt):
            await redirect(client, news.address)
        else:
            take_news(run, news)
        run.control.news()


def take_news(run: LiveRun, news: News) -> None:
    """Take one piece of news about a role into account: fail the run, or record what happened."""
    match news:
        case RoleEnded(role, status, cause):
            run.state.ended.add(role)
            if run.is_running:
                hint = f"what it printed is in {run.recorder.directory.run_dir / 'logs' / '_wotemu.log'}"
                if role.startswith("service:"):  # nothing of WoTemu's is in its container
                    hint = "run its image by itself, as with docker run, to see what it prints"
                error = EmulationError(f"it ended by itself: {status}", where=in_words(role), hint=hint)
                run.control.fail(cause or error)
        case RoleLost(role, reason, host) if not run.recorder.draining:
            run.recorder.role_lost(role, reason, host)
        case NotRunning(role, why):
            run.state.take_running(role, why)
        case Unplaced(role, error) if run.outcome.t0 is None:
            run.control.fail(error)
        case Unplaced(role, error):  # its machine is gone: the run goes on without the role
            run.report("role.unplaced", f"{role} has no place: {error.message}", role=role)


async def watch_silence(run: LiveRun) -> None:
    """Record which roles have fallen silent, from T0 to the end of the run."""
    await run.control.until_over(lambda: run.outcome.t0 is not None)
    while run.is_running:
        run.recorder.check_silence()
        await asyncio.sleep(LOOK_EVERY_S)


async def watch_guards(run: LiveRun, sender: CommandSender) -> None:
    """Fire guards from T0 on; one that has to fire and does not fails the run."""
    await run.control.until_over(lambda: run.outcome.t0 is not None)
    if run.outcome.t0 is None:
        return
    try:
        await run.guards.run(run.outcome.t0, sender.send, run.report)
    except EmulationError as error:
        run.control.fail(error)


async def watch_host(run: LiveRun, client: Redis) -> None:
    """Record this machine's load where no role does, until cancelled."""

    def take(record: Host | Event) -> None:
        if isinstance(record, Host):
            run.recorder.record_host(record)
        else:
            run.recorder.record(record)

    name = host_name()
    await report_host(name, SOURCE, HostClaim(client, run.streams.host(name), SOURCE), run.clock, take)
