"""Checks what ``.limit(...)``, ``.stress(...)``, ``.fill_disk(...)`` and ``.skew_clock(...)`` are given."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from wotemu.errors import ScenarioError
from wotemu.scenario.state.node_settings import ClockSkew, DiskFill, NodeLimits, NodeSetting, NodeStress
from wotemu.scenario.vocabulary.actions import number
from wotemu.units import Bytes, Quantity, Seconds

LEAST_CORES = 0.001
"""A quota of 1 ms each second: the kernel has no smaller quota and no longer period."""
LEAST_STRESS_CORES = 0.01
"""Less is lost in what the kernel's scheduler does at each of its sleeps."""
MOST_CORES = 4096.0
LEAST_BYTES = 4 * 1024**2


def node_limits(cpu: Any, memory: Any, where: str) -> NodeLimits:
    """The limits of what a word was given.

    Raises:
        ScenarioError: A value can't be, or there is none.
    """
    return NodeLimits(*_cpu_and_memory(cpu, memory, where, "limit", LEAST_CORES))


def node_stress(cpu: Any, memory: Any, where: str) -> NodeStress:
    """What a program that stresses a node uses, of what a word was given.

    Raises:
        ScenarioError: A value can't be, or there is none.
    """
    return NodeStress(*_cpu_and_memory(cpu, memory, where, "stress", LEAST_STRESS_CORES))


def disk_fill(leave: Any, where: str) -> DiskFill:
    """How much of a scratch folder is left free, of what a word was given.

    Raises:
        ScenarioError: It is no size.
    """
    return DiskFill(_bytes(leave, "leave", where))


_TAKEN = {
    "limit": ("cpu", "memory"),
    "stress": ("cpu", "memory"),
    "fill_disk": ("leave",),
    "skew_clock": ("by",),
}
"""What the faults take that set something on a node."""


def setting_of_fault(fault: str, given: Mapping[str, Any], where: str) -> NodeSetting | None:
    """What a fault sets on a node; None of a fault that sets nothing, such as a crash.

    Args:
        fault: Its word.
        given: The arguments of all such words; None: not given.
        where: The action in the user's file, for messages.

    Raises:
        ScenarioError: A value can't be, is missing, or is one that the fault does not take.
    """
    taken = _TAKEN.get(fault, ())
    for name, value in given.items():
        if value is not None and name not in taken:
            raise ScenarioError(
                f"{fault!r} takes no {name}",
                where=where,
                field=name,
                hint=f"it takes {' and '.join(taken)}" if taken else f"leave {name} out",
            )
    match fault:
        case "limit":
            return node_limits(given["cpu"], given["memory"], where)
        case "stress":
            return node_stress(given["cpu"], given["memory"], where)
        case "fill_disk":
            return disk_fill(given["leave"] or 0, where)
        case "skew_clock":
            return clock_skew(given["by"], where)
    return None


def clock_skew(by: Any, where: str) -> ClockSkew:
    """How far off a wall clock is, of what a word was given: a duration with a sign.

    Raises:
        ScenarioError: It is no duration.
    """
    try:
        sign, length = _sign_and_length(by)
        return ClockSkew(sign * round(float(Seconds.offset(length)), 6))
    except (ValueError, TypeError) as error:
        raise ScenarioError(
            str(error), where=where, hint='write by="+3m", by="-1h30m", or by=0', field="by"
        ) from error


def _sign_and_length(by: Any) -> tuple[int, Any]:
    if isinstance(by, str) and by.strip()[:1] in ("+", "-"):
        length = by.strip()[1:]
        if length.lstrip()[:1] in ("+", "-"):
            raise ValueError(f"{by!r} has two signs")
        return (-1 if by.strip()[0] == "-" else 1), length
    if isinstance(by, timedelta):
        by = by.total_seconds()
    if isinstance(by, int | float) and not isinstance(by, Quantity) and by < 0:
        return -1, -by
    return 1, by


def _cpu_and_memory(
    cpu: Any, memory: Any, where: str, what: str, least: float
) -> tuple[float | None, int | None]:
    if cpu is None and memory is None:
        raise ScenarioError(f"no {what} is given", where=where, hint='write cpu=0.5 or memory="64M"')
    cores = None if cpu is None else number(cpu, "cpu", where, least=least, most=MOST_CORES)
    if memory is None:
        return cores, None
    size = _bytes(memory, "memory", where)
    if size < LEAST_BYTES:
        raise ScenarioError(f"{Bytes(size)} is too little for any process", where=where, field="memory")
    return cores, size


def _bytes(size: Any, field: str, where: str) -> int:
    try:
        return int(Bytes.of(size))
    except (ValueError, TypeError) as error:
        raise ScenarioError(str(error), where=where, field=field) from error
