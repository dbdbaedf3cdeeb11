"""Real packets through real interfaces."""

from __future__ import annotations

import asyncio
import re
import socket
import statistics
from itertools import pairwise

import pytest

from wotemu.percentiles import percentile
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Rate, Seconds

from .lab import PORT, Lab, Stream
from .network import Hops

pytestmark = pytest.mark.namespaces

LATE_S = 0.002
"""Median lateness allowed on a busy test machine: timers are exact to about 50 us, and the sender, the
gateway and the receiver then have to get a processor each."""

MS_20 = NetworkConditions(latency=Seconds(0.02))
BOTH_20: Hops = {(node, "up"): MS_20 for node in "ab"}


async def test_a_round_trip_takes_the_delays_of_all_four_hops() -> None:
    hops: Hops = {**BOTH_20, ("a", "down"): MS_20, ("b", "down"): MS_20}
    with Lab("a", "b", hops=hops) as lab:
        output = await lab.run("a", "ping", "-c", "50", "-i", "0.01", lab.members["b"].ipv4)
        times_s = [float(ms) / 1000 for ms in re.findall(r"time=([\d.]+)", output)]
        assert len(times_s) == 50
        assert 0.08 <= statistics.median(times_s) < 0.08 + 4 * LATE_S


async def test_no_packet_leaves_early_and_half_are_on_time() -> None:
    with Lab("a", "b", hops=BOTH_20) as lab, Stream(lab, "a", "b") as stream:
        await stream.send_many(500, per_second=500)
        await stream.settle(1.0)
        delays_s = stream.delays_s("b")
        assert len(delays_s) == 500
        assert min(delays_s) >= 0.02
        assert statistics.median(delays_s) < 0.02 + LATE_S
        _, counters = lab.drain()
        hop = counters["a", "up"]
        late_p95 = percentile(hop.late_bins, hop.late_counts, 0.95)
        assert late_p95 is not None
        assert late_p95 < 10 * LATE_S


async def test_ten_changes_a_second_lose_and_reorder_nothing_under_2000_packets_a_second() -> None:
    with Lab("a", "b", hops=BOTH_20) as lab, Stream(lab, "a", "b") as stream:

        async def change() -> None:
            for i in range(30):
                rate = (Rate(50e6), None, Rate(10e6))[i % 3]
                for direction in ("up", "down"):
                    lab.switch.set_hop("a", direction, NetworkConditions(latency=Seconds(0.02), rate=rate))
                    lab.switch.set_hop("b", direction, NetworkConditions(latency=Seconds(0.02), rate=rate))
                await asyncio.sleep(0.1)

        async with asyncio.TaskGroup() as group:
            group.create_task(change())
            group.create_task(stream.send_many(6000, per_second=2000))
        await stream.settle(2.0)
        assert stream.numbers("b") == list(range(6000))


async def test_a_rate_holds_goodput_within_three_percent() -> None:
    size, rate = 1000, Rate(4e6)
    hops: Hops = {("a", "up"): NetworkConditions(rate=rate, queue=Seconds(0.1))}
    with Lab("a", "b", hops=hops) as lab, Stream(lab, "a", "b", size=size) as stream:
        await stream.send_many(2000, per_second=1000)
        await stream.settle(0.5)
        frame_bytes = size + 42
        took_s = 2.0 + 0.1  # the queue is full at the end, and lets go what it holds
        expected = rate * took_s / 8 / frame_bytes
        assert len(stream.numbers("b")) == pytest.approx(expected, rel=0.03)
        _, counters = lab.drain()
        assert counters["a", "up"].dropped_queue == 2000 - len(stream.numbers("b"))


async def test_the_receivers_rate_holds_for_all_its_senders_together() -> None:
    hops: Hops = {("c", "down"): NetworkConditions(rate=Rate(2e6), queue=Seconds(0.1))}
    with (
        Lab("a", "b", "c", hops=hops) as lab,
        Stream(lab, "a", "c", size=1000) as one,
        Stream(lab, "b", "c", size=1000, port=PORT + 1) as other,
    ):
        async with asyncio.TaskGroup() as group:
            group.create_task(one.send_many(500, per_second=500))
            group.create_task(other.send_many(500, per_second=500))
        await one.settle(0.5)
        arrived = len(one.numbers("c")) + len(other.numbers("c"))
        assert arrived == pytest.approx(2e6 * 1.1 / 8 / 1042, rel=0.05)


