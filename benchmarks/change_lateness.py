"""Lateness of changes: a thousand of them over twenty hops, while packets pass each hop.

    python -m benchmarks.change_lateness [--changes 1000] [--hops 20] [--seconds 20] [--check] [--json FILE]

Prints p50, p95 and max of ``applied - due`` in milliseconds, and the same of a bare loop that wakes up at the
same instants in the same run: what the machine itself adds. `--check` exits with 1 where p95 of the changes
is above 1 ms, and above twice that of the bare loop.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
import uvloop

from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun
from wotemu.percentiles import nearest_rank
from wotemu.scenario import Scenario, at
from wotemu.topology.models import Link, Network, NetworkConditions, Node, Topology

GOAL_MS = 1.0
GOAL_X_LOOP = 2.0


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


def late_ms(late_s: list[float]) -> list[float]:
    """p50, p95 and max, in milliseconds."""
    return [(nearest_rank(late_s, share) or 0.0) * 1e3 for share in (0.5, 0.95, 1.0)]


async def main() -> None:
    """Measure both at once, so that the machine is equally busy for both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--hops", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, loops = await asyncio.gather(
            emulated(given.hops, given.changes, given.seconds, Path(folder)),
            bare_loop(given.changes, given.seconds),
        )
    rows = {"changes": late_ms(ours), "bare loop": late_ms(loops)}
    print(f"{'late (ms)':<12} {'p50':>9} {'p95':>9} {'max':>9}")
    for name, (p50, p95, most) in rows.items():
        print(f"{name:<12} {p50:>9.2f} {p95:>9.2f} {most:>9.2f}")
    if given.json:
        given.json.write_text(json.dumps({"changes": len(ours), "ms": rows}))
    goal_ms = max(GOAL_MS, GOAL_X_LOOP * rows["bare loop"][1])
    if given.check and (len(ours) < given.changes or rows["changes"][1] > goal_ms):
        sys.exit(f"goal missed: all {given.changes} changes, p95 of their lateness {goal_ms:.2f} ms")


if __name__ == "__main__":
    uvloop.run(main())
