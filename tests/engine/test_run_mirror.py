"""A run directory on the bus: what is fetched is what was recorded, whenever it is fetched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.engine.conftest import BusServer
from wotemu.errors import EmulationError, InputError
from wotemu.records import App, Event, to_row
from wotemu_runtime.bus import connect
from wotemu_runtime.recording import bus_mirror
from wotemu_runtime.recording.bus_mirror import (
    BusMirror,
    fetch,
    is_mirrored,
    mirrored,
    mirrored_stacks,
    put_file,
)
from wotemu_runtime.recording.run_directory import RunDirectory
from wotemu_runtime.runs.composed_runs import bus_address


@pytest.fixture
async def client(bus_server: BusServer) -> AsyncIterator[Redis]:
    client = await connect(bus_server.address)
    await client.flushall()
    yield client
    await client.aclose()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_what_is_recorded_is_fetched(client: Redis, tmp_path: Path) -> None:
    recorder = RunDirectory(tmp_path / "there")
    async with mirrored(client, "tuesday", recorder.run_dir):
        recorder.write_json("manifest.json", {"status": "failed"})
        recorder.event(Event(1.0, "run.t0", "coordinator", "T0"))
        recorder.store(App.TABLE, [to_row(App(1.0, "node", "key", 2.0))])
        recorder.close()
        recorder.write_json("manifest.json", {"status": "done"})
    await fetch(client, "tuesday", tmp_path / "here")
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert await mirrored_stacks(client) == ["tuesday"]
    assert await is_mirrored(client, "tuesday")
    assert not await is_mirrored(client, "monday")


async def test_only_what_is_new_is_sent(client: Redis, tmp_path: Path) -> None:
    recorder = RunDirectory(tmp_path / "there")
    recorder.write_json("manifest.json", {})
    mirror = BusMirror(client, "tuesday", recorder.run_dir)
    for number in range(3):
        recorder.event(Event(float(number), "run.phase", "coordinator", "é"))
        recorder.keep({})
        await mirror.update()
        await mirror.update()
    recorder.close()
    before = (await client.info("commandstats"))["cmdstat_setrange"]["calls"]
    await mirror.update()
    assert (await client.info("commandstats"))["cmdstat_setrange"]["calls"] == before
    await fetch(client, "tuesday", tmp_path / "here")
    assert contents(tmp_path / "here") == contents(tmp_path / "there")


async def test_a_bus_that_was_away_gets_it_all(client: Redis, bus_server: BusServer, tmp_path: Path) -> None:
    recorder = RunDirectory(tmp_path / "there")
    recorder.write_json("manifest.json", {})
    async with mirrored(client, "tuesday", recorder.run_dir):
        recorder.event(Event(1.0, "run.t0", "coordinator", "T0"))
        recorder.keep({})
        await client.connection_pool.disconnect()
        await asyncio.sleep(0)
    recorder.close()
    await fetch(client, "tuesday", tmp_path / "here")
    assert contents(tmp_path / "here") == contents(tmp_path / "there")


async def test_files_lie_in_chunks(client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file grows over the bounds of chunks, by less than one and by several at once."""
    monkeypatch.setattr(bus_mirror, "CHUNK_BYTES", 1000)
    recorder = RunDirectory(tmp_path / "there")
    recorder.write_json("manifest.json", {})
    mirror = BusMirror(client, "tuesday", recorder.run_dir)
    for number, length in enumerate((10, 5000, 700, 1, 3000)):
        recorder.event(Event(float(number), "run.phase", "coordinator", "x" * length))
        recorder.keep({})
        await mirror.update()
        assert mirror.kept == recorder.last
    await fetch(client, "tuesday", tmp_path / "here")
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    recorder.close()
    sizes = [await client.strlen(key) async for key in client.scan_iter(match="wotemu:tuesday:chunk:*")]
    assert max(sizes) == 1000
    assert len(sizes) == 10


async def test_a_file_larger_than_a_chunk_is_kept_and_fetched(client: Redis, tmp_path: Path) -> None:
    recorder = RunDirectory(tmp_path / "there")
    recorder.write_json("manifest.json", {})
    async with mirrored(client, "tuesday", recorder.run_dir):
        for number in range(20):
            recorder.event(Event(float(number), "run.phase", "coordinator", str(number) * 2**20))
        recorder.close()
    await fetch(client, "tuesday", tmp_path / "here")
    assert contents(tmp_path / "here") == contents(tmp_path / "there")


async def test_a_bus_that_refuses_the_run_ends_it(
    client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its memory is full: without an error the run would be lost at its end."""
    monkeypatch.setattr(bus_mirror, "EVERY_S", 0.05)
    monkeypatch.setattr(bus_mirror, "FAILING_S", 0.2)
    recorder = RunDirectory(tmp_path / "there")
    recorder.write_json("manifest.json", {})
    await client.config_set("maxmemory", "1kb")
    with pytest.raises(EmulationError, match="can't hold the run's records"):
        async with asyncio.timeout(20), mirrored(client, "tuesday", recorder.run_dir):
            await asyncio.sleep(3600)
    await client.config_set("maxmemory", "0")
    recorder.close()


async def test_what_fails_of_a_recorded_run_is_its_own_error(client: Redis, tmp_path: Path) -> None:
    recorder = RunDirectory(tmp_path / "there")
    with pytest.raises(EmulationError, match="no such node"):
        async with mirrored(client, "tuesday", recorder.run_dir):
            recorder.write_json("manifest.json", {"status": "failed"})
            raise EmulationError("no such node")
    recorder.close()
    assert await is_mirrored(client, "tuesday")


async def test_a_chunk_that_is_missing_is_no_short_file(
    client: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_mirror, "CHUNK_BYTES", 100)
    recorder = RunDirectory(tmp_path / "there")
    recorder.write_json("manifest.json", {})
    recorder.event(Event(1.0, "run.phase", "coordinator", "x" * 1000))
    recorder.close()
    await BusMirror(client, "tuesday", recorder.run_dir).update()
    await client.delete("wotemu:tuesday:chunk:events.jsonl:3")
    with pytest.raises(EmulationError, match=r"a part of events\.jsonl is missing"):
        await fetch(client, "tuesday", tmp_path / "here")


async def test_a_stack_without_a_run(client: Redis, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run of 'tuesday'"):
        await fetch(client, "tuesday", tmp_path / "here")


async def test_a_file_outside_of_the_run_is_refused(client: Redis, tmp_path: Path) -> None:
    await put_file(client, "tuesday", "manifest.json", b"{}")
    await put_file(client, "tuesday", "../outside", b"x")
    with pytest.raises(InputError, match="no file of a run"):
        await fetch(client, "tuesday", tmp_path / "here")
    assert not (tmp_path / "outside").exists()


def test_the_url_of_a_bus() -> None:
    address = bus_address("redis://:open%2Fsesame@10.0.0.1:7000")
    assert (address.host, address.port, address.password) == ("10.0.0.1", 7000, "open/sesame")
    assert bus_address("redis://bus").port == 6379
    for wrong in ("http://bus", "bus:6379", "redis://", "redis://bus:x"):
        with pytest.raises(InputError):
            bus_address(wrong)
