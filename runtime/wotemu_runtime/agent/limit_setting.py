"""Has the limits of a node's processes hold: by its own control groups, or by its machine's limiter."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from wotemu.errors import EmulationError
from wotemu.scenario.timeline import Change
from wotemu_runtime.agent.control_group import change_cpu_limit, change_memory_limit, limits_hold

Limits = tuple[float | None, int | None]
"""Cores, and bytes of memory; None is no limit."""
DEADLINE_S = 5.0
"""Docker takes a hundredth of a second to change the limits of a container; much longer on a busy machine."""
_LOOK_EVERY_S = 0.002
_LOOK_LATER_EVERY_S = 0.05
_SOON_S = 0.2


def limits_after(change: Change, at_start: Limits) -> Limits:
    """The limits after a change of them; those that are None in it are what they were at the start."""
    cpu, mem_bytes = change.after["cpu"], change.after["mem_bytes"]
    return (
        at_start[0] if cpu is None else float(cpu),
        at_start[1] if mem_bytes is None else int(mem_bytes),
    )


class LimitSetting(Protocol):
    """Sets the limits of one node; None is no limit."""

    async def begin(self, so_far: Sequence[Limits]) -> None:
        """Have the last of the limits hold that were to hold so far, before the app runs."""

    async def set(self, cpu: float | None, mem_bytes: int | None) -> None:
        """Have other limits hold: so many cores, and bytes of memory. Returns once they do.

        Raises:
            EmulationError, OSError: They can't be set.
        """


class OwnGroups:
    """Sets the limits of the node's control groups.

    Args:
        cgroups: Their directories.
        cpu: The cores that hold now.
        mem_bytes: The memory that holds now.
    """

    def __init__(self, cgroups: Sequence[str], cpu: float | None, mem_bytes: int | None) -> None:
        self._cgroups = cgroups
        self._cpu = cpu
        self._mem_bytes = mem_bytes

    def __repr__(self) -> str:
        return f"OwnGroups({self._cpu}, {self._mem_bytes})"

    async def begin(self, so_far: Sequence[Limits]) -> None:
        """See `LimitSetting`. Which of them an agent before this one has set is not known."""
        for limits in so_far:
            await self.set(*limits)

    async def set(self, cpu: float | None, mem_bytes: int | None) -> None:
        """See `LimitSetting`."""
        if cpu != self._cpu:
            change_cpu_limit(self._cgroups, cpu)
            self._cpu = cpu
        if mem_bytes != self._mem_bytes:
            change_memory_limit(self._cgroups, mem_bytes)
            self._mem_bytes = mem_bytes


class MachinesLimiter:
    """Waits until the limiter of this machine, which has the same timeline, has set what is to hold.

    Args:
        cgroups: Directories of the container's own control groups.
    """

    def __init__(self, cgroups: Sequence[str]) -> None:
        self._cgroups = cgroups

    def __repr__(self) -> str:
        return "MachinesLimiter()"

    async def begin(self, so_far: Sequence[Limits]) -> None:
        """See `LimitSetting`; as long as it may take, as the app must not run without."""
        await self._until_they_hold(*so_far[-1])

    async def set(self, cpu: float | None, mem_bytes: int | None) -> None:
        """See `LimitSetting`."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                await self._until_they_hold(cpu, mem_bytes)
        except TimeoutError:
            raise EmulationError(f"Docker has not set it within {DEADLINE_S:g} s") from None

    async def _until_they_hold(self, cpu: float | None, mem_bytes: int | None) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        # The kernel sends no message when a limit is set.
        while not limits_hold(self._cgroups, cpu, mem_bytes):
            is_soon = loop.time() - began_s < _SOON_S
            await asyncio.sleep(_LOOK_EVERY_S if is_soon else _LOOK_LATER_EVERY_S)


class NoLimits:
    """A container whose machine has no limiter, as its deployment asked for no changes of limits."""

    def __repr__(self) -> str:
        return "NoLimits()"

    async def begin(self, so_far: Sequence[Limits]) -> None:
        """See `LimitSetting`; Swarm has set those of T0."""
        if so_far[-1] != so_far[0]:
            await self.set(*so_far[-1])

    async def set(self, cpu: float | None, mem_bytes: int | None) -> None:
        """Raise EmulationError."""
        del cpu, mem_bytes
        raise EmulationError(
            "nothing here changes limits",
            hint="on a swarm, limiters run where the deployment has a device or a .limit in its scenario",
        )
