"""Detects roles that fell silent, were lost, or are back, from when they were last heard. Pure.

Swarm takes a quarter of a minute to notice that a machine is gone. Roles send records every second, so their
silence shows it sooner.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs

from wotemu.records import Event

SILENT_AFTER_S = 5.0
"""Five times as long as a role may hold records back; a busy machine needs some of that."""

SOURCE = "coordinator"
"""The source of events that the coordinator records itself."""


@attrs.define
class _Role:
    ready: bool = False
    host: str = ""
    heard: float = 0.0
    silent: bool = False
    sends_nothing: bool = False
    """Whether it has nothing to send while all is well, so that its silence says nothing."""
    gone_since: float | None = None
    """When a role that is lost was last heard; None for one that is not lost."""


class Liveness:
    """Follows the roles of one run. Each method takes the time `now` and returns the events that follow."""

    def __init__(self) -> None:
        self._roles: dict[str, _Role] = {}

    def __repr__(self) -> str:
        return f"Liveness(ready={sorted(self.ready_roles)}, lost={sorted(self.lost_roles)})"

    @property
    def ready_roles(self) -> set[str]:
        """Roles that are ready and have not been lost since."""
        return {name for name, role in self._roles.items() if role.ready}

    @property
    def lost_roles(self) -> set[str]:
        """Roles that were lost and are not back."""
        return {name for name, role in self._roles.items() if role.gone_since is not None}

    def last_heard(self, names: Iterable[str]) -> float:
        """When any of these roles was last heard; minus infinity where none was."""
        return max((self._roles[name].heard for name in names if name in self._roles), default=-math.inf)

    def heard(self, source: str, now: float) -> list[Event]:
        """A record of a role came."""
        role = self._roles.get(source)
        if role is None:
            return []
        silence_s, role.heard = now - role.heard, now
        if not role.silent or role.gone_since is not None:
            return []
        role.silent = False
        text = f"{source} is heard again after {silence_s:.1f} s"
        return [_event(now, "role.heard", text, source, role, silent_s=silence_s)]

    def ready(self, source: str, now: float, host: str = "", *, sends_nothing: bool = False) -> list[Event]:
        """A role reported that it is ready, for the first time or after it was lost or restarted."""
        role = self._roles.setdefault(source, _Role())
        again, since, before = role.ready or role.gone_since is not None, role.gone_since, role.host
        since = role.heard if since is None else since
        self._roles[source] = role = _Role(True, host, now, sends_nothing=sends_nothing)
        if not again:
            return []
        gap_s = now - since
        where = f" on {host}" if host else ""
        text = f"{source} is ready again{where}, {gap_s:.1f} s after the last was heard of it"
        return [_event(now, "role.back", text, source, role, gap_s=gap_s, since=since, before=before)]

    def lost(self, source: str, now: float, reason: str, host: str = "") -> list[Event]:
        """A role's task is gone, and another has to take its place."""
        role = self._roles.setdefault(source, _Role(heard=now))
        if role.gone_since is not None:
            return []
        role.host = host or role.host
        role.ready, role.gone_since = False, role.heard
        where = f" on {role.host}" if role.host else ""
        text = f"{source}{where} is lost: {reason}"
        return [_event(now, "role.lost", text, source, role, reason=reason, since=role.heard)]

    def fell_silent(self, now: float) -> list[Event]:
        """Report the roles that have been silent for too long, each once; to be called once a second."""
        events: list[Event] = []
        for name, role in self._roles.items():
            silence_s = now - role.heard
            if role.ready and not role.silent and not role.sends_nothing and silence_s > SILENT_AFTER_S:
                role.silent = True
                where = f" on {role.host}" if role.host else ""
                text = f"nothing was heard of {name}{where} for {silence_s:.1f} s"
                events.append(_event(now, "role.silent", text, name, role, since=role.heard))
        return events

    def reset_deadlines(self, now: float) -> None:
        """Reset all silence timers, after an outage of the bus."""
        for role in self._roles.values():
            role.heard = max(role.heard, now)


def _event(now: float, kind: str, text: str, name: str, role: _Role, **data: object) -> Event:
    return Event(now, kind, SOURCE, text, {"role": name, "host": role.host, **data})
