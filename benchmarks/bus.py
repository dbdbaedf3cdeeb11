"""How fast records get from publishers to the run directory, beside redis-py that only adds the same bytes.

    python -m benchmarks.bus [--nodes 1000] [--seconds 5] [--repeat 5] [--check] [--slack 1] [--json FILE]

Every role of a generated run has a publisher, which encodes its records and sends them to the bus, each
second's in a few stream entries; a recorder in a process of its own reads these, decodes and checks them,
gives them to the certificate's witness and stores them in a run directory. Beside it: the same entries, byte
for byte, added by one redis-py client in pipelines of 100 XADD; nobody reads them.

Publishers, recorder and redis-py's client are a process each, so each one's rate is what it takes in a
second of its own CPU: whatever else the machine does then hardly matters. The slower one of publishing and
recording is the rate of both together where each has a processor. All in turn, `repeat` times; the median.
`--check` exits with 1 where that rate is below 0.5 times redis-py's; `--slack 2` halves this goal.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import attrs
import psutil
import uvloop
from redis.asyncio import Redis

from benchmarks.bus_server import bus_server
from benchmarks.generated_run import T0, GeneratedRun, Published
from wotemu_runtime.bus import BusAddress, BusClient, Publisher, Streams, connect
from wotemu_runtime.fidelity import Witness
from wotemu_runtime.recording.recorder import Recorder
from wotemu_runtime.recording.run_directory import RunDirectory

GOAL = 0.5
PIPELINE = 100
AT_ONCE = 32
"""So many publishers send at the same time, each over a connection of its own."""
STREAMS = Streams("benchmark")

Entry = tuple[str, dict[bytes, bytes]]


@attrs.frozen
class Round:
    """CPU seconds of publishing, recording, serving both, and redis-py's adding; and by the clock."""

    publishing_s: float
    recording_s: float
    serving_s: float
    adding_s: float
    ours_wall_s: float
    theirs_wall_s: float


def record(run: GeneratedRun, address: BusAddress, folder: Path, control: Connection) -> None:
    """Record as many records as `control` says, then send it the CPU seconds that this took."""
    uvloop.run(_record(run, address, folder, control))


async def _record(run: GeneratedRun, address: BusAddress, folder: Path, control: Connection) -> None:
    client = await connect(address)
    directory, timeline = RunDirectory(folder), run.timeline
    witness = Witness(run.places, lambda: timeline)
    witness.begin(T0)
    recorder = Recorder(directory, witness, lambda: T0 + run.lasts_s + time.perf_counter())
    begun = time.process_time()
    running = asyncio.create_task(recorder.run(client, STREAMS))
    control.send("ready")
    expected = await asyncio.to_thread(control.recv)
    while directory.taken.total() < expected:  # noqa: ASYNC110 (it is the recorder that is measured)
        await asyncio.sleep(0.002)
    control.send(time.process_time() - begun)
    running.cancel()
    await asyncio.wait([running])
    directory.close()
    await client.aclose()


async def publish(seconds: Sequence[Sequence[Published]], client: BusClient) -> None:
    """Publish all, a publisher a role, each second's records together."""
    publishers: dict[str, Publisher] = {}
    for second in seconds:
        for role, records in second:
            if role not in publishers:
                publishers[role] = Publisher(client, STREAMS, role, lambda: T0)
            publishers[role].put(*records)
        roles = [role for role, _ in second]
        await asyncio.gather(*(flush(publishers, roles[start::AT_ONCE]) for start in range(AT_ONCE)))


async def flush(publishers: Mapping[str, Publisher], roles: Sequence[str]) -> None:
    """Have each of these roles' publishers send what it has."""
    for role in roles:
        await publishers[role].flush()


async def add(entries: Sequence[Entry], client: Redis) -> None:
    """Add entries as anyone would do it with redis-py."""
    for start in range(0, len(entries), PIPELINE):
        pipeline = client.pipeline(transaction=False)
        for stream, fields in entries[start : start + PIPELINE]:
            pipeline.xadd(stream, fields)  # type: ignore[arg-type]
        await pipeline.execute()


