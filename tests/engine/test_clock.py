"""The bus's clock on machines whose own are wrong."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
from redis.asyncio import Redis

from tests.engine.conftest import BusServer
from wotemu.records import Change as ChangeRecord
from wotemu.records import Event, Host
from wotemu.scenario.timeline import Change
from wotemu_runtime.bus import BusAddress, BusClock, Consumer, Streams, connect, decode_batch
from wotemu_runtime.bus.anchor import KEY, Anchor
from wotemu_runtime.bus.offset import Offset
from wotemu_runtime.bus.server import find_server
from wotemu_runtime.bus.wall_clock import epoch_s
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.host_report import HostClaim, report_host
from wotemu_runtime.roles.role import Role
from wotemu_runtime.roles.session import BusSession

STREAMS = Streams("skewed")


async def test_changes_hold_at_one_moment_on_machines_whose_clocks_are_wrong(bus_server: BusServer) -> None:
    skews_s = {"gateway:ahead": 37.0, "gateway:behind": -12.0}
    applied: dict[str, float] = {}
    t0 = time.time() + 0.2
    client = await connect(bus_server.address)
    async with asyncio.TaskGroup() as group:
        for number, (name, skew_s) in enumerate(skews_s.items()):
            clock = await _skewed_clock(client, skew_s)
            role = Role(_assignment(name, bus_server), BusSession(client, STREAMS.stack, clock))
            publishing = group.create_task(role.publisher.run())
            change = Change(number, 0.3, "cut", name.partition(":")[2], "x", None, False, True)
            await role.handle({"command": "changes", "changes": [attrs.asdict(change)], "drop": []})
            await role.handle({"command": "t0", "t0": t0})
            group.create_task(_applied(role, applied, publishing))
    assert set(applied) == set(skews_s)
    records = await _records(client, ChangeRecord.TABLE)
    due = {record[0]: record[1] for record in records}
    assert due == {0: t0 + 0.3, 1: t0 + 0.3}
    for name, t in applied.items():
        error_s = 0.01  # this machine's clock against itself over a Unix socket; the skews are seconds
        assert t0 + 0.3 - error_s <= t < t0 + 5, name
    assert all(t0 + 0.3 <= record[2] < t0 + 5 for record in records)
    await client.aclose()


async def test_one_role_speaks_for_a_machine_and_another_takes_over(bus_server: BusServer) -> None:
    client = await connect(bus_server.address)
    clock = await _skewed_clock(client, 5.0)
    first, second = (HostClaim(client, STREAMS.host("edge-1"), name) for name in ("agent:a", "agent:b"))
    told: asyncio.Queue[Event | Host] = asyncio.Queue()
    silent: list[Event | Host] = []
    reporting = asyncio.create_task(report_host("edge-1", "agent:a", first, clock, told.put_nowait))
    found, sample = await told.get(), await told.get()
    waiting = asyncio.create_task(report_host("edge-1", "agent:b", second, clock, silent.append))
    await told.get()
    assert silent == []
    assert isinstance(found, Event)
    assert (found.kind, found.data["host"], found.data["cpus"]) == ("host.found", "edge-1", os.cpu_count())
    assert isinstance(sample, Host)
    assert sample.host == "edge-1"
    assert abs(sample.clock_offset + 5.0) <= sample.clock_error + 1e-6
    for task in (reporting, waiting):
        task.cancel()
    assert not await second.renew()
    await client.delete(STREAMS.host("edge-1"))  # as when it runs out
    assert await second.renew()
    assert not await first.renew()
    await client.aclose()


async def _skewed_clock(client: Redis, skew_s: float) -> BusClock:
    """The clock of a machine whose clocks are ahead by so much."""
    await client.set(KEY, Anchor("the bus", epoch_s()).to_json())
    clock = BusClock(partial(_skewed, skew_s), own_epoch_s=epoch_s(), kernel="another")
    await clock.measure(client)
    return clock


def _skewed(skew_s: float) -> float:
    return time.monotonic() + skew_s


def _assignment(name: str, server: BusServer) -> Assignment:
    return Assignment(name=name, stack=STREAMS.stack, bus=server.address, data={})


async def _applied(role: Role, applied: dict[str, float], publishing: asyncio.Task[None]) -> None:
    """Until the role has applied its change, and told so."""
    done = asyncio.Event()

    def apply(_: Change) -> None:
        applied[role.assignment.name] = time.time()
        done.set()

    following = asyncio.create_task(role.changes.follow(apply))
    await done.wait()
    await asyncio.sleep(0)
    following.cancel()
    role.publisher.close()
    await publishing


async def _records(client: Redis, table: str) -> list[list[Any]]:
    entries = await anext(Consumer(client, [STREAMS.metrics(table)]).batches())
    return [row for _, _, fields in entries for row in decode_batch(fields)[1]]


def keeper_of(bus: BusAddress) -> subprocess.Popen[bytes]:
    keep = f"from wotemu_runtime.bus.anchor import keep_anchor; keep_anchor({bus.port}, {bus.password!r})"
    return subprocess.Popen([sys.executable, "-c", keep])


@pytest.fixture
def tcp_bus(tmp_path: Path) -> Iterator[BusAddress]:
    """A bus as in a container of a cluster: on TCP, with the process beside it that keeps its time."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = BusAddress("open-sesame", host="127.0.0.1", port=port)
    config = tmp_path / "bus.conf"
    config.write_text(f"bind 127.0.0.1\nport {port}\nrequirepass {address.password}\nsave ''\n")
    server = subprocess.Popen([find_server(), config], stdout=subprocess.DEVNULL)
    keeper = keeper_of(address)
    yield address
    for process in (keeper, server):
        process.kill()
        process.wait()


async def test_a_buss_machine_tells_roles_on_it_from_those_elsewhere(tcp_bus: BusAddress) -> None:
    client = await connect(tcp_bus, deadline_s=30)
    here, there, skewed = BusClock(), BusClock(kernel="another"), BusClock(partial(_skewed, 9.0), kernel="x")
    for clock in (here, there, skewed):
        await clock.measure(client)
    assert here.is_the_bus
    assert here.offset == Offset(0.0, 0.0)
    assert not there.is_the_bus
    assert 0 < there.offset.error_s < 1
    now = [clock.now() for clock in (here, there, skewed)]
    assert now[1] - now[0] == pytest.approx(0, abs=there.offset.error_s + 0.01)
    assert now[2] - now[0] == pytest.approx(0, abs=skewed.offset.error_s + 0.01)
    await client.aclose()


async def test_an_anchor_outlives_its_keeper(tcp_bus: BusAddress) -> None:
    """A keeper that is started again goes on with it: roles that are there and roles that come agree."""
    client = await connect(tcp_bus, deadline_s=30)
    await (first := BusClock()).measure(client)
    anchor = await client.get(KEY)
    another = keeper_of(tcp_bus)
    while len(await client.client_list()) < 3:  # noqa: ASYNC110  # this test, and both keepers
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)  # two looks
    another.kill()
    another.wait()
    assert await client.get(KEY) == anchor
    await (second := BusClock()).measure(client)
    assert first.at(5.0) == second.at(5.0)
    await client.aclose()
