"""The echo at the other end: answers those who know the token, never with more bytes than it received."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import attrs

from wotemu_runtime.path_recording.echo_messages import (
    HEAD_BYTES,
    VERSION,
    Kind,
    Message,
    decode,
    encode,
    version_of,
)

BYTES_PER_S = 250_000
"""The rate limit of an echo, of all recordings together: enough for a few at once."""
_BURST_BYTES = 64_000
_MAX_SESSIONS = 64
_MAX_TRAIN = 16
_TRAIN_WAIT_S = 0.5
"""After the last packet of a train that came, before those that are missing are given up."""

Peer = tuple[str, int]
Send = Callable[[bytes, Peer], None]


@attrs.define
class _Train:
    number: int
    size: int
    stamps_ns: dict[int, int] = attrs.field(factory=dict)
    timer: asyncio.TimerHandle | None = None


@attrs.define
class _Session:
    received: int = 0
    train: _Train | None = None


class EchoServer:
    """Answers probes at once and each train with as many packets of the same size.

    Args:
        key: Of the token.
        send: Sends a datagram.
        clock: Seconds, for the budget.
        now_ns: Nanoseconds of the clock that stamps arrivals.
    """

    def __init__(
        self,
        key: bytes,
        send: Send,
        clock: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._key, self._send, self._clock, self._now_ns = key, send, clock, now_ns
        self._sessions: dict[tuple[Peer, int], _Session] = {}
        self._budget, self._at_s = float(_BURST_BYTES), clock()

    def receive(self, datagram: bytes, peer: Peer, stamp_ns: int) -> None:
        """Take a datagram. Strangers get no answer; who is of another version learns which this is."""
        message = decode(datagram, self._key)
        if message is None:
            # Shorter than what came: two echoes of different versions must not answer each other for ever.
            size = len(datagram) - 8
            if version_of(datagram, self._key) not in (None, VERSION) and size >= HEAD_BYTES:
                self._answer([Message(Kind.REPLY, 0, 0)], size, peer)
            return
        session = self._session((peer, message.session))
        if message.kind is Kind.PROBE:
            session.received += 1
            reply = attrs.evolve(message, kind=Kind.REPLY, received=session.received, stamp_ns=stamp_ns)
            self._answer([reply], len(datagram), peer)
        elif message.kind is Kind.TRAIN and message.index < _MAX_TRAIN:
            self._board(session, message, len(datagram), peer, stamp_ns)

    def _board(self, session: _Session, message: Message, size: int, peer: Peer, stamp_ns: int) -> None:
        train = session.train
        if train is None or train.number != message.number:
            if train is not None and train.timer is not None:
                train.timer.cancel()
            train = session.train = _Train(message.number, size)
        train.size = min(train.size, size)
        train.stamps_ns.setdefault(message.index, stamp_ns)
        if train.timer is not None:
            train.timer.cancel()
        is_last = len(train.stamps_ns) == message.received  # a train's packets say how many it has
        wait_s = 0.0 if is_last else _TRAIN_WAIT_S
        train.timer = asyncio.get_running_loop().call_later(wait_s, self._depart, session, message, peer)

    def _depart(self, session: _Session, message: Message, peer: Peer) -> None:
        train, session.train = session.train, None
        if train is None:
            return
        answers = [
            Message(
                Kind.BURST, message.session, train.number, index, len(train.stamps_ns), stamp_ns, place=place
            )
            for place, (index, stamp_ns) in enumerate(sorted(train.stamps_ns.items()))
        ]
        self._answer(answers, train.size, peer)

    def _answer(self, messages: list[Message], size: int, peer: Peer) -> None:
        now_s = self._clock()
        self._budget = min(_BURST_BYTES, self._budget + (now_s - self._at_s) * BYTES_PER_S)
        self._at_s = now_s
        if self._budget < size * len(messages):
            return
        self._budget -= size * len(messages)
        for message in messages:
            stamped = attrs.evolve(message, sent_ns=self._now_ns())
            self._send(encode(stamped, self._key, size), peer)

    def _session(self, key: tuple[Peer, int]) -> _Session:
        session = self._sessions.pop(key, None) or _Session()
        self._sessions[key] = session
        if len(self._sessions) > _MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return session
