"""Delay and goodput between two nodes on two machines of a swarm, against their networks' conditions.

    python -m benchmarks.swarm_paths [--shaper auto|tun|netem] [--latency 40ms] [--rate 8mbit] [--seconds 20]

Prints the round trip over a network with that latency each way, and the goodput of TCP over one with that
rate, expected and measured, and the certificate's verdict. Where the swarm has one machine, both nodes are
on it. DOCKER_HOST names a manager, WOTEMU_IMAGE the image.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

import aiodocker
import uvloop

from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun
from wotemu.records import Event
from wotemu.scenario import Scenario
from wotemu.topology.models import Network, NetworkConditions, Node, Placement, Topology
from wotemu.units import Rate, Seconds

SEND = """
import json, re, socket, subprocess, sys, time
seconds = float(sys.argv[1])
words = ["ping", "-i", "0.1", "-w", str(int(seconds)), "right.distant"]
printed = subprocess.run(words, capture_output=True, text=True).stdout
rtts = [float(found) for found in re.findall(r"time=([0-9.]+) ms", printed)]
print("RTTS", json.dumps(rtts), flush=True)
while True:
    try:
        line = socket.create_connection(("right.narrow", 7000), timeout=10)
        break
    except OSError:
        time.sleep(0.5)
print("MSS", line.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), flush=True)
ends = time.monotonic() + seconds
try:
    while time.monotonic() < ends:
        line.sendall(bytes(65536))
except OSError as error:
    print(error, flush=True)
line.close()
time.sleep(1000)
"""

TAKE = """
import socket, time
listener = socket.create_server(("0.0.0.0", 7000))
line, _ = listener.accept()
begun, taken, marks = time.monotonic(), 0, []
while data := line.recv(65536):
    taken += len(data)
    marks.append((time.monotonic() - begun, taken))
settled = [mark for mark in marks if mark[0] > 3]  # after slow start
(start, before), (end, after) = settled[0], settled[-1]
print("GOODPUT", (after - before) * 8 / (end - start), flush=True)
time.sleep(1000)
"""

ETHERNET_BYTES, HEADERS_BYTES = 14, 52
"""A rate limits whole frames: of each, so much is Ethernet's, and IPv4's, TCP's and its timestamps'."""


async def machines() -> list[str]:
    """The host names of the swarm's machines."""
    async with aiodocker.Docker() as docker:
        nodes = await docker.nodes.list()
    return sorted(str(node["Description"]["Hostname"]) for node in nodes)


def make_deployment(latency: str, rate: str, seconds: float, hosts: list[str]) -> tuple[Topology, Scenario]:
    """Two nodes on two networks: a distant one, and a narrow one."""
    distant = Network("distant", NetworkConditions(latency=latency))
    narrow = Network("narrow", NetworkConditions(latency="10ms", rate=rate))
    commands = {"left": ["python", "-c", SEND, str(seconds)], "right": ["python", "-c", TAKE]}
    nodes = [
        Node(
            name,
            command=command,
            networks=[distant, narrow],
            placement=Placement(constraints=[f"node.hostname=={host}"]),
        )
        for (name, command), host in zip(commands.items(), (hosts[0], hosts[-1]), strict=True)
    ]
    return Topology(nodes), Scenario(duration=2 * seconds + 10)


def printed_after(run_dir: Path, node: str, what: str) -> str:
    """The rest of the first line of a node's log that has the word `what`."""
    lines = (run_dir / "logs" / f"{node}.log").read_text().splitlines()
    return next(line.partition(f"{what} ")[2] for line in lines if f"{what} " in line)


def table(run_dir: Path, latency: str, rate: str) -> str:
    """Expected and measured values as a table."""
    rtts_ms = json.loads(printed_after(run_dir, "left", "RTTS"))
    mss = int(printed_after(run_dir, "left", "MSS"))
    rtt_ms = 2e3 * float(Seconds.of(latency))
    bits = float(Rate.of(rate)) * mss / (mss + HEADERS_BYTES + ETHERNET_BYTES)
    rows = [
        ("RTT p50 (ms)", rtt_ms, statistics.median(rtts_ms)),
        ("RTT p95 (ms)", rtt_ms, statistics.quantiles(rtts_ms, n=20)[18]),
        ("TCP goodput (Mbit/s)", bits / 1e6, float(printed_after(run_dir, "right", "GOODPUT")) / 1e6),
    ]
    lines = [
        f"{name:<22} {expected:>9.3f} {measured:>9.3f} {measured / expected - 1:>8.2%}"
        for name, expected, measured in rows
    ]
    head = f"{f'{len(rtts_ms)} pings, MSS {mss}':<22} {'expected':>9} {'measured':>9} {'off by':>8}"
    return "\n".join([head, *lines])


def describe_places(events: list[Event]) -> str:
    """Which role ran where, and with which shaper."""
    ready = [event for event in events if event.kind == "role.ready"]
    return ", ".join(
        f"{event.source} on {event.data['host']}" + (f" ({shaper})" if shaper else "")
        for event in ready
        for shaper in [event.data.get("shaper", "")]
    )


async def main() -> None:
    """Run it once and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shaper", choices=("auto", "tun", "netem"), default="auto")
    parser.add_argument("--latency", default="40ms")
    parser.add_argument("--rate", default="8mbit")
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    topology, scenario = make_deployment(given.latency, given.rate, given.seconds, await machines())
    events: list[Event] = []
    with tempfile.TemporaryDirectory() as code, tempfile.TemporaryDirectory() as out:
        deployment = Deployment(topology, scenario, Path(code, "deployment.py"))
        run_dir = Path(out, "run")
        emulation = ReportedRun(deployment, name="paths", out=run_dir, engine="swarm", shaper=given.shaper)
        result = await emulation.run(events.append)
        if result.error is not None:
            raise SystemExit(str(result.error))
        print(describe_places(events))
        print(table(run_dir, given.latency, given.rate))
        print(result.certificate)


if __name__ == "__main__":
    uvloop.run(main())
