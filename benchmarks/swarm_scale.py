"""Many replicas on a swarm: the time until all are ready, their memory, and the rate of records.

    python -m benchmarks.swarm_scale [--replicas 100] [--seconds 30] [--app reader|ping]

One sensor, and replicas that each read it over HTTP once a second (``reader``), or ping it (``ping``).
DOCKER_HOST names a manager, WOTEMU_IMAGE the image. Memory is what the machines use at the end beyond what
they used before: agents, apps, Docker's own share of each container, and gateway and bus together.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import fmean

import polars as pl
import psutil
import uvloop

from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun
from wotemu.records import Event
from wotemu.scenario import Scenario
from wotemu.topology.models import Network, NetworkConditions, Node, NodeApp, Topology

THING = "urn:wotemu:sensor"


def make_deployment(replicas: int, seconds: float, app: str) -> tuple[Topology, Scenario]:
    """One sensor, and `replicas` nodes that read or ping it."""
    field = Network("field", NetworkConditions(latency="10ms"))
    reader = NodeApp("reader", params={"servient_host": "sensor", "thing_id": THING, "timeout": 20.0})
    program = {"app": reader} if app == "reader" else {"command": ["ping", "sensor"]}
    nodes = [
        Node("sensor", NodeApp("sensor", http=True), networks=[field]),
        Node("client", networks=[field], scale=replicas, **program),
    ]
    return Topology(nodes), Scenario(duration=seconds)


class Watch:
    """Notes when roles became ready, and the machine's memory at T0 and at the end."""

    def __init__(self) -> None:
        """Start the clock, and note the memory in use before."""
        self.begun = time.monotonic()
        # Of the whole machine: a container's share in the Docker daemon counts, too.
        self.before = psutil.virtual_memory().used
        self.ready_s: list[float] = []
        self.t0_s = 0.0
        self.used = 0
        self.hosts: dict[str, int] = {}

    def listen(self, event: Event) -> None:
        """Take an event of the run."""
        match event.kind:
            case "role.ready":
                self.ready_s.append(time.monotonic() - self.begun)
                host = event.data["host"]
                self.hosts[host] = self.hosts.get(host, 0) + 1
            case "run.t0":
                self.t0_s = time.monotonic() - self.begun
            case "run.stopping":
                self.used = psutil.virtual_memory().used


def summary(watch: Watch, run_dir: Path, replicas: int, seconds: float) -> str:
    """One line for each figure."""
    manifest = json.loads((run_dir / "manifest.json").read_text())
    records = sum(manifest["records"].values())
    busy = fmean(pl.read_parquet(run_dir / "tables" / "host.parquet")["cpu_percent"].to_list())
    used = (watch.used - watch.before) / 1e6
    ready = sorted(watch.ready_s)
    lines = [
        f"roles ready: {len(ready)}, the first after {ready[0]:.1f} s, half after"
        f" {ready[len(ready) // 2]:.1f} s, all after {ready[-1]:.1f} s; T0 after {watch.t0_s:.1f} s",
        f"placed: {', '.join(f'{count} on {host}' for host, count in sorted(watch.hosts.items()))}",
        f"memory: {used:,.0f} MB in all, {used / replicas:.1f} MB for each replica",
        f"records: {records:,}, {records / seconds:,.0f} a second; lost: {manifest['losses'] or 'none'}",
        f"machines: CPU {busy:.0f} % on average during the run",
        str(manifest["certificate"] and manifest["certificate"]["verdict"]),
    ]
    return "\n".join(lines)


async def main() -> None:
    """Run it once and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicas", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--app", choices=("reader", "ping"), default="reader")
    given = parser.parse_args()
    topology, scenario = make_deployment(given.replicas, given.seconds, given.app)
    watch = Watch()
    with tempfile.TemporaryDirectory() as code, tempfile.TemporaryDirectory() as out:
        run_dir = Path(out, "run")
        deployment = Deployment(topology, scenario, Path(code, "deployment.py"))
        emulation = ReportedRun(deployment, name="scale", out=run_dir, engine="swarm")
        result = await emulation.run(watch.listen)
        if result.error is not None:
            raise SystemExit(str(result.error))
        print(summary(watch, run_dir, given.replicas, given.seconds))


if __name__ == "__main__":
    uvloop.run(main())