async def test_a_cut_stops_packets_and_its_end_lets_them_pass_again() -> None:
    with Lab("a", "b") as lab, Stream(lab, "a", "b") as stream:
        for is_cut in (False, True, False):
            lab.switch.cut("b", is_cut)
            await stream.send_many(20, per_second=1000)
            await asyncio.sleep(0.05)
        assert stream.numbers("b") == [*range(20), *range(40, 60)]


async def test_a_partition_keeps_groups_apart() -> None:
    with Lab("a", "b", "c") as lab, Stream(lab, "a", "b", "c") as stream:
        lab.switch.partition([["a", "b"], ["c"]])
        await stream.send_many(20, per_second=1000)
        await asyncio.sleep(0.05)
        lab.switch.partition([])
        await stream.send_many(20, per_second=1000)
        await asyncio.sleep(0.05)
        assert stream.numbers("b") == list(range(40))
        assert stream.numbers("c") == list(range(20, 40))


async def test_a_broadcast_reaches_all_others() -> None:
    with Lab("a", "b", "c", hops=BOTH_20) as lab, Stream(lab, "a", "b", "c") as stream:
        stream.send(("10.64.0.255", PORT))
        await stream.settle(1.0)
        assert [stream.numbers(node) for node in "bc"] == [[0], [0]]
        assert min(stream.delays_s("b")) >= 0.02


async def test_packets_of_the_full_mtu_pass_unfragmented() -> None:
    with Lab("a", "b") as lab:
        output = await lab.run(
            "a", "ping", "-M", "do", "-s", "1472", "-c", "3", "-i", "0.01", lab.members["b"].ipv4
        )
        assert " 0% packet loss" in output


async def test_no_frame_of_a_tcp_stream_is_longer_than_the_mtu_allows() -> None:
    loop = asyncio.get_running_loop()
    with Lab("a", "b") as lab, lab.tcp("b") as listener, lab.tcp("a") as sender:
        listener.bind(("", PORT))
        listener.listen()
        await loop.sock_connect(sender, (lab.members["b"].ipv4, PORT))
        receiver, _ = await loop.sock_accept(listener)
        with receiver:
            async with asyncio.TaskGroup() as group:
                group.create_task(loop.sock_sendall(sender, bytes(2_000_000)))
                group.create_task(_take(receiver, 2_000_000))
        flows, _ = lab.drain()
        data = max((flow for flow in flows if flow.direction == "down"), key=lambda flow: flow.bytes)
        assert (data.transport, data.src, data.dst, data.dport) == ("tcp", "a", "b", PORT)
        assert 1400 < data.bytes / data.packets <= 1514


async def _take(receiver: socket.socket, size: int) -> None:
    while size > 0:
        size -= len(await asyncio.get_running_loop().sock_recv(receiver, 1 << 16))


async def test_addresses_resolve_without_the_delay_of_any_hop() -> None:
    slow = NetworkConditions(latency=Seconds(0.5))
    with Lab("a", "b", hops={("a", "up"): slow}) as lab, Stream(lab, "a", "b") as stream:
        stream.send()
        await stream.settle(1.0)
        assert stream.delays_s("b")[0] < 0.5 + 10 * LATE_S


async def test_jitter_reorders_and_keeps_every_packet() -> None:
    jitter = NetworkConditions(latency=Seconds(0.05), jitter=Seconds(0.01))
    with Lab("a", "b", hops={("a", "up"): jitter}) as lab, Stream(lab, "a", "b") as stream:
        await stream.send_many(1000, per_second=1000)
        await stream.settle(1.0)
        numbers = stream.numbers("b")
        assert sorted(numbers) == list(range(1000))
        assert any(later < earlier for earlier, later in pairwise(numbers))
        # Its share of 1,000 draws: 99 % lie within 6 %. A busy gateway can only widen it.
        assert 0.0094 <= statistics.stdev(stream.delays_s("b")) <= 0.02
