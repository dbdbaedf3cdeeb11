"""Accepts each record that the bus brings once, and counts those that never came. Pure.

A publisher that got no answer sends a batch again, so it may be there twice. A bus that was killed may have
forgotten what it had confirmed: the numbers of what comes next show how much. And a task that was cut off
goes on until it learns that another replaced it: two tasks publish under one name then, and the later one is
the role. A task is known by its life, the time when it began to publish.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from wotemu.records import TABLES, Event, fields
from wotemu_runtime.bus import Origin

TIME_FIELDS = ("t", "applied")
LOSSES = "records.lost"


class Accepted(NamedTuple):  # not attrs: there is one for each stream entry
    """What is new of a batch, and what is wrong with it."""

    rows: list[list[Any]]
    lost: int = 0
    """Records that the sender had sent before these and that never came."""
    superseded: int = 0
    """Records of a time when another task had the sender's place."""
    is_current: bool = True
    """Whether the sender is the source's current life, or a later one."""


class Deduplicator:
    """Follows the record numbers of every source of one run.

    Args:
        resumed: whether an earlier coordinator has read the beginning of the streams: it is not missing then.
    """

    def __init__(self, *, resumed: bool = False) -> None:
        self._resumed = resumed
        self._next: dict[tuple[str, float, str], int] = {}
        self._place: dict[str, tuple[float, float]] = {}
        """The current life of each source, and since when it is the role."""
        self._known: dict[tuple[str, float], dict[str, int]] = {}
        """How many records of each table each life is known to have published."""
        self._accounts: set[tuple[str, float]] = set()
        """Lives that reported at their end how many records they published."""
        self._replaced: set[tuple[str, float]] = set()
        """Lives whose place another task has taken."""

    def __repr__(self) -> str:
        return f"Deduplicator({len(self._place)} sources)"

    def accept(self, table: str, rows: list[list[Any]], origin: Origin | None) -> Accepted:
        """Take one batch and return the rows that count.

        Args:
            origin: its sender; None for rows that can't come twice.
        """
        if origin is None:
            return Accepted(rows)
        name = origin.source, origin.life, table
        expected = self._next.get(name, origin.first if self._resumed else 0)
        self._next[name] = max(expected, origin.first + len(rows))
        new = rows[expected - origin.first :] if expected > origin.first else rows
        is_current = self.is_current(origin)
        mine = new if is_current else list(self._of_its_time(table, new, origin))
        return Accepted(mine, max(0, origin.first - expected), len(new) - len(mine), is_current)

    def account(self, origin: Origin, totals: Mapping[str, int]) -> None:
        """Take the account of a life that ended: the number of records of each table that it published."""
        self._accounts.add((origin.source, origin.life))
        for table, total in totals.items():
            self.expect(origin, table, total)

    def expect(self, origin: Origin, table: str, total: int) -> None:
        """Note that a life published at least `total` records of a table."""
        known = self._known.setdefault((origin.source, origin.life), {})
        known[table] = max(known.get(table, 0), total)

    def missing(self) -> Iterator[tuple[str, str, int]]:
        """Source, table and number of the records that were published and did not come, each once."""
        for (source, life), totals in sorted(self._known.items()):
            for table, total in sorted(totals.items()):
                name = source, life, table
                if self._resumed and name not in self._next:
                    continue  # a coordinator before this one may have taken them all
                if count := max(0, total - self._next.get(name, 0)):
                    self._next[name] = total
                    yield source, table, count

    def has_account(self, source: str) -> bool:
        """Whether the source's current life has reported its account; also true if it never began."""
        life, _ = self._place.get(source, (None, 0.0))
        return life is None or (source, life) in self._accounts

    def replaced_without_account(self) -> Counter[str]:
        """By source, tasks that another replaced and that never said how many records they had published.

        A task that is killed takes at least its last second's records along; one that its machine was cut
        off with, all since then.
        """
        return Counter(source for source, _ in self._replaced - self._accounts)

    def is_current(self, origin: Origin) -> bool:
        """Whether the sender is the source's current life, or a later one."""
        place = self._place.get(origin.source)
        return place is None or origin.life >= place[0]

    def supersede(self, source: str, life: float, t: float) -> bool:
        """Make `life` the current one from `t` on, unless a later one is; whether it is current now."""
        current = self._place.get(source)
        if current is not None and current[0] != life:
            self._replaced.add((source, min(current[0], life)))
        if current is None or current[0] < life:
            self._place[source] = life, t
        return current is None or current[0] <= life

    def _of_its_time(self, table: str, rows: list[list[Any]], origin: Origin) -> Iterator[list[Any]]:
        _, since = self._place[origin.source]
        at, kind = _TIMES[table], _KIND if table == Event.TABLE else None
        for row in rows:
            if row[at] < since or (kind is not None and row[kind] == LOSSES):
                yield row


_TIMES = {
    table: next(number for number, name in enumerate(fields(record)) if name in TIME_FIELDS)
    for table, record in TABLES.items()
}
_KIND = fields(Event).index("kind")
