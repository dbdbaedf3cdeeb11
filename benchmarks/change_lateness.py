"""Lateness of changes: a thousand of them over twenty hops, while packets pass each hop.

    python -m benchmarks.change_lateness [--changes 1000] [--hops 20] [--seconds 20]

Prints p50, p95 and max of ``applied - due`` in milliseconds, and the same of a bare loop that wakes up at the
same instants in the same run: what the machine itself adds.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import polars as pl
import uvloop

from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun
from wotemu.scenario import Scenario, at
from wotemu.topology.models import Link, Network, NetworkConditions, Node, Topology


def make_deployment(hops: int, changes: int, seconds: float) -> tuple[Topology, Scenario]:
    """`hops` nodes that ping a sink, and `changes` changes of one hop each, evenly spread."""
    field = Network("field", NetworkConditions(latency="10ms"))
    nodes = [
        Node(f"n{number}", command=["ping", "-q", "-i", "0.2", "sink"], networks=[Link(field)])
        for number in range(hops)
    ]
    sink = Node("sink", command=["sleep", "1000"], networks=[field])
    events = [
        at(1 + seconds * number / changes).set(
            f"n{number % hops}@field", direction="up", latency=f"{5 + number % 50}ms"
        )
        for number in range(changes)
    ]
    return Topology([*nodes, sink]), Scenario(duration=seconds + 2, events=events)


async def bare_loop(changes: int, seconds: float) -> list[float]:
    """Lateness in seconds of a loop that does nothing but wake up at the changes' instants."""
    start = time.time()
    late = []
    for number in range(changes):
        due = start + seconds * number / changes
        # By the wall clock, as the changes' records are.
        await asyncio.sleep(max(0.0, due - time.time()))
        late.append(time.time() - due)
    return late


async def emulated(hops: int, changes: int, seconds: float, folder: Path) -> list[float]:
    """Lateness in seconds of the changes of a whole emulation."""
    topology, scenario = make_deployment(hops, changes, seconds)
    deployment = Deployment(topology, scenario, folder / "deployment.py")
    result = await ReportedRun(deployment, out=folder / "run").run()
    frame = pl.read_parquet(result.run_dir / "tables" / "changes.parquet")
    return (frame["applied"] - frame["due"]).to_list()


def line(name: str, late_s: list[float]) -> str:
    """One row of the table, in milliseconds."""
    late_ms = pl.Series(late_s) * 1e3
    p50, p95 = (late_ms.quantile(share) or 0.0 for share in (0.5, 0.95))
    return f"{name:<12} {len(late_s):>6} {p50:>9.2f} {p95:>9.2f} {max(late_s) * 1e3:>9.2f}"


async def main() -> None:
    """Measure both at once, so that the machine is equally busy for both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--hops", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, loops = await asyncio.gather(
            emulated(given.hops, given.changes, given.seconds, Path(folder)),
            bare_loop(given.changes, given.seconds),
        )
    print(f"{'late (ms)':<12} {'count':>6} {'p50':>9} {'p95':>9} {'max':>9}")
    print(line("changes", ours))
    print(line("bare loop", loops))


if __name__ == "__main__":
    uvloop.run(main())
