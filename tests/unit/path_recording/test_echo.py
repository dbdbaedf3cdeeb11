"""The echo answers those alone who know the token, with at most what it received; spacings give the rate."""

from __future__ import annotations

import asyncio
import random
import socket

import attrs
import pytest

from wotemu.errors import HostError, InputError
from wotemu.traces.round_trips import RoundTrip, recording_of
from wotemu_runtime.path_recording import echo_messages, timed_sending
from wotemu_runtime.path_recording.echo_messages import (
    VERSION,
    Kind,
    Message,
    decode,
    encode,
    key_of,
    version_of,
)
from wotemu_runtime.path_recording.echo_server import BYTES_PER_S, EchoServer
from wotemu_runtime.path_recording.period import Period
from wotemu_runtime.path_recording.rate_estimate import TrainSpacing, estimate, spacing_s
from wotemu_runtime.path_recording.recorder import serve
from wotemu_runtime.path_recording.udp_probe import PROBE_INTERVAL_S, TRAIN_PACKETS, UdpProber, lost_on

KEY = key_of("a token that both know")
PEER = ("192.0.2.1", 4000)


def echo(clock: float = 0.0) -> tuple[EchoServer, list[bytes]]:
    sent: list[bytes] = []
    return EchoServer(KEY, lambda datagram, _: sent.append(datagram), lambda: clock, lambda: 40), sent


def test_strangers_get_no_answer() -> None:
    server, sent = echo()
    probe = encode(Message(Kind.PROBE, 1, 0), key_of("another token"), 64)
    for datagram in (probe, b"", b"x" * 64, encode(Message(Kind.REPLY, 1, 0), KEY, 64)):
        server.receive(datagram, PEER, 0)
    assert sent == []


def test_ends_of_different_versions_learn_of_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    server, sent = echo()
    prober = UdpProber(KEY, lambda _: None)
    theirs = b"WTE9"
    monkeypatch.setattr(echo_messages, "VERSION", theirs)
    probe, strangers = (encode(Message(Kind.PROBE, 1, 0), key, 64) for key in (KEY, key_of("another token")))
    monkeypatch.undo()
    server.receive(strangers, PEER, 0)
    assert sent == []
    server.receive(probe, PEER, 0)
    assert [len(each) for each in sent] == [len(probe) - 8]
    assert version_of(sent[0], KEY) == VERSION
    prober.receive(probe, PEER, 0)
    assert prober.other_version == theirs


async def test_a_port_that_is_taken_is_said_before_the_echo_says_that_it_listens() -> None:
    said: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(HostError, match="Address already in use"):
            await serve("127.0.0.1", taken.getsockname()[1], "a token of both", 0, lambda: said.append("up"))
    assert said == []


async def test_a_round_trip_that_began_late_is_in_the_loss_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_sending, "BLUR_NS", -1)
    prober = UdpProber(KEY, lambda _: None)
    prober._send_probe()
    monkeypatch.undo()
    prober._send_probe()
    assert [trip.is_blurred for trip in prober._measurement().trips] == [True, False]
    trips = [RoundTrip(n / 10, 0.5 if n == 3 else 0.02, None, n == 3) for n in range(10)]
    found = recording_of(trips, "path")
    ((_, values),) = found.rows
    assert values == {"latency_ms": pytest.approx(10), "jitter_ms": pytest.approx(0, abs=1e-9), "loss": 0}
    assert found.assumptions[-1].startswith("1 of 10 round-trip times are not in latency and jitter")


def test_a_probe_is_answered_with_its_size_and_the_count() -> None:
    server, sent = echo()
    for number in range(2):
        server.receive(encode(Message(Kind.PROBE, 1, number), KEY, 64), PEER, 17)
    assert [len(each) for each in sent] == [64, 64]
    assert decode(sent[1], KEY) == Message(Kind.REPLY, 1, 1, received=2, stamp_ns=17, sent_ns=40)


@pytest.mark.parametrize("arrived", [range(8), [0, 2, 7], [3]])
async def test_a_train_is_answered_with_no_more_than_arrived(arrived: list[int]) -> None:
    server, sent = echo()
    for index in arrived:
        train = Message(Kind.TRAIN, 1, 0, index, received=8)
        server.receive(encode(train, KEY, 1200), PEER, 100 + index)
    await asyncio.sleep(0 if len(arrived) == 8 else 0.7)
    await asyncio.sleep(0.01)
    answers = [decode(each, KEY) for each in sent]
    assert [(each.index, each.stamp_ns) for each in answers if each] == [(i, 100 + i) for i in arrived]
    assert [each.place for each in answers if each] == list(range(len(arrived)))
    assert sum(map(len, sent)) == 1200 * len(arrived)


def test_the_echo_sends_no_more_than_its_budget() -> None:
    server, sent = echo()
    for number in range(10_000):
        server.receive(encode(Message(Kind.PROBE, 1, number), KEY, 1400), PEER, 0)
    assert sum(map(len, sent)) <= BYTES_PER_S


