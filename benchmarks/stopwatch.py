"""Whether recorded interactions are those of the app: every operation and binding beside a stopwatch in it.

    python -m benchmarks.stopwatch [--count 100] [--check] [--slack 1] [--json FILE] [--keep DIR]

A Thing is served over HTTP, WebSocket, CoAP and MQTT. Consumers perform each operation `count` times over
each binding, and take the time of each call themselves, by `time.perf_counter()` around it: one is a
`NodeApp`, one a command, and two are children that a command starts by multiprocessing's spawn and
forkserver. Afterwards the rows of the table `interactions` are joined with what the consumers printed, call
by call. A table for each of them has, for each operation and binding, how many calls were recorded of how
many, the median of how much longer, in milliseconds, the recorded duration is than the stopwatch's (below
zero, it is shorter), and the 95th percentile of how far off it is. Of a subscription, its beginning is
counted, and the times of its items and of its end since its beginning are compared. Some requests fail, as
the Thing has it; others do because WoTPy loses an answer now and then, which has to be recorded alike.

`--check` exits with 1 where a number of rows is not that of the calls, or a median is off by more than 1 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

import attrs
import polars as pl

from benchmarks import stopwatch_apps
from wotemu import Broker, Emulation, Network, Node, NodeApp, RecordedRun, Scenario, Topology
from wotemu.errors import NotInTimeError
from wotemu.percentiles import nearest_rank
from wotemu.scenario import metric

GOAL_MS = 1.0
PROGRAM = "own.py"
THING = "lamp"
SECONDS_A_CALL = 1.0
"""More than any operation takes on a busy machine, over all bindings together."""

Key = tuple[str, str, str, str, str]
"""Node, binding, operation, stage and status."""


@attrs.frozen
class Cell:
    """One operation over one binding by one consumer; the differences are recorded minus measured."""

    calls: int
    rows: int
    median_ms: float | None
    p95_ms: float | None

    @property
    def is_good(self) -> bool:
        """Whether every call has its row."""
        return self.calls == self.rows

    def __str__(self) -> str:
        counts = f"{self.rows}/{self.calls}"
        if self.median_ms is None or self.p95_ms is None:
            return counts
        return f"{counts} {self.median_ms:+.3f} {self.p95_ms:.3f}"


def consumers(count: int) -> dict[str, Node]:
    """The consumers, by how they are started."""
    lab = Network("lab")
    arguments = [sys.executable, PROGRAM, THING, str(count)]
    app = NodeApp(f"{PROGRAM}:consumer", params={"host": THING, "count": count})
    broker = Broker("broker", networks=[lab])
    serving = NodeApp(
        f"{PROGRAM}:lamp", http=True, ws=True, coap=True, mqtt=True, wotpy_fixes=("td-cost", "http-clients")
    )
    return {
        "": Node(THING, serving, networks=[lab], broker=broker),
        "NodeApp": Node("app", app, networks=[lab]),
        "command": Node("command", command=arguments, networks=[lab]),
        "spawned child": Node("spawn", command=[*arguments, "spawn"], networks=[lab]),
        "child of a fork server": Node("forkserver", command=[*arguments, "forkserver"], networks=[lab]),
    }


async def emulate(
    nodes: Iterable[Node], measuring: Sequence[str], count: int, folder: Path, out: Path
) -> RecordedRun:
    """Run until all consumers have measured everything."""
    shutil.copy(stopwatch_apps.__file__, folder / PROGRAM)
    limit_s = 60.0 + SECONDS_A_CALL * count
    emulation = Emulation(
        Topology(nodes), Scenario(duration=limit_s + 60), name="stopwatch", root=folder, out=out
    )
    async with emulation:
        await emulation.ready()
        end_s = time.monotonic() + limit_s
        for name in measuring:
            left_s = max(0.0, end_s - time.monotonic())
            await emulation.wait_for(metric(f"{name}.{stopwatch_apps.DONE}") > 0, timeout=left_s)
    return emulation.result


def measured(run: RecordedRun, names: Iterable[str]) -> dict[Key, list[float]]:
    """What the consumers' stopwatches say, in seconds, in the order of the calls."""
    found: dict[Key, list[float]] = defaultdict(list)
    for name in names:
        for line in run.log(name):
            _, mark, text = line.partition(stopwatch_apps.MARK)
            if mark:
                values = json.loads(text)
                key = (name, values["binding"], values["op"], values["stage"], values["status"])
                found[key] += [us / 1e6 for us in values["us"]]
    return found


