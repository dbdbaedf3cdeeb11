"""Many nodes on this machine: the time from the command to T0, memory, processor and removal of a node.

    python -m benchmarks.many_nodes [--nodes 50 100 200 400] [--check] [--slack 1.0] [--json FILE]

Each of N nodes runs a `sleep`. Beside it, in the same run and as root: Mininet's library with as many hosts,
each with a `sleep` (Debian's packages mininet and bridge-utils), and `bare_nodes`, the floor of what the
kernel takes. Memory is the proportional set size of all processes but the bus and the gateway, a node's
share of the agents' and of the sandbox's own included. Removal is from the end of the scenario until nothing
is left; Mininet's is its `stop`. All of WoTemu is compiled to bytecode first, as pip does when it installs a
package, and Debian when it installs Mininet: a checkout may have none (PYTHONDONTWRITEBYTECODE).

`--check` exits with 1 where a goal is missed: half of Mininet's time at 100 and 200 nodes, 4.4 times the time
of 100 nodes at 400, 4 MB, 0.1 % of a processor and two processes a node, and 0.7 of Mininet's removal at 200.
`--slack` multiplies the goals.
"""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import attrs
import psutil

from benchmarks.bare_nodes import pss_bytes

SETTLE_S, WATCH_S, RUN_S = 2.0, 4.0, 8.0
PACKAGES = ("wotemu", "wotemu_runtime", "wotemu_gateways", "wotemu_report")
DEBIAN_PYTHON = "/usr/bin/python3"
GOAL_START, GOAL_GROWTH, GOAL_REMOVAL = 0.5, 4.4, 0.7
GOAL_MB, GOAL_CPU_PERCENT, GOAL_PROCESSES = 4.0, 0.1, 2.0

DEPLOYMENT = """
from wotemu import Network, NetworkConditions, Node, Scenario, Topology

field = Network("field", NetworkConditions(latency="10ms"))

def topology():
    return Topology([Node("idle", command=["sleep", "1000"], networks=[field], scale={count})])

def scenario():
    return Scenario(duration={seconds})
"""


@attrs.frozen
class Idle:
    """What one idle node takes: MB, percent of one processor, processes."""

    mb: float
    cpu_percent: float
    processes: float


@attrs.frozen
class Measured:
    """One number of nodes: seconds, and an idle node's share."""

    nodes: int
    start_s: float
    removal_s: float
    idle: Idle
    mininet_start_s: float | None
    mininet_removal_s: float | None
    bare_s: float | None


def sandbox(command: int) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """The processes of a run's nodes, and those that serve them: neither the bus nor gateways are.

    Nodes have PID namespaces of their own, gateways network namespaces.
    """
    nodes, serving = [], []
    outside = _namespace(command, "pid")
    zygote: psutil.Process | None = None
    for process in psutil.Process(command).children(recursive=True):  # parents before their children
        pids = _namespace(process.pid, "pid")
        if pids == outside:
            serving.append(process)  # the monitor, and the parent of the zygote
            continue
        zygote = zygote or process
        if pids != _namespace(zygote.pid, "pid"):
            nodes.append(process)
        elif _namespace(process.pid, "net") == _namespace(zygote.pid, "net") and "python" in process.name():
            serving.append(process)
    return nodes, serving


