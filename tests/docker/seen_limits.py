"""What a container sees of its own limits: a program that prints them, and what it printed."""

from __future__ import annotations

from pathlib import Path

import attrs
import polars as pl

from wotemu_runtime.agent.control_group import NO_MEMORY_LIMIT

_V1 = "cd /sys/fs/cgroup; cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us memory/memory.limit_in_bytes"
_V2 = "cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/memory.max"
SHOWS_LIMITS = [
    "sh",
    "-c",
    f"while :; do echo $(date +%s.%N; {_V2} 2>/dev/null || ({_V1})); sleep 0.2; done",
]

SHOWN_S = 0.3
"""Its lines have the time before they are read, on a processor that it shares."""


@attrs.frozen
class SeenLimits:
    """The limits that a node saw at `t`: cores and bytes of memory; None is no limit."""

    t: float = attrs.field(eq=False)
    cpu: float | None
    mem_bytes: int | None


def seen_limits(run_dir: Path, node: str) -> list[SeenLimits]:
    """All that a node saw, in order."""
    found = []
    for line in (run_dir / "logs" / f"{node}.log").read_text().splitlines():
        t, quota, period, memory = line.split()
        has_memory = memory != "max" and int(memory) < NO_MEMORY_LIMIT
        has_quota = quota not in ("max", "-1")
        found.append(
            SeenLimits(
                float(t), int(quota) / int(period) if has_quota else None, int(memory) if has_memory else None
            )
        )
    return found


def seen_around(run_dir: Path, node: str, changes: pl.DataFrame) -> tuple[SeenLimits, SeenLimits, SeenLimits]:
    """The limits that a node saw before a change of its limits, from that to the end of it, and afterwards.

    What it saw while Docker made them is left out.
    """
    own = changes.filter(pl.col("action") == "limit", pl.col("target") == node).sort("due")
    (first, begun), (last, ended) = own.select("due", "applied").rows()
    spans = ((0.0, first), (begun, last), (ended, float("inf")))
    seen = seen_limits(run_dir, node)
    found = []
    for since, until in spans:
        within = [each for each in seen if since < each.t < until - SHOWN_S]
        assert within, f"{node} saw nothing of its limits"
        assert all(each == within[0] for each in within), within
        found.append(within[0])
    return found[0], found[1], found[2]
