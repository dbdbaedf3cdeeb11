"""Changes by hand: how late they take hold beside scripted ones, and whether a busy socket delays packets.

    python -m benchmarks.live_changes [--changes 200] [--seconds 20] [--clients 2] [--check] [--json FILE]

In one run, a node's hop changes by script and another's by hand, over the control socket, while a third node
pings. In the second half `clients` processes ask the run for its events and conditions without a pause.
`--check` exits with 1 where, in the first half, changes by hand are later than 2 ms at p95 and twice as late
as scripted ones, or where the pings' p95 of the second half is 1.2 times that of the first.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import polars as pl

from wotemu import Emulation, Network, NetworkConditions, Node, Scenario, Topology, at
from wotemu.errors import NotRunningError
from wotemu.percentiles import nearest_rank
from wotemu_runtime.control.client import ControlClient
from wotemu_runtime.control.live_changes import SetConditions

GOAL_LATE_S = 0.002
GOAL_LATE_RATIO = 2.0
GOAL_PING_RATIO = 1.2
NAME = "live-changes"
_PING = re.compile(r"^\[([0-9.]+)\] .* time=([0-9.]+) ms", re.MULTILINE)


def deployment(changes: int, seconds: float) -> tuple[Topology, Scenario]:
    """Three nodes beside a sink, and the scripted changes of the first one's hop."""
    field = Network("field", NetworkConditions(latency="5ms"))
    sleeping = ["sleep", "1000"]
    nodes = [
        *(Node(name, command=sleeping, networks=[field]) for name in ("scripted", "by-hand", "sink")),
        Node("asking", command=["ping", "-D", "-i", "0.01", "sink"], networks=[field]),
    ]
    events = [
        at(1 + seconds * number / changes).set("scripted@field", "up", latency=f"{1 + number % 50}ms")
        for number in range(changes)
    ]
    return Topology(nodes), Scenario(duration=seconds + 2, events=events)


def ask_without_pause() -> None:
    """One client that asks for events and conditions until the run is over."""

    async def ask() -> None:
        client = ControlClient(NAME)
        with contextlib.suppress(NotRunningError):
            while True:
                await client.conditions()
                async for _ in client.events(follow=False):
                    pass

    asyncio.run(ask())


async def change_by_hand(changes: int, seconds: float) -> list[float]:
    """Change one hop for `seconds`, and return how long each answer took, in seconds."""
    client, took_s = ControlClient(NAME), list[float]()
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        latency = f"{1 + len(took_s) % 50}ms"
        await client.change(SetConditions.of("by-hand@field", None, "up", latency=latency))
        took_s.append(time.monotonic() - began)
        await asyncio.sleep(max(0.0, seconds / changes - took_s[-1]))
    return took_s


async def measure(changes: int, seconds: float, clients: int, out: Path) -> dict[str, list[float]]:
    """One run: lateness of changes, answer times, and round trips, in seconds."""
    topology, scenario = deployment(changes, seconds)
    spawn = get_context("spawn")
    async with Emulation(topology, scenario, name=NAME, out=out) as emulation:
        await emulation.at("1s")
        changing = asyncio.create_task(change_by_hand(changes, seconds - 1))
        await emulation.at(1 + seconds / 2)
        askers = [spawn.Process(target=ask_without_pause) for _ in range(clients)]
        for asker in askers:
            asker.start()
        answered = await changing
        await emulation.done()
        for asker in askers:
            await asyncio.to_thread(asker.join)
    run = emulation.result
    t0 = run.manifest.t0 or 0.0
    late = run.table("changes").with_columns(late=pl.col("applied") - pl.col("due")).collect()
    pings = [(float(t) - t0, float(ms) / 1e3) for t, ms in _PING.findall("\n".join(run.log("asking")))]
    half = 1 + seconds / 2

    def late_of(node: str, start: float, end: float) -> list[float]:
        own = late.filter(pl.col("target") == f"{node}@field up", pl.col("s").is_between(start, end))
        return own["late"].to_list()

    return {
        "scripted, late": late_of("scripted", 0, half),
        "by hand, late": late_of("by-hand", 0, half),
        "scripted, busy": late_of("scripted", half, seconds),
        "by hand, busy": late_of("by-hand", half, seconds),
        "by hand, answered": answered,
        "ping, quiet": [rtt for s, rtt in pings if 1 < s < half],
        "ping, busy socket": [rtt for s, rtt in pings if half + 1 < s < 1 + seconds],
    }


def main() -> None:
    """Print the table; with ``--check`` also whether it meets its goals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(given.changes, given.seconds, given.clients, Path(folder) / "run"))
    if empty := [name for name, values in found.items() if not values]:
        sys.exit(f"too short: nothing was measured of {'; '.join(empty)}. Give more --seconds or --changes")
    p95 = {name: nearest_rank(values, 0.95) or 0.0 for name, values in found.items()}
    print(f"{'(ms)':<20} {'count':>6} {'p50':>8} {'p95':>8} {'max':>8}")
    for name, values in found.items():
        p50 = nearest_rank(values, 0.5) or 0.0
        print(
            f"{name:<20} {len(values):>6} {p50 * 1e3:>8.2f} {p95[name] * 1e3:>8.2f} {max(values) * 1e3:>8.2f}"
        )
    ratios = {
        "by hand / scripted": p95["by hand, late"] / p95["scripted, late"],
        "busy / quiet": p95["ping, busy socket"] / p95["ping, quiet"],
    }
    print(", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()))
    if given.json:
        given.json.write_text(json.dumps({"p95_s": p95, "ratios": ratios}, indent=2))
    is_late = p95["by hand, late"] > GOAL_LATE_S and ratios["by hand / scripted"] > GOAL_LATE_RATIO
    if given.check and (is_late or ratios["busy / quiet"] > GOAL_PING_RATIO):
        sys.exit(1)


if __name__ == "__main__":
    main()
