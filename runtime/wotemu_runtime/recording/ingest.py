"""Decides which of a run's records count, and what they say about its roles. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from wotemu.records import Change, Event, Hop, fields
from wotemu.wording import MAX_NAMES, shortened
from wotemu_runtime.bus import Origin, decode_batch, decode_origin, packed_rows
from wotemu_runtime.recording.deduplication import Deduplicator
from wotemu_runtime.recording.liveness import SOURCE, Liveness

BUS = "bus"
"""The name under which the bus itself is silent, lost and back."""
BUS_ANSWERS_S = 2.0
"""A bus that is well answers within a fraction of this, whether or not there is anything to read. One that
does not is only known to be away when a command times out, and no role is silent meanwhile."""
ACCOUNTS = frozenset({"role.done", "role.muted"})
"""Each role's last event, with the number of records that it published."""

_NOTED = frozenset({Change.TABLE, Hop.TABLE, Event.TABLE})
"""Tables whose records say something about roles."""

_CHANGE_ID = fields(Change).index("id")
_SHAPER = fields(Hop).index("shaper")


class Batch(NamedTuple):
    """The records of one stream entry that count.

    `received` is how many the entry had. `packed` is the rows' msgpack as it came, or None where some of
    them don't count.
    """

    table: str
    received: int
    rows: list[list[Any]]
    packed: bytes | None


