"""How long the report of a run of 1,000 nodes takes to write, beside one of 100 nodes, and how large it is.

    python -m benchmarks.report [--nodes 1000] [--seconds 60] [--check] [--slack 1] [--json FILE]

The runs are generated: 20 records a node and second. Each report is written by a process of its own, as
`wotemu report` does it; CPU time, so that other load hardly matters, and the most memory that it took.
`--check` exits with 1 where the report of all nodes takes more than 10 s of CPU; `--slack 2` allows 20.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.generated_run import T0, GeneratedRun, by_table
from wotemu.records import TRANSIENT_TABLES, to_row
from wotemu_runtime.recording.run_directory import RunDirectory, finish_tables

GOAL_S = 10.0
FEW = 100


def write_run(run: GeneratedRun, folder: Path) -> Path:
    """The run directory of a run that is over."""
    directory = RunDirectory(folder)
    for published in (list(run.begin()), *run.seconds()):
        for _, records in published:
            for table, some in by_table(records).items():
                if table not in TRANSIENT_TABLES:
                    directory.store(table, [to_row(record) for record in some])
    directory.write_json("manifest.json", manifest(run, dict(directory.counts)))
    directory.write_json("topology.json", topology(run))
    directory.write_json("timeline.json", run.timeline.to_dict())
    directory.close()
    finish_tables(folder)
    return folder


def manifest(run: GeneratedRun, counts: dict[str, int]) -> dict[str, Any]:
    """What the run was."""
    replicas = {
        name: {
            "node": name,
            "kind": "node",
            "addresses": {network: f"10.{number // 250}.{number % 250}.2"},
            "app": "command: app",
        }
        for network, names in run.networks.items()
        for number, name in enumerate(names)
    }
    return {
        "schema": 1, "name": "generated", "wotemu_version": "1", "engine": "local", "shaper": "tun",
        "python": "3.11", "kernel": "6", "host": {"name": "bench", "cpus": 2, "mem_bytes": 8_000_000_000},
        "source": "generated.py", "command": ["wotemu", "run", "generated.py"], "seed": 0,
        "timeline_hash": run.timeline.hash, "started": T0 - 3, "t0": T0, "ended": T0 + run.lasts_s,
        "duration_s": run.lasts_s, "status": "done", "error": "", "warnings": [], "replicas": replicas,
        "losses": [], "records": counts, "unenforced": [],
    }  # fmt: skip


def topology(run: GeneratedRun) -> dict[str, Any]:
    """Its nodes and networks."""
    nodes = [
        {
            "name": name,
            "scale": 1,
            "app": {"path": name},
            "command": [],
            "networks": [{"network": network, "up": {}, "down": {}}],
            "broker": None,
            "resources": {},
        }
        for network, names in run.networks.items()
        for name in names
    ]
    networks = [
        {"name": place.name, "conditions": place.hops[place.name, None, "up"].to_dict(), "shared": False}
        for place in run.places
    ]
    return {"nodes": nodes, "networks": networks, "brokers": [], "services": [], "ports": {"http": 9393}}


def write(run_dir: Path, answer: Connection) -> None:
    """Write the report; send the CPU seconds, the most memory in MB, and the page's size in MB."""
    from wotemu_report import write_report

    begun_s = time.process_time()
    page = write_report(run_dir)
    took_s = time.process_time() - begun_s
    answer.send((took_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, page.stat().st_size / 1e6))


def measured(nodes: int, seconds: int) -> tuple[float, float, float]:
    """What `write` sends, of a run of so many nodes."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        run_dir = write_run(GeneratedRun(nodes, seconds), Path(folder) / "run")
        process = context.Process(target=write, args=(run_dir, theirs))
        process.start()
        found: tuple[float, float, float] = ours.recv()
        process.join()
    return found


def main() -> None:
    """Print the table; with ``--check`` also whether it meets its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--slack", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = {nodes: measured(nodes, given.seconds) for nodes in (FEW, given.nodes)}
    print(f"{'nodes':>8} {'records':>12} {'CPU s':>8} {'x':>6} {'MB at most':>11} {'page MB':>8}")
    for nodes, (took_s, peak_mb, page_mb) in rows.items():
        times = took_s / rows[FEW][0]
        records = nodes * 20 * given.seconds
        print(f"{nodes:>8,} {records:>12,} {took_s:>8.2f} {times:>6.1f} {peak_mb:>11.0f} {page_mb:>8.2f}")
    if given.json:
        given.json.write_text(json.dumps({str(nodes): found for nodes, found in rows.items()}))
    if given.check and rows[given.nodes][0] > GOAL_S * given.slack:
        sys.exit(f"goal missed: {GOAL_S * given.slack:g} s")


if __name__ == "__main__":
    main()
