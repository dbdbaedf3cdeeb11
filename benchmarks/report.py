"""How long the report of a run takes to write, how much memory, and how large the page is.

    python -m benchmarks.report [--nodes 1000] [--seconds 60] [--rows 100000 ...] [--check] [--slack 1]
                                [--json FILE]

Two kinds of generated runs: of many nodes, with 20 records a node and second, beside one of 100 nodes; and of
many rows of `interactions` (`benchmarks.generated_tables`), whose figures of requests are also made by pandas
where it is installed, and which are compared with a run of a tenth fewer rows. Each report is written by a
process of its own, as `wotemu report` does it; CPU time hardly changes with other load.
``--rows 100000 1000000 10000000`` takes four minutes.

`--check` exits with 1 where the report of all nodes takes more than 10 s of CPU, that of rows (up to ten
million) more than 20 s of CPU (10 s on two cores) or 1.5 GB, a page has more than 5 MB, pandas makes the
figures of a million rows or more in less than 5 times the CPU time, or the comparison of two runs of as many
takes more CPU time than `GOAL_REPORTS` reports. `--slack 2` allows twice as much.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import attrs

from benchmarks import report_in_pandas
from benchmarks.generated_run import T0, GeneratedRun, by_table
from benchmarks.generated_tables import GeneratedTables
from wotemu.records import TRANSIENT_TABLES, to_row
from wotemu_runtime.recording.run_directory import RunDirectory, finish_tables

GOAL_S = 10.0
GOAL_MB = 1500
GOAL_PAGE_MB = 5.0
GOAL_TIMES = 5
GOAL_REPORTS = 2.5
ENOUGH_ROWS = 1_000_000
"""Fewer take pandas hardly longer than it takes to start, and two runs no longer than one."""
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


@attrs.frozen
class Cost:
    """What some work took: seconds, and the most memory of its process in MB; `result` is its own."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    result: float


def page_mb(run_dir: Path) -> float:
    """Write the report; the page's size in MB."""
    from wotemu_report import write_report

    return write_report(run_dir).stat().st_size / 1e6


def figures(run_dir: Path) -> float:
    """The report's figures of requests, as `report_in_pandas` makes them; how many rows they have."""
    from wotemu_report.queries.percentiles import percentiles
    from wotemu_report.queries.ranking import with_series
    from wotemu_report.queries.recovery import windows
    from wotemu_report.queries.request_series import outcomes_over_time, quantiles_over_time
    from wotemu_report.queries.requests import requests, seen_by
    from wotemu_report.recorded.run_data import RunData

    run = RunData.load(run_dir)
    asked = seen_by(requests(run), "consumer")
    by = ["thing", "name", "op", "binding"]
    made = [
        outcomes_over_time(run, asked),
        percentiles(run, ["phase", *by]),
        percentiles(run, ["phase", "group", *by]),
        quantiles_over_time(run.axis, with_series(asked.collect(), "{} {} {}", "op", "owner", "binding")),
        windows(run, ["owner"]),
    ]
    return float(sum(frame.height for frame in made))


def comparison(run_dir: Path) -> float:
    """Compare the run with the one beside it; how many differences are stated."""
    from wotemu_report.comparison.comparison import compare

    found = compare({"first": {run_dir: ()}, "second": {beside(run_dir): ()}})
    return float(sum(len(each) for each in found.differences.values()))


def beside(run_dir: Path) -> Path:
    """The run that `run_dir` is compared with."""
    return run_dir.with_name("other")


def figures_in_pandas(run_dir: Path) -> float:
    """The same in pandas."""
    from wotemu_report.queries.recovery import WINDOW_S
    from wotemu_report.recorded.run_data import RunData

    return report_in_pandas.aggregates(run_dir, RunData.load(run_dir).axis.bin_s, WINDOW_S)


def _send(work: Callable[[Path], float], run_dir: Path, answer: Connection) -> None:
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    result = work(run_dir)
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    answer.send(Cost(cpu_s, wall_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, result))


