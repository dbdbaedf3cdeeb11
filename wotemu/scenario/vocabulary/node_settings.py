"""Checks what ``.limit(...)``, ``.stress(...)`` and ``.fill_disk(...)`` are given."""

from __future__ import annotations

from typing import Any

from wotemu.errors import ScenarioError
from wotemu.scenario.state.node_settings import DiskFill, NodeLimits, NodeStress
from wotemu.scenario.vocabulary.actions import number
from wotemu.units import Bytes

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
