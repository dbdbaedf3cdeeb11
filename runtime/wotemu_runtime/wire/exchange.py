"""One request that a node sent or received, and the requests that wait for their answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import attrs

from wotemu_runtime.wire.packet import Endpoints, Packet

MAX_PATH = 200
"""Characters of a path that are recorded."""
MAX_OPEN = 4096
"""Requests of one node and protocol whose answers are awaited; others are not followed, but counted."""
ANSWER_WAIT_S = 247.0
"""So long an answer may take: EXCHANGE_LIFETIME of RFC 7252, section 4.8.2."""

Side = Literal["client", "server"]


@attrs.define(eq=False)
class Exchange:
    """A request with its answer, or a CoAP notification.

    Attributes:
        t: When the request, or the notification, was sent or received.
        side: Which end the node is.
        code: Of the answer; "" without one.
        duration: Seconds from the request's first packet to the answer's first.
        registration: The request that a notification follows from.
        is_own: Whether it belongs to a socket of WoTPy's that is measured; None until that is decided.
    """

    t: float
    side: Side
    protocol: Literal["http", "coap"]
    method: str
    path: str
    endpoints: Endpoints
    code: str = ""
    duration: float | None = None
    registration: Exchange | None = None
    is_own: bool | None = None
    seq: int = 0

    def answer(self, code: str, t: float) -> None:
        """Note the answer that came at `t`."""
        self.code, self.duration = code, max(0.0, t - self.t)


def request_side(packet: Packet) -> Side:
    """The end that a node is which sent or received this request."""
    return "client" if packet.is_outgoing else "server"


def answer_side(packet: Packet) -> Side:
    """The end that a node is which sent or received this answer."""
    return "server" if packet.is_outgoing else "client"


class OpenExchanges:
    """The requests that wait, the longest first; at most `MAX_OPEN`.

    Args:
        begun: Called with each request.
        ended: Called with each one that is answered, or will not be.

    Attributes:
        missed: Requests that there was no room for.
    """

    def __init__(self, begun: Callable[[Exchange], None], ended: Callable[[Exchange], None]) -> None:
        self._begun = begun
        self._ended = ended
        self._open: dict[Exchange, None] = {}
        self.missed = 0

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, exchange: Exchange) -> bool:
        """Wait for its answer; false where there is no room."""
        if len(self._open) >= MAX_OPEN:
            self.missed += 1
            return False
        self._open[exchange] = None
        self._begun(exchange)
        return True

    def end(self, exchange: Exchange) -> None:
        """It waits no longer."""
        if exchange in self._open:
            del self._open[exchange]
            self._ended(exchange)

    def expired(self, now: float) -> Iterator[Exchange]:
        """Those that have waited for too long; end each before the next is asked for."""
        while self._open:
            first = next(iter(self._open))
            if first.t > now - ANSWER_WAIT_S:
                return
            yield first
            self.end(first)
