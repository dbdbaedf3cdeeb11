"""Many replicas on a swarm: the time until all are ready and their memory, beside plain `sleep` services.

    python -m benchmarks.swarm_scale [--replicas 50 100] [--app ping|reader] [--check] [--json FILE]

For each number of replicas, a service of as many ``sleep``, without a health check, of the same image and on
an overlay of the same kind, until all its tasks run; then one sensor and as many nodes that ping it (or read
it over HTTP once a second), until all their roles are ready. DOCKER_HOST names a manager, WOTEMU_IMAGE the
image. The processor's time is Docker's and that of the containers until then: other load does not change it.

Memory is for each replica, and all the swarm's machines have to be on this one, as in a lab: the proportional
set size of the containers' processes, and of Docker's (its daemons and a shim for each container). Beside it,
what the whole machine uses more than before, with the kernel's share, and with whatever else goes on on it.
`--check` exits with 1 where a goal is missed: ready in 1.3 times the time of the ``sleep`` service, and 35 MB
of processes and Docker for each replica.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiodocker
import attrs
import psutil
import uvloop

from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun
from wotemu.records import Event
from wotemu.scenario import Scenario
from wotemu.topology.models import Network, NetworkConditions, Node, NodeApp, Topology
from wotemu_runtime.engines.swarm.removal import remove_stack
from wotemu_runtime.engines.swarm.specs import NAMESPACE_LABEL, STACK_LABEL, image_of

THING = "urn:wotemu:sensor"
PLAIN, EMULATION = "scale-plain", "scale"
DEADLINE_S = 240.0
GOAL_RATIO = 1.3
GOAL_MB = 35.0
_SHIM = "containerd-shim"
_DOCKERS = ("dockerd", "containerd")


@attrs.frozen(kw_only=True)
class Usage:
    """Memory in use, in bytes: of the whole machine, and the proportional set sizes of processes."""

    machine: int
    containers: int
    dockers: int
    cpu_s: float
    """Processor time of containers, Docker, and what Docker has run, so far."""

    @classmethod
    def now(cls) -> Usage:
        """Look at the machine and all its processes."""
        names, parents, times_s = {}, {}, {}
        for process in psutil.process_iter(["name", "ppid", "cpu_times"]):
            info = process.info
            names[process.pid], parents[process.pid] = info["name"], info["ppid"]
            times_s[process.pid] = sum(info["cpu_times"][:4])  # own, and that of children that have ended
        containers, dockers, cpu_s = 0, 0, 0.0
        for pid, name in names.items():
            if name.startswith(_DOCKERS):
                dockers, cpu_s = dockers + _pss(pid), cpu_s + times_s[pid]
            elif any(names.get(each, "").startswith(_SHIM) for each in _ancestors(pid, parents)):
                containers, cpu_s = containers + _pss(pid), cpu_s + times_s[pid]
        memory = psutil.virtual_memory()
        machine = memory.total - memory.available
        return cls(machine=machine, containers=containers, dockers=dockers, cpu_s=cpu_s)

    def memory_since(self, before: Usage, replicas: int) -> dict[str, float]:
        """What came since, in MB for each replica."""
        mine, theirs = attrs.asdict(self), attrs.asdict(before)
        return {
            what: (mine[what] - theirs[what]) / replicas / 1e6
            for what in ("machine", "containers", "dockers")
        }


def _ancestors(pid: int, parents: Mapping[int, int]) -> Iterator[int]:
    while pid in parents:
        pid = parents[pid]
        yield pid


def _pss(pid: int) -> int:
    """A process's proportional set size; 0 if it has ended meanwhile."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


@attrs.frozen(kw_only=True)
class Start:
    """How one of both started: the times since it was asked for, and its memory for each replica in MB."""

    first_s: float
    half_s: float
    all_s: float
    removed_s: float
    cpu_s: float
    mb: dict[str, float]

    @property
    def mb_each(self) -> float:
        """The processes of a container and Docker's share of it."""
        return self.mb["containers"] + self.mb["dockers"]


async def plain_start(replicas: int) -> Start:
    """Start, watch and remove a service of `sleep`."""
    async with aiodocker.Docker() as docker:
        await remove_stack(docker, PLAIN)
        labels = {STACK_LABEL: PLAIN, NAMESPACE_LABEL: PLAIN}
        network = {"Name": f"{PLAIN}_net", "Driver": "overlay", "Labels": labels}
        await docker._query_json("networks/create", method="POST", data=network)
        before, began_s = Usage.now(), time.monotonic()
        try:
            await docker._query_json("services/create", method="POST", data=_plain_service(replicas, labels))
            running_s = await _running(docker, replicas, began_s)
            usage = Usage.now()
        finally:
            ending_s = time.monotonic()
            await remove_stack(docker, PLAIN)
        removed_s = time.monotonic() - ending_s
        return _start(running_s, removed_s, usage.cpu_s - before.cpu_s, usage.memory_since(before, replicas))


def _plain_service(replicas: int, labels: dict[str, str]) -> dict[str, Any]:
    container = {
        "Image": image_of(None),
        "Command": ["sleep", "1000"],
        "Healthcheck": {"Test": ["NONE"]},
        "StopGracePeriod": 10**8,  # as PID 1 it ignores SIGTERM
    }
    return {
        "Name": f"{PLAIN}_sleep",
        "Labels": labels,
        "TaskTemplate": {"ContainerSpec": container, "Networks": [{"Target": f"{PLAIN}_net"}]},
        "Mode": {"Replicated": {"Replicas": replicas}},
        "EndpointSpec": {"Mode": "dnsrr"},
    }


