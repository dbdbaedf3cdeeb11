"""Imposes the faults of one node that its timeline asks for, and measures whether they had an effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from wotemu.errors import EmulationError
from wotemu.scenario.timeline import Change
from wotemu_runtime.agent.control_group import change_cpu_limit, change_memory_limit
from wotemu_runtime.agent.process_tree import Process
from wotemu_runtime.agent.resource_usage import Sampler
from wotemu_runtime.agent.supervision.app_supervisor import AppSupervisor
from wotemu_runtime.roles.role import Role

AppProcesses = Callable[[], Mapping[int, Process]]


@attrs.frozen
class _Pause:
    """A pause that holds: since when, how, and the CPU time that each process had used by then."""

    since: float
    by: str
    cpu_s: Mapping[int, float]


class NodeFaults:
    """The faults of one replica.

    Args:
        role: The replica's role.
        app: Its app, whose launcher suspends processes.
        processes: The app's processes that are there now, by their id.
        sampler: Records the limits that hold.
    """

    def __init__(self, role: Role, app: AppSupervisor, processes: AppProcesses, sampler: Sampler) -> None:
        data = role.assignment.data
        self._cgroups: tuple[str, ...] = tuple(data["cgroups"])
        self._at_start: tuple[float | None, int | None] = data["cpu_limit"], data["mem_limit_bytes"]
        self._limits = self._at_start
        self._sampler = sampler
        self._role = role
        self._app = app
        self._processes = processes
        self._pause: _Pause | None = None

    def __repr__(self) -> str:
        return f"<NodeFaults of {self._role.assignment.subject}{', paused' if self._pause else ''}>"

    def catch_up(self, change: Change) -> None:
        """Take what an earlier agent missed, before the app runs."""
        if change.action == "pause":
            self._app.is_paused = bool(change.after)
        elif change.action == "limit":
            self._limit(change.after)

    async def apply(self, change: Change) -> None:
        """Impose or end a fault.

        Raises:
            EmulationError: The kernel refuses it, or an agent imposes no such fault.
        """
        match change.action:
            case "pause" if change.after:
                await self._suspend()
            case "pause":
                self._report_pause()
                await self._app.resume()
            case "limit":
                self._limit(change.after)
            case other:
                raise EmulationError(f"an agent can't apply {other!r}")

    def _limit(self, limits: Mapping[str, Any]) -> None:
        """Set limits; those that are None become what they were at the start."""
        cpu = self._at_start[0] if limits["cpu"] is None else float(limits["cpu"])
        mem_bytes = self._at_start[1] if limits["mem_bytes"] is None else int(limits["mem_bytes"])
        if cpu != self._limits[0]:
            change_cpu_limit(self._cgroups, cpu)
            self._limits = cpu, self._limits[1]
        if mem_bytes != self._limits[1]:
            change_memory_limit(self._cgroups, mem_bytes)
            self._limits = self._limits[0], mem_bytes
        self._sampler.limit(*self._limits)

    def end(self) -> None:
        """At the end of the run: report what still holds. The supervisor lets paused processes go on."""
        self._report_pause()

    async def _suspend(self) -> None:
        suspended = await self._app.pause()
        used = {pid: process.cpu_s for pid, process in self._processes().items()}
        self._pause = _Pause(self._role.now(), suspended.by, used)

    def _report_pause(self) -> None:
        """Say how a pause went, while it still holds."""
        pause, self._pause = self._pause, None
        if pause is None:
            return
        processes = self._processes()
        used_s = sum(max(0.0, each.cpu_s - pause.cpu_s.get(pid, 0.0)) for pid, each in processes.items())
        lasted_s = self._role.now() - pause.since
        self._role.event(
            "pause.ended",
            f"{self._role.assignment.subject} was paused for {lasted_s:.3f} s",
            by=pause.by,
            lasted_s=lasted_s,
            cpu_s=used_s,
            processes=len(processes),
        )
