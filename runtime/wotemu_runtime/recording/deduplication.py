"""Admits each record that the bus brings once, and knows which never came. Pure.

A publisher that got no answer sends a batch again, so it may be there twice. A bus that was killed may have
forgotten what it had confirmed: the numbers of what comes next show how much. And a task that was cut off
goes on until it hears that another has its place: two tell of one name then, and the later one is the role.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from wotemu.records import TABLES, Event, fields
from wotemu_runtime.bus import Origin

TIME_FIELDS = ("t", "applied")
LOSSES = "records.lost"


@attrs.frozen
class Accepted:
    """What is new of a batch, and what is wrong with it."""

    rows: list[list[Any]]
    lost: int = 0
    """Records that the sender had sent before these and that never came."""
    superseded: int = 0
    """Records of a time when another task had the sender's place."""


class Deduplicator:
    """Of one run. `resumed`: others have read the streams' beginnings, so those are not missing."""

    def __init__(self, *, resumed: bool = False) -> None:
        self._resumed = resumed
        self._next: dict[tuple[str, float, str], int] = {}
        self._place: dict[str, tuple[float, float]] = {}
        """The life that each source's name belongs to, and since when."""
        self._known: dict[tuple[str, float], dict[str, int]] = {}
        """How many records of each table each life is known to have published."""
        self._accounts: set[tuple[str, float]] = set()
        """Lives that have said at their end how many that were."""
        self._replaced: set[tuple[str, float]] = set()
        """Lives whose place another task has taken."""

    def __repr__(self) -> str:
        return f"Deduplicator({len(self._place)} sources)"

    def accept(self, table: str, rows: list[list[Any]], origin: Origin | None) -> Accepted:
        """Take one batch; the rows that count."""
        if origin is None:
            return Accepted(rows)
        name = origin.source, origin.life, table
        expected = self._next.get(name, origin.first if self._resumed else 0)
        self._next[name] = max(expected, origin.first + len(rows))
        new = rows[max(0, expected - origin.first) :]
        mine = list(self._of_its_time(table, new, origin))
        return Accepted(mine, max(0, origin.first - expected), len(new) - len(mine))

    def account(self, origin: Origin, totals: Mapping[str, int]) -> None:
        """A life has ended and said how many records of each table it published."""
        self._accounts.add((origin.source, origin.life))
        for table, total in totals.items():
            self.expect(origin, table, total)

    def expect(self, origin: Origin, table: str, total: int) -> None:
        """A life has published at least so many records of a table."""
        known = self._known.setdefault((origin.source, origin.life), {})
        known[table] = max(known.get(table, 0), total)

    def missing(self) -> Iterator[tuple[str, str, int]]:
        """Source, table and number of the records that are known of and did not come, each told once."""
        for (source, life), totals in sorted(self._known.items()):
            for table, total in sorted(totals.items()):
                name = source, life, table
                if self._resumed and name not in self._next:
                    continue  # a coordinator before this one may have taken them all
                if count := max(0, total - self._next.get(name, 0)):
                    self._next[name] = total
                    yield source, table, count

    def has_account(self, source: str) -> bool:
        """Whether the source's last life has said how many records it published; also if it never began."""
        life, _ = self._place.get(source, (None, 0.0))
        return life is None or (source, life) in self._accounts

    def replaced_without_account(self) -> Counter[str]:
        """By source, tasks that another replaced and that never said how many records they had published.

        A task that is killed takes at least its last second's records along; one that its machine was cut
        off with, all since then.
        """
        return Counter(source for source, _ in self._replaced - self._accounts)

    def is_current(self, origin: Origin) -> bool:
        """Whether the sender is who has its name now."""
        return origin.life >= self._place.get(origin.source, (origin.life, 0.0))[0]

    def supersede(self, source: str, life: float, t: float) -> bool:
        """`life` is the source from `t` on; False if a later one is."""
        current = self._place.get(source)
        if current is not None and current[0] != life:
            self._replaced.add((source, min(current[0], life)))
        if current is None or current[0] < life:
            self._place[source] = life, t
        return current is None or current[0] <= life

    def _of_its_time(self, table: str, rows: list[list[Any]], origin: Origin) -> Iterator[list[Any]]:
        if self.is_current(origin):
            yield from rows
            return
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
