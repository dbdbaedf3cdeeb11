"""Matches answers of HTTP/1.x with requests: on each connection in their order, as RFC 9112 has it. Pure."""

from __future__ import annotations

from collections import OrderedDict, deque

import attrs

from wotemu_runtime.wire.exchange import Exchange, OpenExchanges, answer_side, request_side
from wotemu_runtime.wire.http_messages import OWN_AGENT, request_line, status_code
from wotemu_runtime.wire.packet import Endpoints, Packet

MAX_CONNECTIONS = 4096
"""Connections of one node that are remembered; those that were idle for longest are forgotten."""
_SWITCHING_PROTOCOLS = 101
_FINAL = 200
_RECENT = 16
"""First segments of each connection by which those that are sent again are recognised."""
_FAR = 1 << 24
"""Two requests that wait for answers on one connection are not so many bytes apart: the older one's has
ended, and another connection has the same ports."""
_MODULUS = 1 << 32


@attrs.define(eq=False)
class _Connection:
    waiting: deque[Exchange] = attrs.field(factory=deque)
    seen: deque[tuple[bool, int]] = attrs.field(factory=lambda: deque(maxlen=_RECENT))
    """Direction and sequence number of segments that a request or an answer began in."""


class HttpExchanges:
    """The connections of one node."""

    def __init__(self, exchanges: OpenExchanges) -> None:
        self._exchanges = exchanges
        self._connections: OrderedDict[Endpoints, _Connection] = OrderedDict()

    def __repr__(self) -> str:
        return f"<HttpExchanges of {len(self._connections)} connections>"

    def take(self, packet: Packet) -> None:
        """Take a TCP segment."""
        if packet.data.startswith(b"HTTP"):
            status = status_code(packet.data)
            if status is not None:
                self._answer(packet, status)
        elif (found := request_line(packet.data, is_cut=packet.is_cut)) is not None:
            is_own = True if OWN_AGENT in packet.data else None
            self._request(
                packet,
                Exchange(
                    packet.t, request_side(packet), "http", *found, packet.endpoints,
                    is_own=is_own, seq=packet.seq,
                ),
            )  # fmt: skip

    def expire(self, now: float) -> None:
        """End the requests that have waited for too long."""
        for exchange in self._exchanges.expired(now):
            connection = self._connections.get(exchange.endpoints)
            if connection is not None and exchange in connection.waiting:
                connection.waiting.remove(exchange)

    def _request(self, packet: Packet, exchange: Exchange) -> None:
        connection = self._connection(packet.endpoints)
        if _is_repeated(connection, packet):
            return
        waiting = connection.waiting
        while waiting and (exchange.seq - waiting[0].seq) % _MODULUS > _FAR:
            self._exchanges.end(waiting.popleft())
        if self._exchanges.begin(exchange):
            waiting.append(exchange)

    def _answer(self, packet: Packet, status: int) -> None:
        connection = self._connections.get(packet.endpoints)
        if connection is None or not connection.waiting or _is_repeated(connection, packet):
            return
        if status < _FINAL and status != _SWITCHING_PROTOCOLS:
            return  # 100 (Continue) and the like: another answer follows
        if connection.waiting[0].side == answer_side(packet):
            exchange = connection.waiting.popleft()
            exchange.answer(str(status), packet.t)
            self._exchanges.end(exchange)

    def _connection(self, endpoints: Endpoints) -> _Connection:
        found = self._connections.get(endpoints)
        if found is not None:
            self._connections.move_to_end(endpoints)
            return found
        if len(self._connections) >= MAX_CONNECTIONS:
            _, idle = self._connections.popitem(last=False)
            for exchange in idle.waiting:
                self._exchanges.end(exchange)
        found = self._connections[endpoints] = _Connection()
        return found


def _is_repeated(connection: _Connection, packet: Packet) -> bool:
    """Whether TCP has sent this segment again; if not, it is remembered."""
    key = packet.is_outgoing, packet.seq
    if key in connection.seen:
        return True
    connection.seen.append(key)
    return False