def measured(work: Callable[[Path], float], run_dir: Path) -> Cost:
    """What `work` takes of a run in a process of its own."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_send, args=(work, run_dir, theirs))
    process.start()
    theirs.close()
    try:
        found: Cost = ours.recv()
    except EOFError:
        sys.exit(f"{work.__name__} failed")
    process.join()
    return found


def of_nodes(nodes: int, seconds: int) -> Cost:
    """The report of a run of so many nodes."""
    with tempfile.TemporaryDirectory() as folder:
        return measured(page_mb, write_run(GeneratedRun(nodes, seconds), Path(folder) / "run"))


def of_rows(rows: int, nodes: int, lasts_s: int, changes: int) -> dict[str, Cost]:
    """The report of a run of so many interactions, its figures, also in pandas, and its comparison."""
    works: list[Callable[[Path], float]] = [page_mb, comparison, figures]
    if find_spec("pandas") and find_spec("pyarrow"):
        works.append(figures_in_pandas)
    else:
        print("pandas is not measured: pip install pandas pyarrow")
    with tempfile.TemporaryDirectory() as folder:
        run_dir = GeneratedTables(rows, nodes, lasts_s, changes).write(Path(folder) / "run")
        GeneratedTables(rows * 9 // 10, nodes, lasts_s, changes).write(beside(run_dir))
        return {work.__name__: measured(work, run_dir) for work in works}


def misses(nodes: Mapping[int, Cost], rows: Mapping[int, Mapping[str, Cost]], slack: float) -> list[str]:
    """The goals that are missed."""
    found = [
        f"{count} nodes: {cost.cpu_s:.1f} s of CPU"
        for count, cost in nodes.items()
        if cost.cpu_s > GOAL_S * slack
    ]
    for count, costs in rows.items():
        page = costs["page_mb"]
        if page.cpu_s > 2 * GOAL_S * slack or page.peak_mb > GOAL_MB * slack or page.result > GOAL_PAGE_MB:
            found.append(
                f"{count:,} rows: {page.cpu_s:.1f} s of CPU, {page.peak_mb:.0f} MB, page {page.result:.1f}"
            )
        if count < ENOUGH_ROWS:
            continue
        pandas = costs.get("figures_in_pandas")
        if pandas and pandas.cpu_s * slack < GOAL_TIMES * costs["figures"].cpu_s:
            found.append(
                f"{count:,} rows: pandas takes {pandas.cpu_s / costs['figures'].cpu_s:.1f} x the CPU time"
            )
        compared = costs["comparison"].cpu_s / page.cpu_s
        if compared > GOAL_REPORTS * slack:
            found.append(f"{count:,} rows: a comparison takes {compared:.1f} x the CPU time of a report")
    return found


def main() -> None:
    """Print the tables; with ``--check`` also whether they meet their goals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000])
    parser.add_argument("--of-nodes", type=int, default=100, help="nodes of the runs of many rows")
    parser.add_argument("--hours", type=float, default=1.0, help="how long these last")
    parser.add_argument("--changes", type=int, default=100, help="their changes")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--slack", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    nodes = {count: of_nodes(count, given.seconds) for count in (FEW, given.nodes) if given.nodes}
    for count, cost in nodes.items():
        print(f"{count:>8,} nodes, {count * 20 * given.seconds:>9,} records: {_text(cost)}")
    rows = {
        count: of_rows(count, given.of_nodes, int(given.hours * 3600), given.changes) for count in given.rows
    }
    for count, costs in rows.items():
        print(f"{count:>10,} rows")
        for name, cost in costs.items():
            print(f"  {name:<18} {_text(cost)}")
    if given.json:
        both = {"nodes": nodes, "rows": rows}
        given.json.write_text(json.dumps(both, default=attrs.asdict))
    if given.check and (missed := misses(nodes, rows, given.slack)):
        sys.exit("goals missed: " + "; ".join(missed))


def _text(cost: Cost) -> str:
    return (
        f"CPU {cost.cpu_s:6.2f} s, wall {cost.wall_s:6.2f} s, at most {cost.peak_mb:5.0f} MB, "
        f"page or rows {cost.result:,.2f}"
    )


if __name__ == "__main__":
    main()
