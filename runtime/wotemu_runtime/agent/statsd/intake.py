"""Records what the programs of one node report in StatsD's lines."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from socket import socket

from wotemu.records import App
from wotemu_runtime.agent.statsd.aggregation import Aggregation
from wotemu_runtime.agent.statsd.lines import ReportedEvent
from wotemu_runtime.agent.statsd.sockets import StatsdSockets
from wotemu_runtime.roles.role import Role

SAY_EVERY_S = 10.0
"""Seconds between two events about lines that are no metrics."""
EVENT_KINDS = {"info": "app.event", "warning": "app.event_warning", "error": "app.event_error"}


class StatsdIntake:
    """The metrics and events that one replica's programs send as lines. Make it inside of an event loop.

    Args:
        role: the replica's role, whose clock and publisher are used.
        replica: its name.
        sockets: what lines come by, beside `take`.
    """

    def __init__(self, role: Role, replica: str, sockets: Sequence[socket] = ()) -> None:
        self._role = role
        self._replica = replica
        self._aggregation = Aggregation()
        self._reported_refusals = 0
        self._say_from_s = 0.0
        self._sockets = StatsdSockets(self.take, sockets)

    def __repr__(self) -> str:
        return f"<StatsdIntake {self._replica} {self._aggregation!r}>"

    def take(self, packet: bytes) -> None:
        """Record the lines of one packet; counters and sets wait for the next `tick`."""
        now = self._role.now()
        for each in self._aggregation.take(packet):
            if isinstance(each, ReportedEvent):
                text = ": ".join(filter(None, (self._replica, each.title, each.text)))
                self._role.event(EVENT_KINDS[each.level], text, title=each.title, text=each.text)
            else:
                self._role.publisher.put(App(now, self._replica, *each))

    def tick(self) -> None:
        """Each second: record what changed in it, and say what could not be read."""
        self._finish(self._sockets.tick())
        if asyncio.get_running_loop().time() >= self._say_from_s:
            self._report_refused()

    def close(self) -> None:
        """Take what has arrived, record it, and close."""
        self._finish(self._sockets.close())
        self._report_refused()

    def _finish(self, dropped: int) -> None:
        now = self._role.now()
        for key, value in self._aggregation.changed():
            self._role.publisher.put(App(now, self._replica, key, value))
        if dropped:
            self._role.publisher.lose("app records", dropped)

    def _report_refused(self) -> None:
        refused = self._aggregation.refused
        new = refused.count - self._reported_refusals
        if not new:
            return
        self._reported_refusals = refused.count
        self._say_from_s = asyncio.get_running_loop().time() + SAY_EVERY_S
        lines = "1 line that is no metric" if new == 1 else f"{new:,} lines that are no metrics, the last one"
        text = f"{self._replica} sent {lines}: {refused.example!r}: {refused.why}"
        data = {"lines": new, "example": refused.example, "why": refused.why}
        self._role.event("app.metric_refused", text, **data)