async def _running(docker: aiodocker.Docker, replicas: int, began_s: float) -> list[float]:
    """When each task was seen running, in seconds since `began_s`."""
    seen: list[float] = []
    async with asyncio.timeout(DEADLINE_S):
        while len(seen) < replicas:
            tasks = await docker.tasks.list(filters={"service": [f"{PLAIN}_sleep"]})
            running = sum(task["Status"]["State"] == "running" for task in tasks)
            seen += [time.monotonic() - began_s] * (running - len(seen))
            await asyncio.sleep(0.1)
    return seen


async def emulated_start(replicas: int, app: str, seconds: float) -> Start:
    """Start an emulation, have it run for some seconds, and have it removed."""
    ready_s: list[float] = []
    memory: dict[str, float] = {}
    stopped_s = cpu_s = 0.0
    before, began_s = Usage.now(), time.monotonic()

    def listen(event: Event) -> None:
        nonlocal stopped_s, cpu_s
        if event.kind == "role.ready":
            ready_s.append(time.monotonic() - began_s)
        elif event.kind == "run.t0":
            cpu_s = Usage.now().cpu_s - before.cpu_s
        elif event.kind == "run.stopping":
            memory.update(Usage.now().memory_since(before, replicas))
            stopped_s = time.monotonic()

    with tempfile.TemporaryDirectory() as code, tempfile.TemporaryDirectory() as out:
        deployment = Deployment(*_deployment(replicas, app, seconds), Path(code, "deployment.py"))
        emulation = ReportedRun(deployment, name=EMULATION, out=Path(out, "run"), engine="swarm")
        result = await emulation.run(listen)
        removed_s = time.monotonic() - stopped_s
    if result.error is not None:
        raise SystemExit(str(result.error))
    return _start(ready_s, removed_s, cpu_s, memory)


def _deployment(replicas: int, app: str, seconds: float) -> tuple[Topology, Scenario]:
    """One sensor, and `replicas` nodes that read or ping it."""
    field = Network("field", NetworkConditions(latency="10ms"))
    reader = NodeApp("reader", params={"servient_host": "sensor", "thing_id": THING, "timeout": 20.0})
    program = {"app": reader} if app == "reader" else {"command": ["ping", "sensor"]}
    nodes = [
        Node("sensor", NodeApp("sensor", http=True), networks=[field]),
        Node("client", networks=[field], scale=replicas, **program),
    ]
    return Topology(nodes), Scenario(duration=seconds)


def _start(seen_s: list[float], removed_s: float, cpu_s: float, memory: dict[str, float]) -> Start:
    seen_s.sort()
    half_s = seen_s[len(seen_s) // 2]
    return Start(
        first_s=seen_s[0], half_s=half_s, all_s=seen_s[-1], removed_s=removed_s, cpu_s=cpu_s, mb=memory
    )


def table(starts: dict[int, tuple[Start, Start]]) -> str:
    """Both starts of each number of replicas, and the ratio of their times."""
    head = f"{'replicas':>8} {'':<10} {'first s':>8} {'half s':>8} {'all s':>8} {'ratio':>6} {'CPU s':>6}"
    lines = [f"{head} {'removed s':>9} {'MB each':>8} {'Docker':>7} {'machine':>8}"]
    for replicas, both in starts.items():
        for name, start in zip(("sleep", "emulation"), both, strict=True):
            ratio = f"{start.all_s / both[0].all_s:.2f}"
            times = f"{start.first_s:>8.1f} {start.half_s:>8.1f} {start.all_s:>8.1f} {ratio:>6}"
            mb = f"{start.mb_each:>8.1f} {start.mb['dockers']:>7.1f} {start.mb['machine']:>8.1f}"
            lines.append(f"{replicas:>8} {name:<10} {times} {start.cpu_s:>6.1f} {start.removed_s:>9.1f} {mb}")
    return "\n".join(lines)


async def measured(given: argparse.Namespace) -> dict[int, tuple[Start, Start]]:
    """Both starts of each number of replicas, one after the other."""
    return {
        replicas: (await plain_start(replicas), await emulated_start(replicas, given.app, given.seconds))
        for replicas in given.replicas
    }


def main() -> None:
    """Print the table; with ``--check`` also whether it meets its goals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--replicas", type=int, nargs="+", default=[50, 100])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--app", choices=("ping", "reader"), default="ping")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    starts = uvloop.run(measured(given))
    print(table(starts))
    if given.json:
        names = ("sleep", "emulation")
        rows = {
            replicas: {name: attrs.asdict(start) for name, start in zip(names, both, strict=True)}
            for replicas, both in starts.items()
        }
        given.json.write_text(json.dumps(rows))
    slow = any(ours.all_s > GOAL_RATIO * plain.all_s for plain, ours in starts.values())
    large = any(ours.mb_each > GOAL_MB for _, ours in starts.values())
    if given.check and (slow or large):
        sys.exit(f"goals missed: {GOAL_RATIO} times the time of sleep, {GOAL_MB:g} MB for each replica")


if __name__ == "__main__":
    main()
