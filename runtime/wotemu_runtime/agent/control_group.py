"""Sets the limits of control groups, version 1 or 2."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from pathlib import Path

from wotemu.errors import EmulationError

_PERIOD_US = 10_000
"""The period of CFS bandwidth control.

A limited node computes in bursts, one a period, so what is shorter than a period takes as long as on a
fast processor, or a whole period. The kernel's default is 100 ms: a node with 0.3 cores then stands still for
up to 72 ms, with 10 ms for up to 20 ms. With 5 ms it gets a tenth less than its share where the kernel's tick
is 4 ms. All three were measured on a machine with such a tick.
"""
_LEAST_QUOTA_US = 1000
"""The kernel refuses smaller quotas (min_cfs_quota_period); smaller shares have longer periods, up to 1 s."""
NO_MEMORY_LIMIT = (2**63 - 1) // resource.getpagesize() * resource.getpagesize()
"""What version 1 shows for no limit, and both versions take as none: PAGE_COUNTER_MAX pages, in bytes."""
_MEMORY_1 = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
_MEMORY_2 = ("memory.max", "memory.swap.max")


def bandwidth_us(cores: float) -> tuple[int, int]:
    """The quota and period of a limit of cores, in microseconds."""
    quota = round(cores * _PERIOD_US)
    if quota >= _LEAST_QUOTA_US:
        return quota, _PERIOD_US
    return _LEAST_QUOTA_US, min(1_000_000, round(_LEAST_QUOTA_US / cores))


def set_limits(
    directory: Path, *, cpu: float | None = None, mem_bytes: int | None = None, pids: int | None = None
) -> None:
    """Limit the processes of a new control group; None is no limit.

    Args:
        directory: The group, which has the controllers of what is limited.
        cpu: Cores.
        mem_bytes: Memory.
        pids: Processes and threads together.

    Raises:
        OSError: The kernel refuses it.
    """
    if pids is not None:
        (directory / "pids.max").write_text(str(pids))
    if cpu is not None:
        _set_cpu(directory, cpu)
    if mem_bytes is not None:
        _set_memory(directory, mem_bytes)


def change_cpu_limit(directories: Sequence[str], cores: float | None) -> None:
    """Limit a node to so many cores from now on; None for no limit.

    Raises:
        EmulationError: None of its groups has the controller.
        OSError: The kernel refuses it.
    """
    _set_cpu(_with(directories, "CPU time", "cpu.max", "cpu.cfs_quota_us"), cores)


def change_memory_limit(directories: Sequence[str], mem_bytes: int | None) -> None:
    """Limit the memory of a node from now on; None for no limit.

    Raises:
        EmulationError: None of its groups has the controller.
        OSError: The kernel refuses it; version 1 does where more is in use than it can reclaim.
    """
    _set_memory(_with(directories, "memory", *(names[0] for names in (_MEMORY_1, _MEMORY_2))), mem_bytes)


def limits_hold(directories: Sequence[str], cpu: float | None, mem_bytes: int | None) -> bool:
    """Whether groups have these limits, as `bandwidth_us` and the kernel's pages have them; None: no limit.

    Raises:
        EmulationError: None of the groups has the controller.
    """
    processor = _with(directories, "CPU time", "cpu.max", "cpu.cfs_quota_us")
    memory = _with(directories, "memory", *(names[0] for names in (_MEMORY_1, _MEMORY_2)))
    held = _memory_limit(memory)
    pages = None if held is None else held // resource.getpagesize()
    wanted = None if mem_bytes is None else mem_bytes // resource.getpagesize()
    return _bandwidth(processor) == (None if cpu is None else bandwidth_us(cpu)) and pages == wanted


def _bandwidth(directory: Path) -> tuple[int, int] | None:
    """The quota and period that hold, in microseconds; None without a quota."""
    if (directory / "cpu.max").exists():
        quota, _, period = (directory / "cpu.max").read_text().partition(" ")
    else:
        quota, period = ((directory / f"cpu.cfs_{what}_us").read_text() for what in ("quota", "period"))
    return None if quota == "max" or int(quota) < 0 else (int(quota), int(period))


def _memory_limit(directory: Path) -> int | None:
    names = (_MEMORY_2[0], _MEMORY_1[0])
    text = next((directory / name).read_text() for name in names if (directory / name).exists())
    # Version 1 has no word for no limit: the greatest number of pages.
    return None if text.strip() == "max" or int(text) >= NO_MEMORY_LIMIT else int(text)


def _with(directories: Sequence[str], what: str, *files: str) -> Path:
    for directory in map(Path, directories):
        if any((directory / name).exists() for name in files):
            return directory
    raise EmulationError(
        f"it has no control group for its {what}",
        hint="groups are made at the start, for nodes with resources or with a .limit in the scenario",
    )


def _set_cpu(directory: Path, cores: float | None) -> None:
    quota, period = (None, _PERIOD_US) if cores is None else bandwidth_us(cores)
    if (directory / "cpu.max").exists():
        (directory / "cpu.max").write_text(f"{'max' if quota is None else quota} {period}")
        return
    if quota is None:
        (directory / "cpu.cfs_quota_us").write_text("-1")
        return
    # A quota above the period that holds would be refused only by its group's parent, so the order is free.
    (directory / "cpu.cfs_period_us").write_text(str(period))
    (directory / "cpu.cfs_quota_us").write_text(str(quota))


def _set_memory(directory: Path, mem_bytes: int | None) -> None:
    if (directory / _MEMORY_2[0]).exists():
        limit, swap = _MEMORY_2
        (directory / limit).write_text("max" if mem_bytes is None else str(mem_bytes))
        if (directory / swap).exists():
            (directory / swap).write_text("max" if mem_bytes is None else "0")
        return
    # Version 1 counts memory and swap together in the second file, which must not be below the first.
    # Kernels without CONFIG_MEMCG_SWAP, or booted with swapaccount=0, lack it.
    first, both = (directory / name for name in _MEMORY_1)
    value = "-1" if mem_bytes is None else str(mem_bytes)
    files = [each for each in (first, both) if each.exists()]
    rises = mem_bytes is None or mem_bytes > int(first.read_text())
    for each in reversed(files) if rises else files:
        each.write_text(value)
