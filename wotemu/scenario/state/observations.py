"""Observations made while a timeline is resolved, for the linter."""

from __future__ import annotations

from typing import Literal

import attrs

Overlap = Literal["hidden", "covered", "same moment", "restored", "stacked"]
"""How two events meet: an instant's setting lies below a period's (hidden), a period's below a later one's
(covered), two instants set one thing at one time, a `restore` leaves a period alone, partitions add up."""


@attrs.define
class Observed:
    """Which events did something at all, and which met others, by their places in the scenario."""

    busy: set[int] = attrs.field(factory=set)
    overlaps: dict[tuple[int, int, Overlap], tuple[str, int]] = attrs.field(factory=dict)
    """First event, second event and how they meet -> what of, and since when (microseconds)."""
    named: set[str] = attrs.field(factory=set)
    """The names of the partitions and blocks that begin."""
    healed: dict[str, int] = attrs.field(factory=dict)
    """The names that `heal` is given, and the event that gives them first."""
    paused: dict[tuple[str, object], int] = attrs.field(factory=dict)
    """Replicas that are suspended at the end, each with why, and the event that did it."""
    _set: dict[tuple[object, str], tuple[int, int]] = attrs.field(factory=dict)

    def meet(self, first: int, second: int, how: Overlap, what: str, at_us: int) -> None:
        """Two events meet; only the first time counts."""
        if first != second and first >= 0 <= second:
            self.overlaps.setdefault((first, second, how), (what, at_us))

    def pauses(self, event: int, replica: str, reason: object, paused: bool) -> None:
        """An event suspends a replica, or takes a reason for it back."""
        if paused:
            self.paused[replica, reason] = event
        else:
            self.paused.pop((replica, reason), None)

    def sets(self, event: int, key: object, name: str, what: str, at_us: int) -> None:
        """An instant sets something to another value."""
        before, before_us = self._set.get((key, name), (event, -1))
        self._set[key, name] = event, at_us
        if before_us == at_us:
            self.meet(before, event, "same moment", what, at_us)