def recorded(run: RecordedRun, names: Iterable[str]) -> dict[Key, list[float]]:
    """The same by the recorded rows."""
    rows = (
        run.table("interactions")
        .filter(pl.col("role") == "consumer", pl.col("node").is_in(list(names)))
        .sort("t")
        .select("node", "binding", "op", "stage", "status", "t", "duration")
        .collect()
    )
    found: dict[Key, list[float]] = defaultdict(list)
    begun: dict[tuple[str, str, str], float] = {}
    for node, binding, op, stage, status, t, duration in rows.iter_rows():
        if stage == "subscribe":
            begun[node, binding, op] = t
        since = t - begun.get((node, binding, op), t)
        found[node, binding, op, stage, status].append(since if duration is None else duration)
    return found


def joined(calls: Mapping[Key, list[float]], rows: Mapping[Key, list[float]]) -> dict[Key, Cell]:
    """Both, call by call: a consumer makes one after another."""
    cells = {}
    for key in sorted({*calls, *rows}):
        own, stored = calls.get(key, []), rows.get(key, [])
        if len(own) != len(stored) or key[3] == "subscribe":
            cells[key] = Cell(len(own), len(stored), None, None)
            continue
        late_ms = [(there - here) * 1e3 for here, there in zip(own, stored, strict=True)]
        cells[key] = Cell(len(own), len(stored), median(late_ms), nearest_rank(map(abs, late_ms), 0.95))
    return cells


def lines(cells: Mapping[Key, Cell], name: str) -> list[str]:
    """The table of one consumer."""
    own = {key[1:]: cell for key, cell in cells.items() if key[0] == name}
    bindings = list(stopwatch_apps.CLIENTS)
    found = [f"{'':<30}" + "".join(f"{binding:>25}" for binding in bindings)]
    for op, stage, status in sorted({key[1:] for key in own}):
        label = " ".join(
            [op, *([stage] if stage != "request" else []), *([status] if status != "ok" else [])]
        )
        row = [own.get((binding, op, stage, status)) for binding in bindings]
        found.append(f"{label:<30}" + "".join(f"{'' if each is None else str(each):>25}" for each in row))
    return found


def missing(cells: Mapping[Key, Cell], names: Iterable[str]) -> list[str]:
    """Operations, and ways in which they end, that nobody measured: a matrix with holes proves nothing."""
    wanted = [
        *(("readproperty", "request", "ok"), ("readproperty", "request", "failed")),
        ("writeproperty", "request", "ok"),
        *(("invokeaction", "request", "ok"), ("invokeaction", "request", "failed")),
        *((op, stage, "ok") for op in ("observeproperty", "subscribeevent") for stage in ("next", "end")),
    ]
    keys = [(name, binding, *each) for name in names for binding in stopwatch_apps.CLIENTS for each in wanted]
    return [" ".join(key) for key in keys if key not in cells]


def main() -> None:
    """Run, print the tables, and check the goals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--slack", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="the run directory; it is removed otherwise")
    given = parser.parse_args()
    if given.count < 10:
        parser.error(f"--count {given.count} is too few: a tenth of the reads is to fail; give 10 at least")
    nodes = consumers(given.count)
    ways = {way: node.name for way, node in nodes.items() if way}
    with tempfile.TemporaryDirectory() as folder:
        out = given.keep or Path(folder) / "run"
        try:
            run = asyncio.run(emulate(nodes.values(), list(ways.values()), given.count, Path(folder), out))
        except NotInTimeError as error:
            sys.exit(f"a consumer has not measured everything: {error}; --keep DIR has what it printed")
        cells = joined(measured(run, ways.values()), recorded(run, ways.values()))
    print("rows/calls, then recorded - stopwatch in ms: the median, and the p95 of how far off it is")
    for way, name in ways.items():
        print(f"\n{way}", *lines(cells, name), sep="\n")
    if given.json:
        found = {" ".join(key): attrs.asdict(cell) for key, cell in cells.items()}
        given.json.write_text(json.dumps(found, indent=2))
    lost = [" ".join(key) for key, cell in cells.items() if not cell.is_good]
    late = [
        " ".join(key)
        for key, cell in cells.items()
        if cell.median_ms is not None and abs(cell.median_ms) > GOAL_MS * given.slack
    ]
    problems = {
        "not every call has its row": lost,
        f"off by more than {GOAL_MS * given.slack:g} ms": late,
        "not measured": missing(cells, ways.values()),
    }
    said = [f"{what}: {', '.join(which)}" for what, which in problems.items() if which]
    print(f"\n{sum(cell.calls for cell in cells.values())} calls,", "; ".join(said) or "each with its row")
    if given.check and said:
        sys.exit("goals missed")


if __name__ == "__main__":
    main()
