"""Applies one role's changes when they are due, and reports each with when it took hold.

Of a change that another role applies, and this one takes part in, it reports failures alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from wotemu.errors import WotemuError
from wotemu.records import Change as ChangeRecord
from wotemu.records import Record
from wotemu.scenario.timeline import Change
from wotemu_runtime.bus import BusClock
from wotemu_runtime.roles.pending_changes import PendingChanges

Apply = Callable[[Change], Awaitable[None] | None]
"""Makes a change take hold. What it raises is reported as the change's error."""


class ReportEvent(Protocol):
    """Publishes an event of the role: its kind, a sentence and its data."""

    def __call__(self, kind: str, message: str, /, **data: object) -> None: ...


class ChangeSchedule:
    """The timeline of one role.

    Args:
        role: The role's name.
        clock: The bus's clock.
        t0: Resolves to T0, in seconds since the epoch; changes count from it.
        publish: Takes the records of applied changes.
        report: Publishes events.
    """

    def __init__(
        self,
        role: str,
        clock: BusClock,
        t0: asyncio.Future[float],
        publish: Callable[[Record], None],
        report: ReportEvent,
    ) -> None:
        self._role = role
        self._clock = clock
        self._t0 = t0
        self._publish = publish
        self._report = report
        self._pending = PendingChanges()
        self._is_outdated = asyncio.Event()
        """Set when the next change, or how long it is until then, may be another."""

    def __repr__(self) -> str:
        return f"ChangeSchedule({self._role!r}, {self._pending!r})"

    def update(self, add: Iterable[Change], discard: Iterable[int] = ()) -> None:
        """Add changes, replacing pending ones of the same id, and discard others by their ids."""
        changes = list(add)
        if changes:
            # Before they are due, but only in roles that have some: with the conditions that it can describe
            # it takes as long as a tenth of all that a role imports.
            import wotemu.scenario.change_text  # noqa: F401

        self._pending.add(changes)
        self._pending.discard(discard)
        self.recompute()

    def recompute(self) -> None:
        """Compute again how long it is until the next change: the clock was corrected."""
        self._is_outdated.set()

    def pop_overdue(self) -> list[Change]:
        """Remove and return what was due before this role started in another's place; nothing before T0.

        The caller makes them hold all at once and then calls `report_overdue`. A role that may start late
        waits until the command reader has `caught_up` first.
        """
        changes: list[Change] = []
        while self._t0.done() and (change := self._pending.next) is not None:
            if self._t0.result() + change.at_s > self._clock.now():
                break
            self._pending.pop()
            changes.append(change)
        return changes

    def report_overdue(self, changes: list[Change]) -> None:
        """Record that overdue changes hold now; the coordinator ignores those that were recorded before."""
        changes = [change for change in changes if change.applier == self._role]
        if not changes:
            return
        t0, now = self._t0.result(), self._clock.now()
        for change in changes:
            self._record(change, t0 + change.at_s, now, "")
        text = f"{self._role} applied {len(changes)} changes that were due before it started"
        self._report("role.took_over", text, changes=len(changes))

    async def follow(self, apply: Apply) -> None:
        """Wait for T0, then apply and report each change when it is due, until cancelled.

        It does not end with the last change, since guards may add changes at any time.
        """
        t0 = await self._t0
        while True:
            change = await self._next_due(t0)
            error = ""
            try:
                waited = apply(change)
                if waited is not None:
                    await waited
            except Exception as failure:  # whatever it is, packets flow on and the coordinator gets an answer
                error = _why(failure)
            self._answer(change, t0 + change.at_s, self._clock.now(), error)

    async def _next_due(self, t0: float) -> Change:
        """Wait until the next change is due and remove it from those pending."""
        while True:
            self._is_outdated.clear()
            change = self._pending.next
            left_s = None if change is None else self._clock.left_s(t0 + change.at_s)
            if change is not None and left_s is not None and left_s <= 0:
                self._pending.pop()
                return change
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._is_outdated.wait()

    def _answer(self, change: Change, due: float, applied: float, error: str) -> None:
        is_own = change.applier == self._role
        if is_own:
            self._record(change, due, applied, error)
        if error:
            what = f"{change.action} of {change.target}"
            self._report("change.failed", f"{what}: {error}", id=change.id)
        elif is_own:
            from wotemu.scenario.change_text import describe_change

            self._report("change.applied", describe_change(change), id=change.id, late_s=applied - due)

    def _record(self, change: Change, due: float, applied: float, error: str) -> None:
        before, after = json.dumps(change.before), json.dumps(change.after)
        self._publish(
            ChangeRecord(
                change.id, due, applied, change.action, change.target, before, after, not error, error
            )
        )


def _why(failure: Exception) -> str:
    """What an answer says of a failure: WoTemu's own messages, with what to do, need no name of a class."""
    if isinstance(failure, WotemuError):
        return f"{failure} ({failure.hint})" if failure.hint else str(failure)
    return f"{type(failure).__name__}: {failure}"


__all__ = ["Apply", "ChangeSchedule"]
