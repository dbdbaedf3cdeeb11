"""Checks what ``.limit(...)`` is given."""

from __future__ import annotations

from typing import Any

from wotemu.errors import ScenarioError
from wotemu.scenario.state.limits import NodeLimits
from wotemu.scenario.vocabulary.actions import number
from wotemu.units import Bytes

LEAST_CORES = 0.001
"""A quota of 1 ms each second: the kernel has no smaller quota and no longer period."""
LEAST_BYTES = 4 * 1024**2


def node_limits(cpu: Any, memory: Any, where: str) -> NodeLimits:
    """The limits of what a word was given.

    Raises:
        ScenarioError: A value can't be, or there is none.
    """
    if cpu is None and memory is None:
        raise ScenarioError("no limit is given", where=where, hint='write cpu=0.5 or memory="64M"')
    cores = None if cpu is None else number(cpu, "cpu", where, least=LEAST_CORES)
    if memory is None:
        return NodeLimits(cores)
    try:
        size = Bytes.of(memory)
    except (ValueError, TypeError) as error:
        raise ScenarioError(str(error), where=where, field="memory") from error
    if size < LEAST_BYTES:
        raise ScenarioError(f"{size} is too little for any process", where=where, field="memory")
    return NodeLimits(cores, int(size))