def test_a_short_token_is_refused() -> None:
    with pytest.raises(InputError):
        key_of("short")


def test_the_spacing_passes_over_holes_and_jitter() -> None:
    assert spacing_s({0: 0, 1: 1_000_000, 3: 3_000_000, 7: 7_000_000}) == pytest.approx(1e-3)
    assert spacing_s({0: 0, 1: 1, 2: 2}) is None


def test_the_rate_is_the_median_of_trains_with_jitter() -> None:
    rng, gap_s, jitter_s = random.Random(1), 5e-3, 1e-3
    spacings = [
        TrainSpacing(0, found, 20e-6)
        for _ in range(200)
        if (found := spacing_s({i: int(1e9 * (i * gap_s + rng.gauss(0, jitter_s))) for i in range(8)}))
    ]
    # The slope's deviation is jitter / sqrt(42); the median of 200 has 1.2533 / sqrt(200) of it, times 4.89.
    bound = 4.89 * 1.2533 * jitter_s / 42**0.5 / 200**0.5 / gap_s
    assert estimate(spacings, 1242).rate_bps == pytest.approx(1242 * 8 / gap_s, rel=bound)


def test_a_rate_that_trains_cannot_tell_is_none_with_the_reason() -> None:
    assert estimate([], 1242).rate_bps is None
    assert "faster than 199 Mbit/s" in estimate([TrainSpacing(0, 1e-6)] * 9, 1242).why_not
    assert "faster than 24.8 Mbit/s" in estimate([TrainSpacing(0, 3e-4, 2e-4)] * 9, 1242).why_not
    assert "jitter" in estimate([TrainSpacing(0, s) for s in (1e-3, 2e-3, 3e-3, 6e-3, 9e-3)], 1242).why_not
    assert estimate([TrainSpacing(0, 1e-3)] * 4, 1242).why_not == "4 trains, it takes 5: record for longer"


def test_a_train_that_its_sender_stretched_counts_as_none() -> None:
    spacings = [TrainSpacing(0, 1e-3, 1e-5)] * 5 + [TrainSpacing(0, 5e-3, 5e-3)] * 4
    assert estimate(spacings, 1250).rate_bps == pytest.approx(10e6)


def test_an_echo_that_was_late_delays_no_round_trip_and_a_lossy_train_up_no_rate_down() -> None:
    prober = UdpProber(KEY, lambda _: None)
    prober._send_probe()
    prober._sent_ns[0] = 0
    session = prober._session
    reply = Message(Kind.REPLY, session, 0, received=1, stamp_ns=5_000_000, sent_ns=105_000_000)
    prober.receive(encode(reply, KEY, 64), PEER, 110_000_000)
    prober._trains.append((0.0, {index: index for index in range(16)}))
    for place, index in enumerate([0, 1, 4, 7, 9, 15]):
        stamp_ns, ms = index * 2_000_000, 1_000_000
        burst = Message(Kind.BURST, session, 0, index, 6, stamp_ns, sent_ns=place, place=place)
        prober.receive(encode(burst, KEY, 1200), PEER, place * ms)
    measured = prober._measurement()
    assert measured.trips[0].rtt_s == pytest.approx(0.010)
    assert [each.spacing_s for each in measured.up] == [pytest.approx(2e-3)]
    assert [each.spacing_s for each in measured.down] == [pytest.approx(1e-3)]


async def test_no_probe_is_sent_shortly_before_a_train_nor_during_one() -> None:
    kinds: list[tuple[float, Kind]] = []
    loop = asyncio.get_running_loop()

    def send(datagram: bytes) -> None:
        message = decode(datagram, KEY)
        assert message is not None
        kinds.append((loop.time(), message.kind))
        if message.kind is Kind.TRAIN:
            answer = attrs.evolve(message, kind=Kind.BURST, place=message.index)
            loop.call_later(0.3, prober.receive, encode(answer, KEY, 1200), PEER, 0)

    prober = UdpProber(KEY, send)
    await prober.run(Period(3.0))
    first_s = next(at_s for at_s, kind in kinds if kind is Kind.TRAIN)
    probes_s = [at_s for at_s, kind in kinds if kind is Kind.PROBE]
    assert [kind for _, kind in kinds].count(Kind.TRAIN) == TRAIN_PACKETS
    assert not [at_s for at_s in probes_s if first_s - PROBE_INTERVAL_S < at_s < first_s + 0.3]
    assert min(probes_s) < first_s < max(probes_s)


def test_counts_tell_which_way_lost_a_probe() -> None:
    assert lost_on(4, {0: 1, 3: 2}) == {1: "up", 2: "up"}  # neither of them came
    assert lost_on(4, {0: 1, 3: 4}) == {1: "down", 2: "down"}
    assert lost_on(4, {0: 1, 3: 3}) == {1: "up", 2: "down"}
