"""Whether recorder and certificate keep up with 1,000 nodes in flat memory, and what the run's end takes.

    python -m benchmarks.recorder [--nodes 1000] [--seconds 120] [--check] [--slack 1] [--json FILE]

The roles of a generated run publish 20,000 records a second of the run over a real bus, as fast as they are
taken; a recorder in a process of its own reads, decodes, checks and stores them, and gives the witness of the
certificate what is evidence. Its clock is that of the records. At the end the evidence is judged, and the
tables are made.

The recorder's rate is what it takes in a second of its own CPU, so that other load hardly matters. Its memory
is shown as the run goes on. `--check` exits with 1 where it takes less than 20,000 records in a second of
CPU, or its memory grows by more than 10 % in the second half of the run; `--slack 2` halves the first goal
and doubles the second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import attrs
import psutil
import uvloop

from benchmarks.bus import STREAMS, flush
from benchmarks.bus_server import bus_server
from benchmarks.generated_run import NODES_A_NETWORK, T0, GeneratedRun
from wotemu.records import Hop, Record
from wotemu_runtime.bus import BusAddress, Publisher, connect
from wotemu_runtime.bus.publisher import MAX_BATCH
from wotemu_runtime.fidelity import Witness, judge
from wotemu_runtime.recording.recorder import Recorder
from wotemu_runtime.recording.run_directory import SPOOL, RunDirectory, finish_tables

GOAL_RECORDS_A_SECOND = 20_000
GOAL_GROWTH = 0.1
AHEAD_S = 3
"""So many seconds of records are on the bus at most."""
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Memory is looked at after these shares of the run."""
SENDERS = 8


@attrs.define
class RecordsClock:
    """A clock that follows the records: a second behind the last counters."""

    tables = frozenset({Hop.TABLE})
    t: float = T0

    def take(self, records: Sequence[Record]) -> None:
        """See `Sink`."""
        for record in records:
            self.t = max(self.t, getattr(record, "t", 0.0))

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.t + 1


def memory_mb() -> float:
    """What is resident of this process, in MB."""
    return float(psutil.Process().memory_info().rss) / 1e6


