"""Many WoTPy apps on this machine: T0, late packets, the certificate, and memory beside a bare process.

    python -m benchmarks.many_readers [--readers 100] [--seconds 20] [--check] [--slack 1.0] [--json FILE]

One sensor, and N nodes that each read it over HTTP once a second. Beside them, in the same run, a process
that has the same libraries and clients and no emulation around it.

`--check` exits with 1 where a goal is missed: T0 within 5 s of the command, p95 of lateness 1 ms, VALID, and
1.3 times the memory of the bare process. `--slack` multiplies the goals.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import attrs
import polars as pl

from benchmarks.bare_nodes import pss_bytes
from benchmarks.many_nodes import sandbox
from wotemu.percentiles import Histogram

GOAL_T0_S, GOAL_LATE_MS, GOAL_MEMORY = 5.0, 1.0, 1.3
MEMORY_AFTER_S = 5.0

DEPLOYMENT = """
from wotemu import Network, NetworkConditions, Node, NodeApp, Scenario, Topology

field = Network("field", NetworkConditions(latency="10ms"))
params = {{"servient_host": "sensor", "thing_id": "urn:wotemu:sensor", "timeout": 20.0}}

def topology():
    return Topology([
        Node("sensor", NodeApp("sensor", http=True), networks=[field]),
        Node("reader", NodeApp("reader", params=params), networks=[field], scale={readers}),
    ])

def scenario():
    return Scenario(duration={seconds})
"""

BARE = """
from wotemu_runtime.app_process.preload import preload
preload()
from wotpy.protocols.coap.client import CoAPClient
from wotpy.protocols.http.client import HTTPClient
from wotpy.protocols.ws.client import WebsocketClient
from wotpy.wot.servient import Servient
servient = Servient(catalogue_port=None, clients=[HTTPClient(), WebsocketClient(), CoAPClient()])
print(flush=True)
input()
"""


@attrs.frozen
class Measured:
    """What a run showed; `memory` is a node's beside the bare process'."""

    readers: int
    t0_s: float
    late_ms: tuple[float, float, float]
    """p50, p95, p99."""
    verdict: str
    node_mb: float
    bare_mb: float

    @property
    def memory(self) -> float:
        """A node's memory beside the bare process'."""
        return self.node_mb / self.bare_mb


def bare_mb() -> float:
    """The memory of a process with the same libraries, alone."""
    words = [sys.executable, "-c", BARE]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.readline()
        memory = pss_bytes(process.pid)
        process.stdin.write(b"\n")
        process.stdin.close()
    return memory / 1e6


def lateness_ms(run_dir: Path) -> tuple[float, float, float]:
    """p50, p95 and p99 of how late packets left, in milliseconds."""
    late = Histogram()
    hops = pl.read_parquet(run_dir / "tables" / "hops.parquet")
    for bins, counts in hops.select("late_bins", "late_counts").iter_rows():
        late.merge(bins, counts)
    p50, p95, p99 = ((late.percentile(share) or 0.0) * 1e3 for share in (0.5, 0.95, 0.99))
    return p50, p95, p99


def measure(readers: int, seconds: float, folder: Path) -> Measured:
    """Run the readers."""
    path, run_dir = folder / "deployment.py", folder / "run"
    path.write_text(DEPLOYMENT.format(readers=readers, seconds=seconds))
    began, t0, verdict, memory = time.time(), 0.0, "", 0
    words = [sys.executable, "-m", "wotemu.cli", "run", str(path), "--json", "--out", str(run_dir)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            event = json.loads(line)
            match event.get("kind"):
                case "run.t0":
                    t0 = event["data"]["t0"]
                    time.sleep(max(0.0, t0 + MEMORY_AFTER_S - time.time()))
                    nodes, serving = sandbox(run.pid)
                    memory = sum(pss_bytes(process.pid) for process in (*nodes, *serving))
                case "run.certified":
                    verdict = event["data"]["verdict"]
    if run.returncode:
        sys.exit(f"the run failed with exit code {run.returncode}")
    node_mb = memory / (readers + 1) / 1e6
    return Measured(readers, t0 - began, lateness_ms(run_dir), verdict, node_mb, bare_mb())


def main() -> None:
    """Print the table; with ``--check`` also the goals that were missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--slack", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(given.readers, given.seconds, Path(folder))
    p50, p95, p99 = found.late_ms
    print(f"{found.readers} readers: T0 after {found.t0_s:.2f} s; certificate {found.verdict}")
    print(f"packets late: p50 {p50:.2f} ms, p95 {p95:.2f} ms, p99 {p99:.2f} ms")
    print(f"memory: {found.node_mb:.1f} MB a node, {found.bare_mb:.1f} MB bare: {found.memory:.2f}")
    if given.json:
        given.json.write_text(json.dumps({**attrs.asdict(found), "memory": found.memory}, indent=2))
    missed = [
        name
        for name, value, goal in (
            ("T0", found.t0_s, GOAL_T0_S),
            ("lateness", p95, GOAL_LATE_MS),
            ("memory", found.memory, GOAL_MEMORY),
        )
        if value > goal * given.slack
    ]
    if found.verdict != "VALID":
        missed.append("certificate")
    if given.check and missed:
        sys.exit(f"goals missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
