"""A recording that another coordinator goes on with: nothing twice, nothing missing, and losses counted."""

from __future__ import annotations

import asyncio
import os
import time
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

from tests.engine.conftest import BusServer
from wotemu.errors import EmulationError, InputError
from wotemu.records import TABLES, App, Event, Log, ProbeSent, Record, to_row
from wotemu.scenario.timeline import Timeline
from wotemu_runtime.bus import BusClient, Publisher, Streams, connect
from wotemu_runtime.bus import consumer as consuming
from wotemu_runtime.bus.codec import encode_batch, pack
from wotemu_runtime.coordination import coordinator_lease as leasing
from wotemu_runtime.coordination.command_log import CommandLog
from wotemu_runtime.coordination.coordinator_lease import Lease
from wotemu_runtime.coordination.live_timeline import Insertion
from wotemu_runtime.fidelity import Witness
from wotemu_runtime.recording.bus_mirror import BusMirror, fetch
from wotemu_runtime.recording.checkpoint import FILE, Checkpoint
from wotemu_runtime.recording.recorder import Durable, Recorder
from wotemu_runtime.recording.retention import forgotten
from wotemu_runtime.recording.run_directory import RunDirectory, make_tables, tabulate
from wotemu_runtime.roles.host_report import HostClaim

STREAMS = Streams("tuesday")


@pytest.fixture
async def client(bus_server: BusServer) -> AsyncIterator[BusClient]:
    client = await connect(bus_server.address)
    await client.flushall()
    yield client
    await client.aclose()


async def publish(client: BusClient, *records: Record) -> None:
    for record in records:
        stream = STREAMS.events if record.TABLE == Event.TABLE else STREAMS.metrics(record.TABLE)
        await client.xadd(stream, encode_batch(record.TABLE, [to_row(record)]))  # type: ignore[arg-type]


def line(number: int) -> Log:
    return Log(float(number), "node", "stdout", str(number))


@attrs.frozen
class Seen:
    """Takes all records, as their table and their values."""

    rows: list[Any]
    tables = frozenset(TABLES)

    def take(self, records: Sequence[Record]) -> None:
        self.rows.extend((record.TABLE, *to_row(record)) for record in records)


def recording(
    recorder: RunDirectory, seen: list[Any] | None = None, durable: Durable = lambda: None
) -> Recorder:
    timeline = Timeline(seed=1, duration_s=60.0, phases=(), changes=())

    return Recorder(
        recorder,
        Witness((), lambda: timeline),
        lambda: 100.0,
        sinks=[] if seen is None else [Seen(seen)],
        durable=durable,
        resumed=recorder.is_resumed,
    )


async def record_all(client: BusClient, recorder: RunDirectory) -> None:
    """Record what is on the bus, to its end."""
    taking = recording(recorder)
    taking.draining = True
    async with asyncio.timeout(10):
        await taking.run(client, STREAMS)


async def test_who_takes_over_goes_on_after_the_last_checkpoint(client: BusClient, tmp_path: Path) -> None:
    """What was written after it, and cut in the middle as by a SIGKILL, comes again from the bus."""
    dead = RunDirectory(tmp_path)
    await publish(client, *map(line, range(3)), App(1.0, "node", "key", 1.0))
    await record_all(client, dead)
    await publish(client, *map(line, range(3, 6)), App(2.0, "node", "key", 2.0))
    for path, torn in (
        ("logs/node.log", b"3\n4"),
        ("spool/app.msgpack", b"\x91\x94"),
        ("logs/new.log", b"x"),
    ):
        with (tmp_path / path).open("ab") as file:
            file.write(torn)
    _die(dead)

    heir = RunDirectory(tmp_path)
    assert heir.is_resumed
    assert heir.damaged == []
    assert (tmp_path / "logs/node.log").read_text() == "0\n1\n2\n"
    assert not (tmp_path / "logs/new.log").exists()
    assert await recording(heir).missing(client, STREAMS) == {}
    await record_all(client, heir)
    heir.close()
    assert (tmp_path / "logs/node.log").read_text() == "0\n1\n2\n3\n4\n5\n"
    assert [row for _, rows in heir.stored() for row in rows] == [
        [1.0, "node", "key", 1.0],
        [2.0, "node", "key", 2.0],
    ]
    assert (heir.counts["app"], heir.taken["app"], heir.taken["logs"]) == (2, 2, 6)