def _namespace(pid: int, kind: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/{kind}").readlink())
    except OSError:
        return ""


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """Processor time that processes have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def idle_share(command: int, count: int) -> Idle:
    """What an idle node of a run takes, over `WATCH_S`."""
    nodes, serving = sandbox(command)
    everything = [*nodes, *serving]
    began, before = time.monotonic(), cpu_s(everything)
    time.sleep(WATCH_S)
    used = 100 * (cpu_s(everything) - before) / (time.monotonic() - began)
    memory = sum(pss_bytes(process.pid) for process in everything)
    return Idle(memory / count / 1e6, used / count, len(nodes) / count)


def wotemu(count: int, folder: Path) -> tuple[float, float, Idle]:
    """Run `count` idle nodes; seconds from the command to T0 and of the removal, and a node's share."""
    path = folder / "deployment.py"
    path.write_text(DEPLOYMENT.format(count=count, seconds=RUN_S))
    words = [
        sys.executable,
        "-m",
        "wotemu.cli",
        "run",
        str(path),
        "--json",
        "--out",
        str(folder / f"{count}"),
    ]
    began = time.time()
    at: dict[str, float] = {}
    idle = None
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        for line in run.stdout:
            event = json.loads(line)
            at.setdefault(event.get("kind", ""), time.time())
            if event.get("kind") == "run.t0":
                at["T0"] = event["data"]["t0"]
                time.sleep(max(0.0, at["T0"] + SETTLE_S - time.time()))
                idle = idle_share(run.pid, count)
    if run.returncode or idle is None:
        sys.exit(f"{count} nodes: the run failed with exit code {run.returncode}")
    return at["T0"] - began, at["report.started"] - at["run.stopping"], idle


def compile_packages() -> None:
    """Compile WoTemu's packages to bytecode."""
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None
        compileall.compile_dir(Path(spec.origin).parent, quiet=1)


def mininet(count: int) -> tuple[float, float] | None:
    """Mininet's seconds to start and to stop; None where it is not installed or this user is not root."""
    script = Path(__file__).with_name("mininet_nodes.py")
    ran = subprocess.run(
        [DEBIAN_PYTHON, str(script), str(count)], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        return None
    start_s, stop_s = map(float, ran.stdout.split())
    return start_s, stop_s


def bare(count: int) -> float | None:
    """The floor's seconds; None where this user is not root."""
    words = ["setsid", "-w", sys.executable, "-m", "benchmarks.bare_nodes", str(count)]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    return None if ran.returncode else float(ran.stdout.split()[0])


def measure(count: int, folder: Path) -> Measured:
    """Measure one number of nodes."""
    start_s, removal_s, idle = wotemu(count, folder)
    mininet_start_s, mininet_removal_s = mininet(count) or (None, None)
    return Measured(count, start_s, removal_s, idle, mininet_start_s, mininet_removal_s, bare(count))


def missed(results: Sequence[Measured], slack: float) -> list[str]:
    """The goals that were missed, in words."""
    found = []
    start_of = {result.nodes: result.start_s for result in results}

    def check(what: str, value: float, goal: float) -> None:
        if value > goal * slack:
            found.append(f"{what}: {value:.2f}, more than {goal * slack:.2f}")

    for result in results:
        name = f"{result.nodes} nodes"
        if result.mininet_start_s is not None and result.nodes in (100, 200):
            check(f"{name}, start beside Mininet's", result.start_s / result.mininet_start_s, GOAL_START)
        if result.mininet_removal_s is not None and result.nodes == 200:
            check(
                f"{name}, removal beside Mininet's", result.removal_s / result.mininet_removal_s, GOAL_REMOVAL
            )
        check(f"{name}, MB each", result.idle.mb, GOAL_MB)
        check(f"{name}, percent of a processor each", result.idle.cpu_percent, GOAL_CPU_PERCENT)
        check(f"{name}, processes each", result.idle.processes, GOAL_PROCESSES)
    if {100, 400} <= start_of.keys():
        check("start of 400 nodes beside 100", start_of[400] / start_of[100], GOAL_GROWTH)
    return found


def row(result: Measured) -> str:
    """A line of the table."""

    def beside(ours: float, theirs: float | None) -> str:
        return f"{'-':>9}{'-':>7}" if theirs is None else f"{theirs:>9.2f}{ours / theirs:>7.2f}"

    return (
        f"{result.nodes:>6}{result.start_s:>9.2f}{beside(result.start_s, result.mininet_start_s)}"
        f"{beside(result.start_s, result.bare_s)}{result.removal_s:>10.2f}"
        f"{beside(result.removal_s, result.mininet_removal_s)}"
        f"{result.idle.mb:>7.2f}{result.idle.cpu_percent:>7.3f}{result.idle.processes:>11.2f}"
    )


def main() -> None:
    """Print the table; with ``--check`` also the goals that were missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[50, 100, 200, 400])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--slack", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    print(
        f"{'nodes':>6}{'start s':>9}{'Mininet':>9}{'ratio':>7}{'floor':>9}{'ratio':>7}"
        f"{'removal s':>10}{'Mininet':>9}{'ratio':>7}{'MB':>7}{'CPU %':>7}{'processes':>11}"
    )
    compile_packages()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for count in given.nodes:
            results.append(measure(count, Path(folder)))
            print(row(results[-1]), flush=True)
    if given.json:
        given.json.write_text(json.dumps([attrs.asdict(result) for result in results], indent=2))
    if given.check and (found := missed(results, given.slack)):
        sys.exit("goals missed:\n" + "\n".join(found))


if __name__ == "__main__":
    main()
