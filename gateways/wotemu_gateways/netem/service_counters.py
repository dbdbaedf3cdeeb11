"""How long a rate stage under NetEm was busy, from counters that are read now and then. Pure.

The kernel counts what left a queue and what waits in it, but not for how long something waited. Of a queue
that lets out what came first, counters show it nevertheless: if less has left since the last observation than
waited then, some of that waits still, so the queue was never empty in between.
"""

from __future__ import annotations

from wotemu_gateways.netlink.tc import Stats

OBSERVE_EVERY_S = 0.04
"""Queues hold 100 ms of packets by default; nothing is known of one that empties between two of them."""

OBSERVE_SHARE = 0.02
"""Observations take at most this share of the time."""


class ServiceCounters:
    """Of one stage: for how long packets certainly waited, and the bytes served on the wire."""

    __slots__ = ("_before", "_busy_s", "_served_bytes", "_t")

    def __init__(self) -> None:
        self._t = 0.0
        self._before: Stats | None = None
        self._busy_s, self._served_bytes = 0.0, 0

    def __repr__(self) -> str:
        return f"<Service {self._busy_s:g} s, {self._served_bytes} bytes>"

    @property
    def waits(self) -> bool:
        """Whether something waited at the last observation."""
        return self._before is not None and self._before.backlog_packets > 0

    def observe(self, t: float, queue: Stats, *, overhead: int) -> None:
        """Take the queue's counters at `t`, in seconds; each packet takes `overhead` beside its bytes."""
        before = self._before
        if before is not None:
            size_bytes, packets = queue.size_bytes - before.size_bytes, queue.packets - before.packets
            self._served_bytes += size_bytes + packets * overhead
            if packets < before.backlog_packets:
                self._busy_s += t - self._t
        self._t, self._before = t, queue

    def queue_replaced(self) -> None:
        """The queue was emptied by a change: what waited before proves nothing."""
        if self._before is not None:
            self._before = Stats(self._before.packets, self._before.size_bytes)

    def take(self) -> tuple[float, int]:
        """Seconds and bytes since the last call."""
        taken = self._busy_s, self._served_bytes
        self._busy_s, self._served_bytes = 0.0, 0
        return taken


def next_observation_s(cost_s: float) -> float:
    """How long to wait until the next observation, where one takes `cost_s`."""
    return max(OBSERVE_EVERY_S, cost_s / OBSERVE_SHARE)
