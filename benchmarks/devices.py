"""Speed of nodes that are devices: the same work without a limit, and with the share of three presets.

    python -m benchmarks.devices [--rounds 5] [--seconds 1] [--check] [--slack X] [--json FILE]
    python -m benchmarks.devices --relation 3

Each round runs the work once without a limit and once as each device, one after the other, in control groups
as the local engine makes them (version 1 or 2, as this machine has them), with a high weight against other
programs. The error is of the work's speed against what it should be: the one without a limit, times the
device's rating by the machine's; of each, the fastest round counts, as other programs only slow work down.
All rounds last equally long: the fastest of short ones is faster than that of long ones, limited or not.
Beside it: CPU time by the clock against the share, which is the quota's own error, and how much more CPU time
the work takes, as other programs have the caches between bursts. Work is `python`, a loop, and `lzma`.

`--check` exits with 1 where an error is above 10 %. `--relation` measures the factor of the bundled benchmark
to 7-zip instead, in turn.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import attrs

from wotemu.topology.resources import NodeResources
from wotemu_runtime.calibration import bundled, seven_zip
from wotemu_runtime.calibration.measuring import rating_of_this_machine
from wotemu_runtime.engines.local.cgroups import delegation
from wotemu_runtime.engines.local.cgroups.limits import CPU, Limits, Machine, wanted_limits
from wotemu_runtime.engines.local.cgroups.replica_groups import ReplicaGroups

PRESETS = ("RASPBERRY_PI_ZERO_2_W", "RASPBERRY_PI_3B_PLUS", "RASPBERRY_PI_4B")
GOAL = 0.1
_PYTHON = "def turn():\n    return sum(i * i for i in range(40_000))\n"
_LZMA = (
    "from wotemu_runtime.calibration import bundled\nimport lzma\n"
    "data = bundled.generated(1 << 16)\ndef turn():\n    lzma.decompress(lzma.compress(data))\n"
)
# Joins the group, then takes the time of a fixed number of turns. The first ones warm caches up.
_WORKER = (
    "import sys, time\nfrom pathlib import Path\n{work}\n"
    "Path(sys.argv[1], 'cgroup.procs').write_text('0')\n"
    "for _ in range(3): turn()\n"
    "start, used = time.monotonic(), time.process_time()\nfor _ in range(int(sys.argv[2])): turn()\n"
    "print(time.monotonic() - start, time.process_time() - used)\n"
)
WORK = {"python": _PYTHON, "lzma": _LZMA}


@contextlib.contextmanager
def control_groups() -> Iterator[ReplicaGroups]:
    """What makes groups on this machine; what it made is removed."""
    name = f"wotemu-bench-{os.getpid()}"
    groups = ReplicaGroups(name)
    if delegation.is_version_2():
        groups.parent = delegation.find(name, {CPU})
        if groups.parent is None:
            sys.exit("no control group with the cpu controller can be made here: run it as root")
        groups.available = frozenset(delegation.enable(groups.parent, {CPU}))
    try:
        yield groups
    finally:
        if groups.parent is not None:
            delegation.remove(groups.parent)


def durations_s(groups: ReplicaGroups, work: str, turns: int, cores: float | None) -> tuple[float, float]:
    """How long a turn of the work takes with a limit, of so many, by the clock and in CPU time."""
    # A limit of many cores is none, and has the same weight.
    made, missing = groups.make(secrets.token_hex(4), Limits(cpu=cores or 64.0))
    if missing:
        sys.exit(missing[0])
    for directory in made.directories:
        for file, weight in (("cpu.weight", "10000"), ("cpu.shares", "100000")):
            if (path := Path(directory, file)).exists():
                path.write_text(weight)
    (cpu,) = (each for each in made.directories if Path(each, "cpu.stat").exists())
    argv = [sys.executable, "-c", _WORKER.format(work=WORK[work]), cpu, str(turns)]
    try:
        printed = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
        return float(printed[0]) / turns, float(printed[1]) / turns
    finally:
        for directory in made.directories:
            Path(directory).rmdir()


@attrs.frozen
class Row:
    """Errors of one device with one kind of work, as shares of what it should be."""

    work: str
    device: str
    share: float
    error: float
    quota_error: float
    more_cpu: float


def measured(
    groups: ReplicaGroups, work: str, machine: Machine, rounds: int, seconds: float
) -> Iterator[Row]:
    """The devices' rows of some rounds, each of work that takes so many seconds, with a limit or without."""
    turns = seconds / durations_s(groups, work, 10, None)[0]
    limits = {name: wanted_limits(NodeResources.presets()[name], machine)[0].cpu or 1.0 for name in PRESETS}
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in ("", *PRESETS)}
    for _ in range(rounds):
        for name, found in runs.items():
            found.append(
                durations_s(groups, work, max(1, round(turns * limits.get(name, 1.0))), limits.get(name))
            )
    bare_s, bare_cpu_s = min(runs[""])
    for name, share in limits.items():
        taken_s, cpu_s = min(runs[name])
        quota_error = median(cpu / wall for wall, cpu in runs[name]) / share - 1
        yield Row(work, name, share, bare_s / share / taken_s - 1, quota_error, cpu_s / bare_cpu_s - 1)


def relation(rounds: int) -> None:
    """Print 7-zip's ratings by the bundled benchmark's speeds, of several rounds."""
    program = seven_zip.find()
    if program is None:
        sys.exit("7-zip is not installed")
    for _ in range(rounds):
        before = bundled.measure()
        rating, version = seven_zip.measure(program)
        after = bundled.measure()
        print(f"7-zip {version} {rating:,.0f}; bundled {before:,.0f} before and {after:,.0f} after it")


def main() -> None:
    """Measure the work of three presets in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--relation", type=int, metavar="ROUNDS")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--slack", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.relation:
        relation(given.relation)
        return
    rating = rating_of_this_machine()
    machine = Machine.here(rating)
    print(f"this machine: {rating}; load {os.getloadavg()[0]:.1f}")
    with control_groups() as groups:
        rows = [row for work in WORK for row in measured(groups, work, machine, given.rounds, given.seconds)]
    print(f"{'work':<8} {'device':<24} {'share':>6} {'error':>7} {'quota':>7} {'more CPU time':>14}")
    for row in rows:
        print(
            f"{row.work:<8} {row.device:<24} {row.share:>6.3f} {row.error:>+7.1%} {row.quota_error:>+7.1%}"
            f" {row.more_cpu:>+14.1%}"
        )
    worst = max(abs(row.error) for row in rows)
    if given.json:
        given.json.write_text(
            json.dumps({"rating": rating.to_dict(), "rows": [attrs.asdict(row) for row in rows]})
        )
    if given.check and worst > GOAL * given.slack:
        sys.exit(f"goal missed: {worst:.1%} is more than {GOAL * given.slack:.0%}")


if __name__ == "__main__":
    main()