def peak_mb() -> float:
    """The most that was resident of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def record(run: GeneratedRun, address: BusAddress, folder: Path, control: Connection) -> None:
    """Record the run, judge it and make its tables; send what each took."""
    control.send(uvloop.run(_record(run, address, folder, control)))
    context = get_context("spawn")  # as the command does it, apart from what recording took
    tabulating = context.Process(target=tabulate, args=(folder, control))
    tabulating.start()
    tabulating.join()


async def _record(
    run: GeneratedRun, address: BusAddress, folder: Path, control: Connection
) -> dict[str, Any]:
    client, directory, timeline, clock = (
        await connect(address),
        RunDirectory(folder),
        run.timeline,
        RecordsClock(),
    )
    witness = Witness(run.places, lambda: timeline)
    recorder = Recorder(directory, witness, clock.now, sinks=[clock])
    witness.begin(T0)
    memory = {0.0: memory_mb()}
    begun_s = time.process_time()
    running = asyncio.create_task(recorder.run(client, STREAMS))
    control.send("ready")
    for share in SHARES:
        while clock.t < T0 + share * (run.lasts_s - 1):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        memory[share] = memory_mb()
    recorder.draining = True
    await running
    recording_s = time.process_time() - begun_s
    records = directory.taken.total()
    begun_s = time.process_time()
    witness.end(T0 + run.lasts_s - 0.5)
    recorder.store(*witness.finish())
    certificate = judge(witness.evidence())
    judging_s = time.process_time() - begun_s
    after_mb, peak = memory_mb(), peak_mb()
    directory.close()
    await client.aclose()
    spool_mb = sum(path.stat().st_size for path in (folder / SPOOL).iterdir()) / 1e6
    return {
        "records": records,
        "recording_s": recording_s,
        "memory_mb": memory,
        "spool_mb": spool_mb,
        "judging_s": judging_s,
        "after_judging_mb": after_mb,
        "peak_mb": peak,
        "verdict": certificate.verdict,
        "reasons": [reason.text for reason in certificate.reasons],
    }


def tabulate(folder: Path, control: Connection) -> None:
    """Make the tables of a run that is over, and send the CPU seconds and the memory that it took."""
    begun_s = time.process_time()
    finish_tables(folder)
    size = sum(path.stat().st_size for path in (folder / "tables").iterdir())
    control.send((time.process_time() - begun_s, peak_mb(), size / 1e6))


async def publish(run: GeneratedRun, address: BusAddress) -> None:
    """Publish the run's records as fast as they are taken."""
    client = await connect(address)
    publishers = {role: Publisher(client, STREAMS, role, lambda: T0) for role in run.roles}
    for role, records in run.begin():
        publishers[role].put(*records)
        await publishers[role].flush()
    most = AHEAD_S * -(-2 * NODES_A_NETWORK // MAX_BATCH) * len(run.networks)
    for second in run.seconds():
        for role, records in second:
            publishers[role].put(*records)
        roles = [role for role, _ in second]
        await asyncio.gather(*(flush(publishers, roles[start::SENDERS]) for start in range(SENDERS)))
        while await client.xlen(STREAMS.metrics(Hop.TABLE)) > most:  # noqa: ASYNC110 (Redis tells nobody)
            await asyncio.sleep(0.02)
    await client.aclose()


def measured(run: GeneratedRun, folder: Path) -> dict[str, Any]:
    """What recording, judging and tabulating the run took."""
    context = get_context("spawn")
    control, other = context.Pipe()
    with bus_server(folder) as address:
        recorder = context.Process(target=record, args=(run, address, folder / "run", other))
        recorder.start()
        control.recv()
        begun_s = time.perf_counter()
        uvloop.run(publish(run, address))
        found: dict[str, Any] = control.recv()
        found["by_the_clock_s"] = time.perf_counter() - begun_s
        found["tabulating_s"], found["tabulating_peak_mb"], found["tables_mb"] = control.recv()
        recorder.join()
    return found


def main() -> None:
    """Print the table; with ``--check`` also whether it meets its goals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--slack", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    run = GeneratedRun(given.nodes, given.seconds, changes=max(6, given.seconds // 10))
    with tempfile.TemporaryDirectory() as folder:
        found = measured(run, Path(folder))
    rate = found["records"] / found["recording_s"]
    memory = found["memory_mb"]
    growth = memory[1.0] / memory[0.5] - 1
    print(
        f"{given.nodes:,} nodes, {given.seconds} s of a run, {found['records']:,} records: {found['verdict']}"
    )
    for text in found["reasons"]:
        print(f"  {text}")
    print(f"recording    {rate:>10,.0f} records/CPU s, {rate / GOAL_RECORDS_A_SECOND:.1f} x what comes")
    for share, mb in memory.items():
        print(f"  memory after {share:>4.0%} of the run {mb:>8.1f} MB")
    print(f"  growth in the second half {growth:>9.1%}")
    print(f"judging      {found['judging_s']:>10.2f} s of CPU, {found['peak_mb']:.0f} MB at most")
    print(
        f"tables       {found['tabulating_s']:>10.2f} s of CPU, {found['tabulating_peak_mb']:.0f} MB at most,"
        f" {found['tables_mb']:.0f} MB on disk, of {found['spool_mb']:.0f} MB until then"
    )
    if given.json:
        given.json.write_text(json.dumps({"nodes": given.nodes, "records_per_cpu_s": rate, **found}))
    if given.check and (rate < GOAL_RECORDS_A_SECOND / given.slack or growth > GOAL_GROWTH * given.slack):
        sys.exit("goals missed: 20,000 records/CPU s, and at most 10 % more memory in the second half")


if __name__ == "__main__":
    main()