async def test_the_bus_forgets_what_is_recorded_and_nothing_else(client: BusClient, tmp_path: Path) -> None:
    recorder = RunDirectory(tmp_path)
    await publish(client, *map(line, range(5)))
    await record_all(client, recorder)
    await publish(client, line(5))
    assert await client.xlen(STREAMS.metrics("logs")) == 1
    assert await forgotten(client, STREAMS) == {"logs": 5}
    recorder.close()


async def test_what_only_a_lost_directory_had_is_counted_once(client: BusClient, tmp_path: Path) -> None:
    lost = RunDirectory(tmp_path / "lost")
    await publish(client, *map(line, range(5)))
    await record_all(client, lost)
    await publish(client, line(5))
    heir = RunDirectory(tmp_path / "new")
    taking = recording(heir)
    assert await taking.missing(client, STREAMS) == {"logs": 5}
    await record_all(client, heir)
    assert (tmp_path / "new/logs/node.log").read_text() == "5\n"
    assert await taking.missing(client, STREAMS) == {}
    assert await recording(heir).missing(client, STREAMS) == {}
    lost.close()
    heir.close()


async def test_a_directory_that_lost_its_last_writes_is_found_out(client: BusClient, tmp_path: Path) -> None:
    """A machine that loses power may keep the checkpoint, and not what it speaks of."""
    dead = RunDirectory(tmp_path)
    await publish(client, *map(line, range(3)))
    await record_all(client, dead)
    _die(dead)
    (tmp_path / "logs/node.log").write_text("0\n")
    heir = RunDirectory(tmp_path)
    assert heir.damaged == ["logs/node.log"]
    heir.close()


async def test_all_that_was_recorded_is_seen_again(client: BusClient, tmp_path: Path) -> None:
    dead = RunDirectory(tmp_path)
    event = Event(1.0, "app.ready", "agent:node", "up", {"x": 1})
    probe = ProbeSent(1.0, "field", "node", "peer", 7, 0.001)
    await publish(client, event, App(1.0, "node", "key", 1.0), probe)
    await record_all(client, dead)
    _die(dead)
    seen: list[Any] = []
    heir = RunDirectory(tmp_path)
    recording(heir, seen).replay()
    assert sorted(seen, key=str) == sorted(
        [("events", *to_row(event)), ("app", 1.0, "node", "key", 1.0), ("probes_sent", *to_row(probe))],
        key=str,
    )
    heir.close()


def test_two_can_not_record_in_one_directory(tmp_path: Path) -> None:
    one = RunDirectory(tmp_path)
    with pytest.raises(InputError, match="records there"):
        RunDirectory(tmp_path)
    one.close()
    RunDirectory(tmp_path).close()


def test_a_report_of_a_run_that_goes_on_takes_nothing_from_it(tmp_path: Path) -> None:
    """The spool stays while somebody records, or may take over; not when the run is over."""
    recorder = RunDirectory(tmp_path)
    recorder.write_json("manifest.json", {"engine": "swarm", "ended": None})
    recorder.store(App.TABLE, [to_row(App(1.0, "node", "key", 1.0))])
    recorder.keep({})
    for _ in ("alive", "dead"):
        tabulate(tmp_path)
        assert (tmp_path / "tables/app.parquet").exists()
        assert (tmp_path / "spool/app.msgpack").exists()
        if recorder._files:
            recorder.close()
    recorder.write_json("manifest.json", {"engine": "swarm", "ended": 1.0})
    tabulate(tmp_path)
    assert (tmp_path / "tables/app.parquet").exists()
    assert not (tmp_path / "spool").exists()
    assert not (tmp_path / FILE).exists()


