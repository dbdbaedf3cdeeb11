"""Round trips by handshakes: refused connections are answers, time-outs are losses."""

from __future__ import annotations

import asyncio
import socket

import pytest

from wotemu.errors import InputError
from wotemu_runtime.path_recording import tcp_probe
from wotemu_runtime.path_recording.period import Period
from wotemu_runtime.path_recording.recorder import record_round_trips

HOST = "127.0.0.1"


async def test_each_handshake_is_a_round_trip_half_a_second_apart() -> None:
    with socket.create_server((HOST, 0), backlog=16) as server:
        trips = await tcp_probe.probe(HOST, server.getsockname()[1], Period(1.5))
    assert len(trips) == 3
    assert all(trip.rtt_s is not None and 0 < trip.rtt_s < 0.95 for trip in trips)
    # Never early; lateness is the machine's.
    assert all(trip.t_s >= number * tcp_probe.INTERVAL_S for number, trip in enumerate(trips))


async def test_a_refused_connection_is_an_answer() -> None:
    with socket.socket() as closed:
        closed.bind((HOST, 0))  # bound, but nobody listens
        found = await record_round_trips(HOST, closed.getsockname()[1], Period(1.0))
    assert [values["loss"] for _, values in found.rows] == [0.0]
    assert 0 < found.rows[0][1]["latency_ms"] < 500
    assert "handshakes" in found.sources["latency_ms"]


async def test_a_handshake_without_an_answer_is_lost() -> None:
    # The first handshake fills the queue of a server that accepts none, and the kernel drops further SYNs.
    with socket.create_server((HOST, 0), backlog=0) as server:
        trips = await tcp_probe.probe(HOST, server.getsockname()[1], Period(1.5))
        assert [trip.rtt_s is None for trip in trips] == [False, True, True]
        with pytest.raises(InputError, match="none of 2 packets was answered"):
            await record_round_trips(HOST, server.getsockname()[1], Period(1.0))


async def test_what_is_measured_until_it_is_ended_early_is_kept() -> None:
    with socket.create_server((HOST, 0), backlog=16) as server:
        period = Period(60.0)
        asyncio.get_running_loop().call_later(0.7, period.end)
        found = await record_round_trips(HOST, server.getsockname()[1], period)
    assert 0 < found.length_s < 60
    assert [values["loss"] for _, values in found.rows] == [0.0]
