"""Changes a run while it goes on, and answers what is asked about it.

A change by hand becomes part of the timeline like a guard's actions: the roles get it a moment before it is
due, apply it all at the same time, and answer it; the certificate judges it like a scripted one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, NoReturn
from uuid import uuid4

from redis.asyncio import Redis

from wotemu.errors import InputError, NotRunningError
from wotemu.records import Change
from wotemu.suggestions import did_you_mean
from wotemu_runtime.control.live_changes import LiveChange
from wotemu_runtime.control.requests import (
    Changed,
    ConditionsNow,
    LoggedEvent,
    RunPhase,
    RunStatus,
)
from wotemu_runtime.coordination.command_sender import CommandSender
from wotemu_runtime.coordination.conditions_now import conditions_at
from wotemu_runtime.coordination.live_run import LiveRun
from wotemu_runtime.coordination.live_timeline import Insertion
from wotemu_runtime.coordination.node_command import NodeCommand

LEAD_S = 0.05
"""A change by hand is due so long after it is asked for: by then every role has it, however far away."""
AT_ONCE_S = 0.1
"""Effects within this time of a change are waited for: a crash kills its app 50 ms after it cuts it off."""
ANSWER_DEADLINE_S = 5.0
"""Answers come within milliseconds; for so long they are waited for."""


class LiveControl:
    """One run, as those who control it see it; see `wotemu_runtime.control.server.Controllable`."""

    def __init__(self, run: LiveRun) -> None:
        self._run = run
        self._client: Redis | None = None
        self._sender: CommandSender | None = None
        self._changing: set[asyncio.Task[Any]] = set()
        self.name = run.plan.stack
        """What commands find it by: its name, numbered where another run of this name goes on."""

    def __repr__(self) -> str:
        return f"LiveControl({self.name!r}, {self._doing})"

    def attach(self, client: Redis, sender: CommandSender) -> None:
        """Take the bus's client, and what commands can be sent with, once they are there."""
        self._client, self._sender = client, sender

    # Changes

    async def change(self, change: LiveChange, who: str) -> Changed:
        """Make a change now, and wait until it has taken hold.

        Args:
            change: what to change.
            who: who wants that, for people.

        Raises:
            ScenarioError: it is not possible; then nothing is changed.
            NotRunningError: the scenario has not begun, or is over.
        """
        t0 = self._t0()
        # A client that leaves must not leave a change that is sent and not recorded.
        making = asyncio.ensure_future(self._make(change, who, t0))
        self._changing.add(making)
        making.add_done_callback(self._changing.discard)
        insertion, answers = await asyncio.shield(making)
        try:
            deadline_s = t0 + insertion.at_s - self._run.now() + ANSWER_DEADLINE_S
            if answers:
                await asyncio.wait(answers, timeout=max(0.0, deadline_s))
        finally:
            self._run.answers.forget(answers)
        return _outcome(insertion, [answer.result() if answer.done() else None for answer in answers])

    async def _make(
        self, change: LiveChange, who: str, t0: float
    ) -> tuple[Insertion, list[asyncio.Future[Change]]]:
        run, sender = self._run, self._sender
        answers: list[asyncio.Future[Change]] = []
        assert sender is not None  # noqa: S101  # T0 was set through it

        async def send(**command: Any) -> None:
            soon_s = command["at_s"] + AT_ONCE_S
            soon = [each["id"] for each in command["changes"] if each["at_s"] <= soon_s]
            answers.extend(run.answers.expect(soon))
            await sender.send(**command)

        def due_s() -> float:
            now_s = max(0.0, run.now() - self._t0())
            at_s = now_s + LEAD_S + run.inserted.resolving_s
            if at_s >= run.timeline.duration_s:
                raise NotRunningError("the scenario is over before it could take hold", where=change.text)
            return at_s

        insertion = await run.inserted.change(change, who, due_s, t0, send)
        report_live_change(run, insertion)
        return insertion, answers

    async def execute(
        self,
        replica: str,
        argv: Sequence[str],
        who: str,
        *,
        tty: bool = False,
        size: tuple[int, int] = (24, 80),
    ) -> NodeCommand:
        """Run a command in a node, in its network and as its app's user.

        Args:
            replica: the node's name, or that of one replica.
            argv: the program and its arguments.
            who: who wants that, for people.
            tty: whether it gets a terminal.
            size: the terminal's rows and columns.

        Returns:
            The command; its output says how it ended.

        Raises:
            InputError: there is no such replica, or nothing of WoTemu's runs there.
            NotRunningError: the scenario has not begun, or is over.
        """
        command = await self._command("exec", replica, argv=list(argv), tty=tty, size=list(size))
        text = shlex.join(argv)
        self._run.report(
            "control.exec", f"{who}: {replica}: {text}", who=who, replica=replica, argv=list(argv)
        )
        return command

    async def capture(self, replica: str, who: str) -> NodeCommand:
        """Stream what passes the interfaces of a node, as pcapng.

        Args:
            replica: the node's name, or that of one replica.
            who: who wants that, for people.

        Raises:
            InputError: there is no such replica, or its packets can't be captured.
            NotRunningError: the scenario has not begun, or is over.
        """
        command = await self._command("capture", replica)
        self._run.report("control.capture", f"{who} captures {replica}", who=who, replica=replica)
        return command

    async def _command(self, kind: str, replica: str, **request: Any) -> NodeCommand:
        """Have the agent of a node begin what prints and takes signals; errors as those of `execute`."""
        self._t0()
        run, role, where = self._run, f"agent:{replica}", f"emulation {self.name!r}"
        if role not in run.plan.roles:
            known = [name.partition(":")[2] for name in sorted(run.plan.roles) if name.startswith("agent:")]
            raise InputError(f"there is no node {replica!r}", where=where, hint=did_you_mean(replica, known))
        if run.plan.replica(replica).kind == "uplink":
            hint = "wotemu run --pcap has its packets; else take those of a node on its network"
            raise InputError(f"{replica!r} is an uplink, which has no agent", where=where, hint=hint)
        is_agents = kind == "exec" or run.engine.name != "local"
        if is_agents and run.plan.replica(replica).kind == "service":
            raise InputError(f"{replica!r} is a plain service, which has no agent of WoTemu's", where=where)
        if kind == "exec" and not request["argv"]:
            raise InputError("no command is given", where=where, hint='write ["ping", "-c3", "sensor"]')
        assert self._sender is not None and self._client is not None  # noqa: S101  # T0 was set through them
        number = uuid4().hex
        command = NodeCommand(
            self._client, run.streams, number, lambda: self._is_going, ends_with_run=kind == "capture"
        )
        await self._sender.send(command=kind, role=role, number=number, t=run.now(), **request)
        return command

    def stop(self, *, at_once: bool, who: str) -> None:
        """End the run, cleanly or at once."""
        self._run.report("control.stop", f"{who} ends the run", who=who, at_once=at_once)
        self._run.control.stop(at_once=at_once)

    def _t0(self) -> float:
        """T0 of a run whose scenario goes on.

        Raises:
            NotRunningError: it has not begun, or is over.
            WotemuError: what it has failed of.
        """
        t0 = self._run.outcome.t0
        if not self._is_going:
            self._raise_end("the run is over")
        if t0 is None:
            raise NotRunningError(
                "its scenario has not begun: not all nodes are ready yet",
                where=f"emulation {self.name!r}",
                hint="wait for the event run.t0",
            )
        return t0

    # Waits

    async def until_begun(self) -> None:
        """Wait for T0.

        Raises:
            WotemuError: what the run failed of before.
            NotRunningError: it was ended before.
        """
        run = self._run
        await self._until(lambda: run.outcome.t0 is not None)
        assert run.outcome.t0 is not None  # noqa: S101  # it holds
        await self._until_time(run.outcome.t0)

    async def until_moment(self, at_s: float) -> None:
        """Wait until `at_s` seconds after T0; otherwise as `until_begun`."""
        await self.until_begun()
        await self._until_time((self._run.outcome.t0 or 0.0) + at_s)

    async def until_holds(self, condition: Mapping[str, Any]) -> None:
        """Wait until a condition holds, as `Measurements` looks at it; otherwise as `until_begun`."""
        with self._run.measured.awaited():
            await self._until(lambda: self._run.measured.holds(condition))

    async def _until(self, holds: Callable[[], bool]) -> None:
        run = self._run
        await run.control.until_over(lambda: holds() or not self._is_going)
        if not holds():
            self._raise_end()

    async def _until_time(self, t: float) -> None:
        run = self._run
        while self._is_going and (left_s := t - run.now()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await run.control.until_over(lambda: not self._is_going)
        if run.now() < t:
            self._raise_end()

    @property
    def _is_going(self) -> bool:
        run = self._run
        return run.is_running and not run.control.stop_requested

    def _raise_end(self, message: str = "the run ended before") -> NoReturn:
        run = self._run
        if (error := run.outcome.error or run.control.failure) is not None:
            raise error
        raise NotRunningError(message, where=f"emulation {self.name!r}")

    # Questions

    @property
    def t0(self) -> float | None:
        """T0 in seconds since the epoch on the bus's clock; None where it is not set."""
        return self._run.outcome.t0

    def describe(self, condition: Mapping[str, Any]) -> str:
        """What a condition depends on, as it is now, for people."""
        return self._run.measured.describe(condition)

    @property
    def now_s(self) -> float | None:
        """Seconds since T0 on the bus's clock; None where T0 is not set, negative just before it."""
        t0 = self._run.outcome.t0
        return None if t0 is None else self._run.now() - t0

    @property
    def _doing(self) -> RunPhase:
        run = self._run
        if run.outcome.ended:
            return "over"
        if not self._is_going:
            return "ending"
        return "deploying" if run.outcome.t0 is None else "running"

    def status(self) -> RunStatus:
        """What the run does now."""
        run, now_s = self._run, self.now_s
        return RunStatus(
            name=self.name,
            pid=os.getpid(),
            engine=run.engine.name,
            doing=self._doing,
            now_s=now_s,
            duration_s=run.timeline.duration_s,
            phase="" if now_s is None else run.timeline.phase_at(now_s),
            nodes=len(run.plan.replicas),
            networks=len(run.plan.networks),
            run_dir=str(run.recorder.directory.run_dir.absolute()),
            events=run.recorder.directory.events.count,
        )

    def conditions(self) -> ConditionsNow:
        """What holds on every hop now, as the timeline says; before T0, what will hold then."""
        return conditions_at(self._run.plan, self._run.timeline, self.now_s or 0.0)

    async def events(
        self, kinds: tuple[str, ...], *, after: int | None, follow: bool
    ) -> AsyncGenerator[LoggedEvent, None]:
        """Events as they are recorded; see `EventLog.read`."""
        reading = self._run.recorder.directory.events.read(kinds, after=after, follow=follow)
        async with aclosing(reading) as events:
            async for number, event in events:
                yield LoggedEvent(number, event)


def report_live_change(run: LiveRun, insertion: Insertion) -> None:
    """Record a change that was made by hand: who made it, when, and how a scenario would write it."""
    change = insertion.change
    if change is None:
        return
    run.report(
        "control.change",
        f"{insertion.who}: {change.text}",
        who=insertion.who,
        at_s=insertion.at_s,
        change=change.to_dict(),
        source=change.source(insertion.at_s),
    )


def _outcome(insertion: Insertion, answers: list[Change | None]) -> Changed:
    found = [answer for answer in answers if answer is not None]
    held = [answer.applied - answer.due for answer in found if answer.ok]
    return Changed(
        at_s=insertion.at_s,
        text="" if insertion.change is None else insertion.change.text,
        changes=len(answers),
        late_s=max(held, default=None),
        failed=[f"{each.action} of {each.target}: {each.error}" for each in found if not each.ok],
        unanswered=len(answers) - len(found),
    )