async def entries_of(client: Redis) -> list[Entry]:
    """All entries that are on the bus."""
    found: list[Entry] = []
    for stream in STREAMS.all_records():
        answer: Any = await client.xrange(stream)
        found += [(stream, fields) for _, fields in answer]
    return found


async def measured(run: GeneratedRun, address: BusAddress, folder: Path) -> tuple[Round, int, int]:
    """One round of ours and theirs, and how many records in how many entries it took."""
    seconds = list(run.seconds())
    count = sum(len(records) for second in seconds for _, records in second)
    client, plain = await connect(address), Redis(unix_socket_path=address.path, password=address.password)
    await publish(seconds, client)
    entries = await entries_of(client)
    await client.flushall()

    cpu_s, wall_s = time.process_time(), time.perf_counter()
    await add(entries, plain)
    adding_s, theirs_wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    await client.flushall()

    context = get_context("spawn")  # a fork would have the generated records in its heap
    control, other = context.Pipe()
    recorder = context.Process(target=record, args=(run, address, folder, other))
    recorder.start()
    control.recv()
    cpu_s, wall_s, serving_s = time.process_time(), time.perf_counter(), server_cpu_s()
    await publish(seconds, client)
    publishing_s = time.process_time() - cpu_s
    control.send(count)
    recording_s: float = control.recv()
    ours_wall_s, serving_s = time.perf_counter() - wall_s, server_cpu_s() - serving_s
    recorder.join()
    await client.aclose()
    await plain.aclose()
    done = Round(publishing_s, recording_s, serving_s, adding_s, ours_wall_s, theirs_wall_s)
    return done, count, len(entries)


def server_cpu_s() -> float:
    """The CPU seconds that the bus's server, a child of this process, took so far."""
    servers = [each for each in psutil.Process().children() if each.name().endswith("-server")]
    return sum(each.cpu_times().user + each.cpu_times().system for each in servers)


def main() -> None:
    """Print the table; with ``--check`` also whether it meets its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--slack", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    run, rounds, count, entries = GeneratedRun(given.nodes, given.seconds + 1), list[Round](), 0, 0
    for _ in range(given.repeat):
        with tempfile.TemporaryDirectory() as folder, bus_server(Path(folder)) as address:
            done, count, entries = uvloop.run(measured(run, address, Path(folder) / "run"))
            rounds.append(done)

    if not all(all(attrs.astuple(each)) for each in rounds):
        sys.exit(
            f"too short: {count:,} records took less CPU time than the kernel's clock ticks show; give more "
            "--nodes or --seconds"
        )

    def rate(seconds_of: Callable[[Round], float]) -> float:
        return median(count / seconds_of(each) for each in rounds)

    adding = rate(lambda each: each.adding_s)
    slower = rate(lambda each: max(each.publishing_s, each.recording_s))
    rows = {
        "redis-py, pipelined XADD": adding,
        "publishing": rate(lambda each: each.publishing_s),
        "recording": rate(lambda each: each.recording_s),
        "the slower of the two": slower,
        "the bus itself": rate(lambda each: each.serving_s),
    }
    print(f"{given.nodes:,} nodes, {count:,} records in {entries:,} entries; median of {given.repeat}")
    print(f"{'':<26} {'records/CPU s':>14} {'x redis-py':>10}")
    for name, found in rows.items():
        print(f"{name:<26} {found:>14,.0f} {found / adding:>10.2f}")
    wall = rate(lambda each: each.ours_wall_s), rate(lambda each: each.theirs_wall_s)
    print(f"by the clock: {wall[0]:,.0f} records/s from put to stored, redis-py {wall[1]:,.0f}")
    if given.json:
        by_clock = {"ours": wall[0], "redis-py": wall[1]}
        measures = {"records_per_cpu_s": rows, "records_per_s": by_clock, "ratio": slower / adding}
        given.json.write_text(json.dumps({"nodes": given.nodes, "entries": entries, **measures}))
    if given.check and slower / adding < GOAL / given.slack:
        sys.exit(f"goal missed: {GOAL / given.slack:g} x redis-py")


if __name__ == "__main__":
    main()
