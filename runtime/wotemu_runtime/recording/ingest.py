"""Receives records and news of a run whose tasks, machines and bus may fail, and tells what that means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

from wotemu.records import Change, Event
from wotemu_runtime.bus import Origin, decode_batch, decode_origin
from wotemu_runtime.recording.deduplication import Deduplicator
from wotemu_runtime.recording.liveness import SOURCE, Liveness

BUS = "bus"
ACCOUNTS = frozenset({"role.done", "role.muted"})
"""Events by which roles say how many records they published, the last that they do."""

Tell = Callable[[Event], object]
Lose = Callable[[str, str, int, str], object]


class Ingest:
    """Of one run. `tell` takes events; `lose` takes who lost records, what, how many, and their table.

    `resumed`: another coordinator has read the streams' beginnings.
    """

    def __init__(self, tell: Tell, lose: Lose, now: Callable[[], float], *, resumed: bool) -> None:
        self._tell = tell
        self._lose = lose
        self._now = now
        self._intake = Deduplicator(resumed=resumed)
        self._presence = Liveness()
        self._presence.came(BUS, now())
        self._superseded: Counter[tuple[str, str]] = Counter()
        self.answered: set[int] = set()
        """The ids of the changes that took hold or failed."""
        self.heard: set[str] = set()
        """Roles that have sent anything at all."""
        self.bus_is_away = False

    def __repr__(self) -> str:
        return f"Ingest({self._presence!r}, bus_is_away={self.bus_is_away})"

    @property
    def ready(self) -> set[str]:
        """Roles that are ready and have not been lost since."""
        return self._presence.ready

    @property
    def lost(self) -> set[str]:
        """Roles that were lost and are not back."""
        return self._presence.lost

    def accept(self, entry: dict[bytes, bytes]) -> tuple[str, int, list[list[Any]]]:
        """The table of a stream's entry, how many records it has, and those of them that count."""
        (table, rows), origin = decode_batch(entry), decode_origin(entry)
        admitted = rows
        if origin is not None:
            self.heard.add(origin.source)
            if table == Event.TABLE:
                self._learn(origin, Event(*rows[0]))
            found = self._intake.accept(table, rows, origin)
            admitted = found.rows
            if found.lost:
                self._lose(origin.source, f"{table} records that the bus had and lost", found.lost, table)
            if found.superseded:
                self._leave_out(origin.source, table, found.superseded)
            if self._intake.is_current(origin):
                self._say(self._presence.heard(origin.source, self._now()))
        if table == Change.TABLE:  # a gateway in another's place answers all that it took over
            admitted = [row for row in admitted if row[0] not in self.answered]
            self.answered.update(row[0] for row in admitted)
        return table, len(rows), admitted

    def _learn(self, origin: Origin, event: Event) -> None:
        """What an event says of its sender's records."""
        if event.kind == "role.ready":
            self._intake.supersede(origin.source, origin.life, event.t)
        elif event.kind in ACCOUNTS:
            self._intake.account(origin, event.data["records"])

    def leave(self, entry: dict[bytes, bytes]) -> None:
        """An entry that nobody will store: its records are missing."""
        (table, rows), origin = decode_batch(entry), decode_origin(entry)
        if origin is not None:
            self._intake.expect(origin, table, origin.first + len(rows))
            if table == Event.TABLE:
                self._learn(origin, Event(*rows[0]))

    def last_heard(self, roles: AbstractSet[str]) -> float:
        """When the last came from any of these roles."""
        return self._presence.last_heard(roles)

    def _leave_out(self, source: str, table: str, count: int) -> None:
        """Records of a task that goes on although another has its place: that is told once."""
        if not any(name == source for name, _ in self._superseded):
            text = (
                f"a task of {source} went on after another had its place; what it recorded since is left out"
            )
            self._tell(Event(self._now(), "role.superseded", SOURCE, text, {"role": source}))
        self._superseded[source, table] += count

    def finish(self, ended: AbstractSet[str] = frozenset()) -> None:
        """Nothing more comes: report what was left out, what is missing, and who of `ended` gave no count."""
        for (source, table), count in sorted(self._superseded.items()):
            self._lose(source, f"{table} records of a task that another had replaced", count, table)
        self._superseded.clear()
        for source, table, count in list(self._intake.missing()):
            self._lose(source, f"{table} records that never came", count, table)
        for source, count in sorted(self._intake.replaced_without_account().items()):
            what = (
                "count of the records of a task that another had replaced, which it did not send at its end"
            )
            self._lose(source, what, count, "")
        for source in sorted(ended):
            if not self._intake.has_account(source):
                self._lose(source, "count of its records, which it did not send at its end", 1, "")

    def remember(self, table: str, rows: list[list[Any]]) -> None:
        """Take into account what a coordinator before this one admitted and told."""
        if table == Change.TABLE:
            self.answered.update(row[0] for row in rows)
        elif table == Event.TABLE:
            for event in (Event(*row) for row in rows):
                if event.kind == "role.ready":
                    self._presence.came(event.source, event.t, event.data.get("host", ""))
                elif event.kind == "role.lost":
                    self._presence.missed(event.data["role"], event.t, event.data["reason"])
        self._presence.forgive(self._now())

    def came(self, ready: Event) -> None:
        """A role has said that it is ready."""
        self._say(self._presence.came(ready.source, self._now(), ready.data.get("host", "")))

    def missed(self, role: str, reason: str, host: str) -> None:
        """A role's task is gone, and another has to take its place."""
        self._say(self._presence.missed(role, self._now(), reason, host))

    def look_for_silence(self) -> None:
        """To be called once a second while all roles should speak."""
        if not self.bus_is_away:
            self._say(self._presence.fell_silent(self._now()))

    def bus(self, *, is_away: bool) -> bool:
        """The bus was asked, and did not answer where it `is_away`; whether it has just come back."""
        was_away, self.bus_is_away = self.bus_is_away, is_away
        now = self._now()
        if is_away:
            self._say(self._presence.missed(BUS, now, "it does not answer"))
        elif was_away:
            self._say(self._presence.came(BUS, now))
            self._presence.forgive(now)
        else:
            self._say(self._presence.heard(BUS, now))
        return was_away and not is_away

    def _say(self, events: list[Event]) -> None:
        for event in events:
            self._tell(event)
