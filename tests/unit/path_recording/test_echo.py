"""The echo answers those alone who know the token, with at most what it received; spacings give the rate."""

from __future__ import annotations

import asyncio
import random

import pytest

from wotemu.errors import InputError
from wotemu_runtime.path_recording.echo_messages import Kind, Message, decode, encode, key_of
from wotemu_runtime.path_recording.echo_server import BYTES_PER_S, EchoServer
from wotemu_runtime.path_recording.rate_estimate import TrainSpacing, estimate, spacing_s
from wotemu_runtime.path_recording.udp_probe import lost_on

KEY = key_of("a token that both know")
PEER = ("192.0.2.1", 4000)


def echo(clock: float = 0.0) -> tuple[EchoServer, list[bytes]]:
    sent: list[bytes] = []
    return EchoServer(KEY, lambda datagram, _: sent.append(datagram), lambda: clock), sent


def test_strangers_get_no_answer() -> None:
    server, sent = echo()
    probe = encode(Message(Kind.PROBE, 1, 0), key_of("another token"), 64)
    for datagram in (probe, b"", b"x" * 64, encode(Message(Kind.REPLY, 1, 0), KEY, 64)):
        server.receive(datagram, PEER, 0)
    assert sent == []


def test_a_probe_is_answered_with_its_size_and_the_count() -> None:
    server, sent = echo()
    for number in range(2):
        server.receive(encode(Message(Kind.PROBE, 1, number), KEY, 64), PEER, 17)
    assert [len(each) for each in sent] == [64, 64]
    assert decode(sent[1], KEY) == Message(Kind.REPLY, 1, 1, received=2, stamp_ns=17)


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
        TrainSpacing(0, found)
        for _ in range(200)
        if (found := spacing_s({i: int(1e9 * (i * gap_s + rng.gauss(0, jitter_s))) for i in range(8)}))
    ]
    # The slope's deviation is jitter / sqrt(42); the median of 200 has 1.2533 / sqrt(200) of it, times 4.89.
    bound = 4.89 * 1.2533 * jitter_s / 42**0.5 / 200**0.5 / gap_s
    assert estimate(spacings, 1242).rate_bps == pytest.approx(1242 * 8 / gap_s, rel=bound)


def test_a_rate_that_trains_cannot_tell_is_none_with_the_reason() -> None:
    assert estimate([], 1242).rate_bps is None
    assert "above" in estimate([TrainSpacing(0, 1e-6)], 1242).why_not
    assert "jitter" in estimate([TrainSpacing(0, s) for s in (1e-3, 3e-3, 9e-3)], 1242).why_not


def test_counts_tell_which_way_lost_a_probe() -> None:
    assert lost_on(4, {0: 1, 3: 2}) == {1: "up", 2: "up"}  # neither of them came
    assert lost_on(4, {0: 1, 3: 4}) == {1: "down", 2: "down"}
    assert lost_on(4, {0: 1, 3: 3}) == {1: "up", 2: "down"}
