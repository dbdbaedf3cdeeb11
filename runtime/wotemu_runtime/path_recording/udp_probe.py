"""Probes a path to an echo: round trips, losses of each way, and trains for the rate of each way."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import attrs

from wotemu.traces.round_trips import RoundTrip
from wotemu_runtime.path_recording.echo_messages import VERSION, Kind, Message, decode, encode, version_of
from wotemu_runtime.path_recording.period import Period
from wotemu_runtime.path_recording.rate_estimate import TrainSpacing, train_spacing
from wotemu_runtime.path_recording.timed_sending import timed

PROBE_BYTES = 64
PROBE_INTERVAL_S = 0.1
TRAIN_PACKETS = 16
TRAIN_BYTES = 1200
TRAIN_INTERVAL_S = 2.5
ANSWER_WAIT_S = 2.0
"""After the last probe."""
_BURST_WAIT_S = 5.0
_QUIET_S = 0.5
"""Without a further packet, a burst that began is over."""


@attrs.frozen
class PathMeasurement:
    """What was measured.

    Attributes:
        trips: Of the probes.
        up, down: Trains that went to the target, and that came back.
        headers_bytes: Of a train's packet on the wire, beside its payload: Ethernet, IP and UDP.
    """

    trips: tuple[RoundTrip, ...]
    up: tuple[TrainSpacing, ...] = ()
    down: tuple[TrainSpacing, ...] = ()
    headers_bytes: int = 42


class UdpProber:
    """Sends probes and trains, and collects answers. One train at a time, with no probe meanwhile.

    Args:
        key: Of the token.
        send: Sends a datagram.
    """

    def __init__(self, key: bytes, send: Callable[[bytes], None]) -> None:
        self._key, self._send = key, send
        self._session = secrets.randbits(64)
        self.other_version: bytes | None = None
        """That of an echo which knows the token but speaks another form."""
        self._sent_ns: list[int] = []
        self._blurred: set[int] = set()
        self._replies: dict[int, tuple[float, int]] = {}  # by number: round trip, probes received until then
        self._bursts: dict[int, dict[int, tuple[Message, int]]] = {}  # by train, by index: and when it came
        self._trains: list[tuple[float, dict[int, int]]] = []  # when, and nanoseconds of sending by index
        self._burst = asyncio.Event()

    def receive(self, datagram: bytes, _peer: object, stamp_ns: int) -> None:
        """Take an answer."""
        message = decode(datagram, self._key)
        if message is None and (version := version_of(datagram, self._key)) not in (None, VERSION):
            self.other_version = version
        if message is None or message.session != self._session:
            return
        if message.kind is Kind.REPLY and message.number < len(self._sent_ns):
            # What the echo's process was late is no delay of the path.
            held_ns = max(message.sent_ns - message.stamp_ns, 0)
            rtt_s = (stamp_ns - self._sent_ns[message.number] - held_ns) / 1e9
            self._replies.setdefault(message.number, (max(rtt_s, 0.0), message.received))
        elif message.kind is Kind.BURST and message.number < len(self._trains):
            burst = self._bursts.setdefault(message.number, {})
            burst[message.index] = (message, stamp_ns)
            self._burst.set()

    async def run(self, period: Period, *, trains: bool = True) -> PathMeasurement:
        """Probe for a while.

        Args:
            period: How long.
            trains: Whether to measure rates, too.
        """
        period.start()
        next_train_s = TRAIN_INTERVAL_S / 2 if trains else float("inf")
        next_probe_s = 0.0
        while (now_s := period.now_s) < period.seconds:
            if now_s >= next_train_s:
                await self._send_train(now_s)
                next_train_s = max(next_train_s + TRAIN_INTERVAL_S, period.now_s + _QUIET_S)
                next_probe_s = period.now_s
                continue
            # Jitter could take the train past a probe just before it, which then waited behind the train.
            next_probe_s = max(next_probe_s, now_s)
            if next_probe_s > next_train_s - PROBE_INTERVAL_S:
                next_probe_s = float("inf")
            if now_s >= next_probe_s:
                self._send_probe()
                next_probe_s = max(next_probe_s + PROBE_INTERVAL_S, now_s)
            if not await period.reaches(min(next_probe_s, next_train_s)):
                break
        await asyncio.sleep(ANSWER_WAIT_S)
        return self._measurement()

    def _send_probe(self) -> None:
        probe = encode(Message(Kind.PROBE, self._session, len(self._sent_ns)), self._key, PROBE_BYTES)
        sent_ns, is_blurred = timed(lambda: self._send(probe))
        if is_blurred:
            self._blurred.add(len(self._sent_ns))
        self._sent_ns.append(sent_ns)

    async def _send_train(self, at_s: float) -> None:
        number, sent_ns = len(self._trains), dict[int, int]()
        self._trains.append((at_s, sent_ns))
        packets = [
            encode(Message(Kind.TRAIN, self._session, number, i, TRAIN_PACKETS), self._key, TRAIN_BYTES)
            for i in range(TRAIN_PACKETS)
        ]
        self._burst.clear()
        for index, packet in enumerate(packets):
            sent_ns[index] = time.time_ns()
            self._send(packet)
        wait_s = _BURST_WAIT_S
        while not self._is_whole(number):
            try:
                await asyncio.wait_for(self._burst.wait(), wait_s)
            except TimeoutError:
                return
            self._burst.clear()
            wait_s = _QUIET_S

    def _is_whole(self, number: int) -> bool:
        """Whether all has come of what the echo sent."""
        burst = self._bursts.get(number)
        return burst is not None and len(burst) >= next(iter(burst.values()))[0].received

    def _measurement(self) -> PathMeasurement:
        first_ns = self._sent_ns[0]
        lost = lost_on(len(self._sent_ns), {n: received for n, (_, received) in self._replies.items()})
        trips = tuple(
            RoundTrip(
                (sent_ns - first_ns) / 1e9,
                self._replies[n][0] if n in self._replies else None,
                lost.get(n),
                n in self._blurred,
            )
            for n, sent_ns in enumerate(self._sent_ns)
        )
        return PathMeasurement(trips, tuple(self._up()), tuple(self._down()))

    def _up(self) -> Iterable[TrainSpacing]:
        for number, burst in self._bursts.items():
            at_s, sent_ns = self._trains[number]
            arrived_ns = {index: message.stamp_ns for index, (message, _) in burst.items()}
            if found := train_spacing(at_s, sent_ns, arrived_ns):
                yield found

    def _down(self) -> Iterable[TrainSpacing]:
        for number, burst in self._bursts.items():
            sent_ns = {message.place: message.sent_ns for message, _ in burst.values()}
            arrived_ns = {message.place: at_ns for message, at_ns in burst.values()}
            if found := train_spacing(self._trains[number][0], sent_ns, arrived_ns):
                yield found


def lost_on(sent: int, received: Mapping[int, int]) -> dict[int, Literal["up", "down"]]:
    """Which way lost each probe without an answer, from how many the echo had received at each answer.

    Between two answers the echo's count says how many of those in between it got; which ones is not known, so
    the first of them count as lost on the way up. After the last answer nothing is known: half of each.

    Args:
        sent: Probes, numbered from 0.
        received: The count at each answered probe.
    """
    found: dict[int, Literal["up", "down"]] = {}
    before, count = -1, 0
    for number in sorted(received):
        missing = range(before + 1, number)
        arrived = received[number] - count - 1
        lost_up = min(max(len(missing) - arrived, 0), len(missing))
        found.update({n: "up" if place < lost_up else "down" for place, n in enumerate(missing)})
        before, count = number, max(received[number], count)
    found.update({n: "up" if n % 2 else "down" for n in range(before + 1, sent)})
    return found
