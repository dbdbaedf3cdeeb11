"""How long `wotemu plan` takes for a deployment of 1,000 nodes: the whole command, as a user waits for it.

    python -m benchmarks.plan [--nodes 1000] [--repeat 3] [--check] [--slack 1] [--json FILE]

The nodes are on networks of 100; conditions change and ramp, and every tenth node crashes. Beside it, in the
same run: the same command for 10 nodes, which is mostly the time to import what it needs. The fastest of
`repeat` runs of each. `--check` exits with 1 where the plan of all nodes takes more than 3 s; `--slack 2`
allows 6.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GOAL_S = 3.0
FEW = 10

DEPLOYMENT = """
from wotemu import Network, NetworkConditions, Node, Scenario, Topology, at, during

NODES = {nodes}
CLEAR, LOSSY = NetworkConditions(latency="20ms", rate="2mbit"), NetworkConditions(latency="50ms", loss="2%")
networks = [Network("field-%d" % number, conditions=CLEAR) for number in range(max(1, NODES // 100))]
nodes = [
    Node("node-%d" % number, command=["sleep", "1000"], networks=[networks[number % len(networks)]])
    for number in range(NODES)
]


def topology():
    return Topology(nodes)


def scenario():
    crashes = enumerate(nodes[::10])
    return Scenario(
        events=[
            *(at("%ds" % (10 + number)).set(network, LOSSY) for number, network in enumerate(networks)),
            *(during("%ds" % (n % 600), "%ds" % (n % 600 + 20)).crash(node) for n, node in crashes),
            *(during("60s", "120s").ramp(network, rate=("2mbit", "200kbit")) for network in networks),
        ],
        duration="15m",
    )
"""


def fastest_s(nodes: int, repeat: int, folder: Path) -> tuple[float, int]:
    """The least seconds that planning so many nodes took, and how many changes the plan has."""
    path = folder / f"deployment_{nodes}.py"
    path.write_text(DEPLOYMENT.format(nodes=nodes))
    took_s, printed = [], b""
    for _ in range(repeat):
        begun = time.perf_counter()
        command = [sys.executable, "-m", "wotemu.cli", "plan", str(path), "--json"]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        took_s.append(time.perf_counter() - begun)
    return min(took_s), len(json.loads(printed)["changes"])


def main() -> None:
    """Print the table; with ``--check`` also whether it meets its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--slack", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {nodes: fastest_s(nodes, given.repeat, Path(folder)) for nodes in (FEW, given.nodes)}
    few_s, _ = found[FEW]
    for nodes, (took_s, changes) in found.items():
        print(f"{nodes:>6,} nodes, {changes:>6,} changes: {took_s:6.2f} s, {took_s / few_s:5.1f} x")
    took_s, _ = found[given.nodes]
    if given.json:
        given.json.write_text(json.dumps({str(nodes): took_s for nodes, (took_s, _) in found.items()}))
    if given.check and took_s > GOAL_S * given.slack:
        sys.exit(f"goal missed: {GOAL_S * given.slack:g} s")


if __name__ == "__main__":
    main()
