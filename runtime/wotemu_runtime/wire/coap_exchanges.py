"""Matches answers of CoAP with requests, by endpoints and token; copies are recognised by message ids. Pure.

What is transferred in blocks is one request: an upload is answered by the answer to its last block, and a
download by its first block.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import attrs

from wotemu_runtime.wire.coap_messages import CONTINUE, CoapMessage, read_message
from wotemu_runtime.wire.exchange import (
    ANSWER_WAIT_S,
    Exchange,
    OpenExchanges,
    Side,
    answer_side,
    request_side,
)
from wotemu_runtime.wire.packet import Endpoints, Packet

MAX_REMEMBERED = 4096
"""Observations of one node, and message ids of requests: the oldest ones are forgotten first."""
_BEGIN, _END = 0, 1
"""Values of a request's option Observe."""

_Key = tuple[Side, Endpoints, bytes]
"""Which end the node is, both endpoints, and the token."""
_Upload = tuple[Side, Endpoints, str, str]
"""Which end the node is, both endpoints, method and path."""


@attrs.define
class _Observation:
    registration: Exchange
    message_id: int
    """Of the last notification."""


@attrs.define(eq=False)
class _Waiting:
    exchange: Exchange
    is_observation: bool
    is_upload: bool
    """Whether blocks of the request follow."""


class CoapExchanges:
    """The requests and observations of one node.

    Args:
        exchanges: Those that wait for answers, of CoAP alone.
        notified: Called with each notification.
    """

    def __init__(self, exchanges: OpenExchanges, notified: Callable[[Exchange], None]) -> None:
        self._exchanges = exchanges
        self._notified = notified
        self._waiting: dict[_Key, _Waiting] = {}
        self._keys: dict[Exchange, _Key] = {}
        self._uploads: dict[_Upload, Exchange] = {}
        self._observations: OrderedDict[_Key, _Observation] = OrderedDict()
        self._seen: OrderedDict[tuple[Side, Endpoints, int], float] = OrderedDict()
        """When each request came, by its message id."""

    def __repr__(self) -> str:
        return f"<CoapExchanges, {len(self._waiting)} waiting, {len(self._observations)} observations>"

    def take(self, packet: Packet) -> None:
        """Take a UDP datagram."""
        message = read_message(packet.data, is_cut=packet.is_cut)
        if message is None:
            return
        if message.method:
            self._request(packet, message)
        else:
            self._answer(packet, message)

    def expire(self, now: float) -> None:
        """End the requests that have waited for too long."""
        for exchange in self._exchanges.expired(now):
            self._forget(exchange)

    def _request(self, packet: Packet, message: CoapMessage) -> None:
        side, endpoints = request_side(packet), packet.endpoints
        if self._is_copy((side, endpoints, message.message_id), packet.t):
            return
        if message.block2 is not None and message.block2.number:
            return  # asks for more of an answer that has begun
        key, has_more = (
            (side, endpoints, message.token),
            message.block1 is not None and message.block1.has_more,
        )
        upload = side, endpoints, message.method, message.path
        if message.block1 is not None and message.block1.number and upload in self._uploads:
            self._continue(key, self._uploads[upload], has_more=has_more)
            return
        if message.observe == _END:
            self._observations.pop(key, None)
        if key in self._waiting:  # its client has given the one before up
            self._end(self._waiting[key].exchange)
        exchange = Exchange(packet.t, side, "coap", message.method, message.path, endpoints)
        if self._exchanges.begin(exchange):
            self._waiting[key] = _Waiting(exchange, message.observe == _BEGIN, has_more)
            self._keys[exchange] = key
            if has_more:
                self._uploads[upload] = exchange

    def _continue(self, key: _Key, exchange: Exchange, *, has_more: bool) -> None:
        """The next block of a request has a token of its own, by which it may be answered."""
        waiting = self._waiting.pop(self._keys[exchange])
        waiting.is_upload = has_more
        self._waiting[key], self._keys[exchange] = waiting, key

    def _answer(self, packet: Packet, message: CoapMessage) -> None:
        key = answer_side(packet), packet.endpoints, message.token
        waiting = self._waiting.get(key)
        if waiting is None:
            self._notification(key, packet, message)
            return
        if waiting.is_upload and message.code == CONTINUE:
            return
        exchange = waiting.exchange
        exchange.answer(message.code, packet.t)
        self._end(exchange)
        if waiting.is_observation and message.observe is not None:
            self._observations[key] = _Observation(exchange, message.message_id)
            if len(self._observations) > MAX_REMEMBERED:
                self._observations.popitem(last=False)

    def _notification(self, key: _Key, packet: Packet, message: CoapMessage) -> None:
        observation = self._observations.get(key)
        if observation is None or message.message_id == observation.message_id:
            return
        if message.observe is None:
            if message.code.startswith("2"):
                return
            del self._observations[key]  # an error ends it
        observation.message_id = message.message_id
        first = observation.registration
        self._notified(
            Exchange(
                packet.t, first.side, "coap", first.method, first.path, packet.endpoints,
                code=message.code, registration=first,
            )
        )  # fmt: skip

    def _is_copy(self, sent: tuple[Side, Endpoints, int], t: float) -> bool:
        """Whether a request was seen before, as its sender repeats it; if not, it is remembered."""
        before = self._seen.get(sent)
        if before is not None and t - before < ANSWER_WAIT_S:
            return True
        self._seen[sent] = t
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
        return False

    def _end(self, exchange: Exchange) -> None:
        self._forget(exchange)
        self._exchanges.end(exchange)

    def _forget(self, exchange: Exchange) -> None:
        key = self._keys.pop(exchange)
        del self._waiting[key]
        upload = exchange.side, exchange.endpoints, exchange.method, exchange.path
        if self._uploads.get(upload) is exchange:
            del self._uploads[upload]
