"""How true a delay stays while apps use every processor: round trips over 50 ms, and how late packets leave.

    python -m benchmarks.busy_machine [--apps 12] [--seconds 20] [--check] [--json FILE]

A node pings another one over 25 ms each way while `apps` nodes compute without a pause. Beside it, in the
same run, a bare loop wakes 200 times a second: in the real-time class where this user may, as gateways are.
`--check` exits with 1 where a goal is missed: p95 of round trips 50.8 ms, p95 of lateness 0.3 ms in the
real-time class and 2 ms without it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from benchmarks.many_readers import lateness_ms
from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun
from wotemu.percentiles import nearest_rank
from wotemu.records import Event
from wotemu.scenario import Scenario
from wotemu.topology.models import Network, NetworkConditions, Node, Topology
from wotemu_gateways.userspace.scheduling import request_low_latency

LOOP_EVERY_S = 0.005
GOAL_RTT_MS = 50.8
GOAL_LATE_MS = {"real-time": 0.3}
GOAL_LATE_OTHERWISE_MS = 2.0
SHARES = (0.5, 0.95, 0.99)

Row = tuple[str, list[float]]


def deployment(apps: int, seconds: float, folder: Path) -> Deployment:
    """A pair that pings over 50 ms, and `apps` nodes that burn."""
    field = Network("field", NetworkConditions(latency="25ms"))
    burning = [sys.executable, "-c", "while True: pass"]
    nodes = [
        Node("asking", command=["ping", "-i", "0.02", "answering"], networks=[field]),
        Node("answering", command=["sleep", "1000"], networks=[field]),
        Node("burning", command=burning, networks=[field], scale=apps),
    ]
    return Deployment(Topology(nodes), Scenario(duration=seconds), folder / "deployment.py")


def bare_loop(seconds: float, answer: Connection) -> None:
    """Send how late a loop wakes up that does nothing else, in seconds."""
    request_low_latency()
    late, due = [], time.monotonic()
    for _ in range(int(seconds / LOOP_EVERY_S)):
        due += LOOP_EVERY_S
        time.sleep(max(0.0, due - time.monotonic()))
        late.append(time.monotonic() - due)
    answer.send(late)


async def measured(given: argparse.Namespace, folder: Path) -> tuple[str, list[Row]]:
    """Run both; the gateway's scheduling, and percentiles of each measure in milliseconds."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    loop = context.Process(target=bare_loop, args=(given.seconds, theirs))
    scheduling: list[str] = []

    def hear(event: Event) -> None:
        if event.kind == "role.ready" and "scheduling" in event.data:
            scheduling.append(event.data["scheduling"])
        if event.kind == "run.t0":
            loop.start()

    result = await ReportedRun(deployment(given.apps, given.seconds, folder), out=folder / "run").run(hear)
    bare = ours.recv()
    loop.join()
    log = (result.run_dir / "logs" / "asking.log").read_text()
    trips_ms = [float(each) for each in re.findall(r"time=([\d.]+) ms", log)]
    return scheduling[0], [
        ("round trips over 50 ms", [nearest_rank(trips_ms, share) or 0.0 for share in SHARES]),
        ("lateness of departures", list(lateness_ms(result.run_dir))),
        ("lateness of a bare loop", [(nearest_rank(bare, share) or 0.0) * 1e3 for share in SHARES]),
    ]


def main() -> None:
    """Print the table; with ``--check`` also whether it meets its goals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--apps", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scheduling, rows = uvloop.run(measured(given, Path(folder)))
    print(f"gateway: {scheduling}; {given.apps} burning apps; milliseconds")
    print(f"{'':<24} {'p50':>8} {'p95':>8} {'p99':>8}")
    for name, (p50, p95, p99) in rows:
        print(f"{name:<24} {p50:>8.2f} {p95:>8.2f} {p99:>8.2f}")
    if given.json:
        given.json.write_text(json.dumps({"scheduling": scheduling, "apps": given.apps, "ms": dict(rows)}))
    (_, trips), (_, late), _ = rows
    goal_late_ms = GOAL_LATE_MS.get(scheduling, GOAL_LATE_OTHERWISE_MS)
    if given.check and (trips[1] > GOAL_RTT_MS or late[1] > goal_late_ms):
        sys.exit(f"goals missed: p95 of round trips {GOAL_RTT_MS} ms, of lateness {goal_late_ms} ms")


if __name__ == "__main__":
    main()