def test_tables_are_made_in_parts_that_do_not_grow_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight times the rows take less than twice the memory, and come in their order."""
    monkeypatch.setattr("wotemu_runtime.recording.run_directory.ROWS_AT_ONCE", 1000)
    peaks = []
    for count in (500, 5_000, 40_000):  # the first one imports what the others need
        recorder = RunDirectory(tmp_path / str(count))
        for first in range(0, count, 250):
            rows = [[float(number), "node", "key", 1.0] for number in range(first, first + 250)]
            recorder.store(App.TABLE, rows)
        recorder.close()
        tracemalloc.start()
        make_tables(recorder.run_dir)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        (table,) = (recorder.run_dir / "tables").iterdir()
        assert pl.read_parquet(table)["t"].to_list() == list(map(float, range(count)))
    assert peaks[2] < 2 * peaks[1]


async def test_a_mirror_lets_the_bus_forget_only_what_it_has(client: BusClient, tmp_path: Path) -> None:
    """What the container of a dead coordinator took with it is still on the bus."""
    recorder = RunDirectory(tmp_path / "there")
    recorder.write_json("manifest.json", {})
    mirror = BusMirror(client, "tuesday", tmp_path / "there")
    taking = recording(recorder, durable=lambda: mirror.kept)
    taking.draining = True
    await publish(client, line(0))
    await taking.run(client, STREAMS)
    await mirror.update()
    await publish(client, line(1))
    await taking.run(client, STREAMS)
    assert (tmp_path / "there/logs/node.log").read_text() == "0\n1\n"
    assert await client.xlen(STREAMS.metrics("logs")) == 1
    await fetch(client, "tuesday", tmp_path / "here")
    heir = RunDirectory(tmp_path / "here")
    await record_all(client, heir)
    heir.close()
    recorder.close()
    assert (tmp_path / "here/logs/node.log").read_text() == "0\n1\n"


async def test_one_coordinates_at_a_time(client: BusClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leasing, "LASTS_S", 1.0)
    monkeypatch.setattr(leasing, "RENEW_EVERY_S", 0.5)
    one, other = Lease(client, STREAMS), Lease(client, STREAMS)
    await one.acquire()
    holding = asyncio.create_task(one.hold())
    with pytest.raises(EmulationError, match=f"coordinated by process {one.me.pid}"):
        await other.acquire()
    holding.cancel()
    await asyncio.wait([holding])
    await other.acquire()  # the first one has fallen silent
    with pytest.raises(EmulationError, match="coordinated by"):
        await one.hold()  # and learns that it is not the one any more
    await one.release()
    assert await leasing.holder(client, STREAMS.lease) == other.me
    await other.release()
    assert await client.get(STREAMS.lease) is None


@pytest.mark.parametrize("act", ["renew", "release"])
async def test_a_lease_that_expired_is_left_to_the_one_who_has_it(client: BusClient, act: str) -> None:
    """It expires and is another's just before this one's command comes to the bus."""
    one, other = Lease(client, STREAMS), Lease(client, STREAMS)
    await one.acquire()
    send = client.execute_command

    async def late(*args: Any, **options: Any) -> Any:
        if "EVAL" in args[0] or args[0] in ("PEXPIRE", "DEL"):  # what changes it comes too late
            client.execute_command = send  # type: ignore[method-assign]
            await client.delete(STREAMS.lease)
            await other.acquire()
            await client.pexpire(STREAMS.lease, 60_000)
        return await send(*args, **options)  # type: ignore[no-untyped-call]

    client.execute_command = late  # type: ignore[method-assign]
    if act == "release":
        await one.release()
    else:
        with pytest.raises(EmulationError, match="coordinated by"):
            await one._renew()
    assert await leasing.holder(client, STREAMS.lease) == other.me
    assert await client.pttl(STREAMS.lease) > 50_000


async def test_a_claim_of_a_machine_that_expired_is_not_prolonged(client: BusClient) -> None:
    one, other = (HostClaim(client, STREAMS.host("edge"), name) for name in ("agent:a", "agent:b"))
    assert await one.renew()
    assert await one.renew()
    send = client.execute_command

    async def late(*args: Any, **options: Any) -> Any:
        if "EVAL" in args[0] or args[0] == "EXPIRE":
            client.execute_command = send  # type: ignore[method-assign]
            await client.delete(STREAMS.host("edge"))
            assert await other.renew()
            await client.pexpire(STREAMS.host("edge"), 60_000)
        return await send(*args, **options)  # type: ignore[no-untyped-call]

    client.execute_command = late  # type: ignore[method-assign]
    assert not await one.renew()
    assert await client.pttl(STREAMS.host("edge")) > 50_000


async def test_what_the_roles_were_told_is_on_the_bus(client: BusClient) -> None:
    timeline = Timeline(seed=1, duration_s=60.0, phases=(), changes=())
    assert await CommandLog.read(client, STREAMS) == CommandLog()
    for command in (
        {"command": "timeline", "timeline": timeline.to_dict()},
        {"command": "t0", "t0": 5.0},
        {"command": "changes", "guard": 1, "at_s": 2.5, "t": 7.5, "changes": [], "drop": []},
    ):
        await client.xadd(STREAMS.commands, pack(command))  # type: ignore[arg-type]
    log = await CommandLog.read(client, STREAMS)
    assert log == CommandLog(timeline.hash, 5.0, (Insertion(2.5, guard=1),), stopped=False)
    assert CommandLog.replay([{"command": "stop"}]).stopped


def _die(recorder: RunDirectory) -> None:
    """As SIGKILL after the last checkpoint: the kernel lets go of its files, and nothing more is written."""
    for file in recorder._files.values():
        file.close()
    os.close(recorder._lock)


def test_a_checkpoint_is_read_back(tmp_path: Path) -> None:
    assert Checkpoint.load(tmp_path) is None
    written = Checkpoint(run="x", positions={"s": "1-0"}, taken={"app": 1}, sizes={"events.jsonl": 3})
    written.save(tmp_path)
    assert Checkpoint.load(tmp_path) == written
    (tmp_path / FILE).write_text("{")
    with pytest.raises(InputError, match="can't be read"):
        Checkpoint.load(tmp_path)


class SlowRecorder(RunDirectory):
    """Needs so long for each batch."""

    takes_s = 0.05

    def store(self, table: str, rows: list[list[Any]], packed: bytes | None = None) -> None:
        time.sleep(self.takes_s)
        super().store(table, rows, packed)


async def test_a_recorder_that_lags_stores_everything(
    client: BusClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It needs many times the patience that one has with a recorder that does nothing."""
    monkeypatch.setattr(consuming, "MAX_ENTRIES", 2)
    await publish(client, *(App(float(number), "node", "key", 1.0) for number in range(60)))
    recorder = SlowRecorder(tmp_path)
    taking = recording(recorder)
    running = asyncio.create_task(taking.run(client, STREAMS))
    assert await taking.drain(running, patience_s=0.5)
    assert recorder.counts["app"] == 60
    recorder.close()


async def test_what_a_stuck_recorder_leaves_is_counted(client: BusClient, tmp_path: Path) -> None:
    """The bus answers no more while it drains, and then is asked how much there is."""
    events: list[Event] = []
    recorder = RunDirectory(tmp_path)
    taking = Recorder(
        recorder,
        Witness((), lambda: Timeline(seed=1, duration_s=60.0, phases=(), changes=())),
        lambda: 1.0,
        listener=events.append,
    )
    stuck = asyncio.create_task(asyncio.sleep(3600))
    publisher = Publisher(client, STREAMS, "agent:a", lambda: 1.0)
    publisher.put(*(App(float(number), "node", "key", 1.0) for number in range(600)))
    await publisher.flush()
    assert not await taking.drain(stuck, patience_s=0.1)
    await taking.count_the_rest(client, STREAMS)
    taking.finish()
    lost = {"what": "app records that never came", "count": 600, "table": "app"}
    assert [(event.source, event.data) for event in events] == [("agent:a", lost)]
    stuck.cancel()
    recorder.close()