class Ingest:
    """Takes a run's stream entries, each with the time, and returns what is to be recorded of them.

    Tasks, machines and the bus may fail: records may come twice, never, or from a task that was replaced.

    Args:
        now: seconds since the epoch on the bus's clock.
        resumed: whether an earlier coordinator has read the beginning of the streams.
    """

    def __init__(self, now: float, *, resumed: bool) -> None:
        self._deduplicator = Deduplicator(resumed=resumed)
        self._liveness = Liveness()
        self._liveness.ready(BUS, now)
        self._superseded: Counter[tuple[str, str]] = Counter()
        self.answered: set[int] = set()
        """The ids of the changes that took hold or failed."""
        self.heard: set[str] = set()
        """Roles that have sent anything at all."""
        self.shapers: set[str] = set()
        """The names of the shapers that impose the conditions."""
        self.scheduling: set[str] = set()
        """The classes of the scheduler that gateways run in."""
        self.limits: dict[str, dict[str, Any]] = {}
        """The limits of nodes, as their machines' limiters computed them, by the role of each replica."""
        self.bus_is_away = False
        self._bus_answered = now

    def __repr__(self) -> str:
        return f"Ingest({self._liveness!r}, bus_is_away={self.bus_is_away})"

    @property
    def ready(self) -> set[str]:
        """Roles that are ready and have not been lost since."""
        return self._liveness.ready_roles

    @property
    def lost(self) -> set[str]:
        """Roles that were lost and are not back."""
        return self._liveness.lost_roles

    def last_heard(self, roles: AbstractSet[str]) -> float:
        """When the last record of any of these roles came; minus infinity before the first."""
        return self._liveness.last_heard(roles)

    def accept(self, entry: dict[bytes, bytes], now: float) -> tuple[Batch, list[Event]]:
        """Take a stream entry.

        Returns:
            Its records that count, and the events that follow from it: losses, roles that are back.
        """
        (table, rows), origin = decode_batch(entry), decode_origin(entry)
        events: list[Event] = []
        accepted = rows
        if origin is not None:
            self.heard.add(origin.source)
            if table == Event.TABLE:
                self._note_lives(table, rows, origin)
            found = self._deduplicator.accept(table, rows, origin)
            accepted = found.rows
            if found.lost:
                what = f"{table} records that the bus had and lost"
                events.append(loss(now, origin.source, what, found.lost, table))
            if found.superseded:
                events += self._leave_out(now, origin.source, table, found.superseded)
            if found.is_current:
                events += self._liveness.heard(origin.source, now)
        if table == Change.TABLE:  # a gateway that replaces another answers all that it took over
            accepted = [row for row in accepted if row[_CHANGE_ID] not in self.answered]
        if table in _NOTED:
            events += self._note(table, accepted, now)
        packed = packed_rows(entry, table) if len(accepted) == len(rows) else None
        return Batch(table, len(rows), accepted, packed), events

    def remember(self, table: str, rows: list[list[Any]], now: float) -> None:
        """Take rows into account that an earlier coordinator accepted and stored."""
        self._note(table, rows, None)
        if table == Event.TABLE:
            for event in (Event(*row) for row in rows):
                if event.kind == "role.lost":
                    self._liveness.lost(event.data["role"], event.t, event.data["reason"])
        self._liveness.reset_deadlines(now)

    def count(self, entry: dict[bytes, bytes]) -> None:
        """Take an entry that will not be stored: its records are missing."""
        (table, rows), origin = decode_batch(entry), decode_origin(entry)
        if origin is not None:
            self._deduplicator.expect(origin, table, origin.first + len(rows))
            self._note_lives(table, rows, origin)

    def _note_lives(self, table: str, rows: list[list[Any]], origin: Origin) -> None:
        """Learn which task is the role, and how many records it published, before judging its records."""
        for event in _events(table, rows):
            if event.kind == "role.ready":
                self._deduplicator.supersede(origin.source, origin.life, event.t)
            elif event.kind in ACCOUNTS:
                self._deduplicator.account(origin, event.data["records"])

    def _note(self, table: str, rows: list[list[Any]], now: float | None) -> list[Event]:
        """Learn from records that count; `now` is None for those that an earlier coordinator stored."""
        events: list[Event] = []
        if table == Change.TABLE:
            self.answered.update(row[_CHANGE_ID] for row in rows)
        elif table == Hop.TABLE and not self.shapers:  # the ready event is in a run directory that was lost
            self.shapers.update(row[_SHAPER] for row in rows)
        for event in _events(table, rows):
            if event.kind == "role.ready":
                if "shaper" in event.data:
                    self.shapers.add(event.data["shaper"])
                if "scheduling" in event.data:
                    self.scheduling.add(event.data["scheduling"])
                t, host = event.t if now is None else now, event.data.get("host", "")
                if "limits" in event.data:
                    self.limits[event.source] = {**event.data["limits"], "host": host}
                quiet = bool(event.data.get("sends_nothing"))
                events += self._liveness.ready(event.source, t, host, sends_nothing=quiet)
        return events

    def _leave_out(self, now: float, source: str, table: str, count: int) -> Iterator[Event]:
        """Count records of a task that another has replaced; the first of them are reported at once."""
        if not any(name == source for name, _ in self._superseded):
            text = (
                f"a task of {source} went on after another had its place; what it recorded since is left out"
            )
            yield Event(now, "role.superseded", SOURCE, text, {"role": source})
        self._superseded[source, table] += count

    def finish(self, now: float, ended: AbstractSet[str] = frozenset()) -> Iterator[Event]:
        """Report all that is missing, once nothing more comes; `ended` are the roles that owe an account."""
        for (source, table), count in sorted(self._superseded.items()):
            what = f"{table} records of a task that another had replaced"
            yield loss(now, source, what, count, table)
        self._superseded.clear()
        for source, table, count in list(self._deduplicator.missing()):
            yield loss(now, source, f"{table} records that never came", count, table)
        for source, count in sorted(self._deduplicator.replaced_without_account().items()):
            what = (
                "count of the records of a task that another had replaced, which it did not send at its end"
            )
            yield loss(now, source, what, count, "")
        silent = [source for source in sorted(ended) if not self._deduplicator.has_account(source)]
        if len(silent) > MAX_NAMES:  # a run that failed early: one line, not one for each of its nodes
            text = f"{len(silent)} roles did not send the count of their records: {shortened(silent)}"
            data = {"what": "counts of records, which roles did not send at their end", "count": len(silent)}
            yield Event(now, "records.lost", SOURCE, text, {**data, "table": "", "roles": silent})
            return
        for source in silent:
            yield loss(now, source, "count of its records, which it did not send at its end", 1, "")

    # What is known by other ways than by records

    def role_lost(self, role: str, now: float, reason: str, host: str) -> list[Event]:
        """A role's task is gone, and another has to take its place."""
        return self._liveness.lost(role, now, reason, host)

    def check_silence(self, now: float) -> list[Event]:
        """Report which roles have fallen silent; to be called once a second while all should send records."""
        is_heard = not self.bus_is_away and now - self._bus_answered < BUS_ANSWERS_S
        return self._liveness.fell_silent(now) if is_heard else []

    def bus_answered(self, now: float) -> tuple[bool, list[Event]]:
        """The bus answered.

        Returns:
            Whether it was away before, and the events that follow.
        """
        was_away, self.bus_is_away = self.bus_is_away, False
        gap_s, self._bus_answered = now - self._bus_answered, now
        events = self._liveness.ready(BUS, now) if was_away else self._liveness.heard(BUS, now)
        if was_away or gap_s > BUS_ANSWERS_S:
            self._liveness.reset_deadlines(now)  # no role could be heard meanwhile
        return was_away, events

    def bus_failed(self, now: float) -> list[Event]:
        """The bus did not answer."""
        self.bus_is_away = True
        return self._liveness.lost(BUS, now, "it does not answer")


def loss(now: float, source: str, what: str, count: int, table: str) -> Event:
    """The event that `source` lost `count` records of a table."""
    data = {"what": what, "count": count, "table": table}
    return Event(now, "records.lost", source, f"{count} {what}", data)


def _events(table: str, rows: list[list[Any]]) -> Iterator[Event]:
    if table == Event.TABLE:
        yield from (Event(*row) for row in rows)
