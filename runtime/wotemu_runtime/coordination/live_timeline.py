"""The timeline of a run that goes on: guards that fire and changes made by hand become part of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs

from wotemu.errors import ScenarioError
from wotemu.scenario.resolver import Resolver
from wotemu.scenario.timeline import Change, Timeline
from wotemu.scenario.vocabulary.actions import Action, microseconds
from wotemu_runtime.control.live_changes import LiveChange

Command = Callable[..., Awaitable[None]]
"""Sends the roles a command, given as keyword arguments."""


@attrs.frozen
class Insertion:
    """What was added to a timeline: a guard's actions, or a change made by hand.

    Attributes:
        at_s: When the guard fired or the change is due, in seconds after T0.
        guard: The guard's id; None for a change.
        change: The change; None for a guard.
        who: Who made the change, for people.
    """

    at_s: float
    guard: int | None = None
    change: LiveChange | None = None
    who: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As a command holds it."""
        live = None if self.change is None else {"change": self.change.to_dict(), "who": self.who}
        return {"guard": self.guard, "at_s": self.at_s, "live": live}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Insertion:
        """What `to_dict` gave, or a command with it."""
        live = data.get("live")
        if live is None:
            return cls(data["at_s"], guard=data["guard"])
        return cls(data["at_s"], change=LiveChange.from_dict(live["change"]), who=live["who"])


def differences(before: Timeline, after: Timeline) -> tuple[list[Change], list[int]]:
    """The changes that are new or differ, and the ids of those that were removed."""
    known = {change.id: change for change in before.changes}
    changed = [change for change in after.changes if known.get(change.id) != change]
    return changed, sorted(known.keys() - {change.id for change in after.changes})


class LiveTimeline:
    """Resolves the timeline again with each insertion, and sends the roles what is different."""

    def __init__(self, resolver: Resolver) -> None:
        self.current = resolver.timeline
        """The planned changes, with those of all insertions so far."""
        self._resolver = resolver
        self._fired: dict[int, float] = {}
        self._live: list[Action] = []
        self._inserting = asyncio.Lock()  # changes get their ids in the order of the insertions
        self.resolving_s = 0.0
        """How long the last resolution took, in seconds."""

    def __repr__(self) -> str:
        return f"LiveTimeline({len(self._fired)} guards fired, {len(self._live)} live changes)"

    @property
    def live_changes(self) -> int:
        """How many changes were made by hand."""
        return len(self._live)

    def is_by_hand(self, change: int) -> bool:
        """Whether a change was made by hand, by its id."""
        return bool(self._live) and self._resolver.is_by_hand(change)

    async def fire(self, guard: int, at_s: float, t0: float, command: Command) -> None:
        """Let a guard's actions begin `at_s` seconds after T0, and send the roles what follows."""
        async with self._inserting:
            await self._insert(Insertion(at_s, guard=guard), t0, command)

    async def change(
        self, change: LiveChange, who: str, due_s: Callable[[], float], t0: float, command: Command
    ) -> Insertion:
        """Make a change, and send the roles what follows.

        Args:
            change: what to change.
            who: who wants that, for people.
            due_s: when it is due, in seconds after T0; called once it is this change's turn.
            t0: T0, in seconds since the epoch on the bus's clock.
            command: sends a command to the roles.

        Returns:
            The change, with when it is due.

        Raises:
            ScenarioError: it is not possible; then nothing is changed.
        """
        async with self._inserting:
            insertion = Insertion(round(due_s(), 6), change=change, who=who)
            try:
                await self._insert(insertion, t0, command)
            except ScenarioError as error:
                raise _not_possible(change, error) from error
            return insertion

    async def restore(self, insertions: Sequence[Insertion]) -> None:
        """Take over what an earlier coordinator inserted, in its order; the roles have it."""
        async with self._inserting:
            for each in insertions:  # one after the other, so that changes get their ids again
                await self._resolve(each)

    async def _insert(self, insertion: Insertion, t0: float, command: Command) -> None:
        before = self.current
        await self._resolve(insertion)
        changed, dropped = differences(before, self.current)
        await command(
            command="changes",
            **insertion.to_dict(),
            t=t0 + insertion.at_s,
            changes=[attrs.asdict(change, recurse=False) for change in changed],
            drop=dropped,
        )

    async def _resolve(self, insertion: Insertion) -> None:
        fired, live = dict(self._fired), list(self._live)
        if insertion.change is not None:
            live.append(insertion.change.action(microseconds(insertion.at_s)))
        elif insertion.guard is not None:
            fired[insertion.guard] = insertion.at_s
        time = asyncio.get_running_loop().time
        began = time()
        # In a thread: a long timeline takes seconds, in which records have to be stored.
        self.current = await asyncio.to_thread(self._resolver.resolve, fired, live)
        self.resolving_s = time() - began
        self._fired, self._live = fired, live


def _not_possible(change: LiveChange, error: ScenarioError) -> ScenarioError:
    """Why a change is not possible: by itself, or for the sake of what the scenario has planned for later."""
    where = error.where or ""
    is_own = where in (change.text, f"live.{change.VERB}")
    message = error.message if is_own else f"then a later change is not possible: {error}"
    return ScenarioError(message, where=change.text, hint=error.hint)
