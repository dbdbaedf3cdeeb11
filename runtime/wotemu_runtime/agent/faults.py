"""Imposes the faults of one node that its timeline asks for, and measures whether they had an effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from wotemu.errors import EmulationError
from wotemu.scenario.timeline import Change
from wotemu_runtime.agent.process_tree import Process
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
    """

    def __init__(self, role: Role, app: AppSupervisor, processes: AppProcesses) -> None:
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

    async def apply(self, change: Change) -> None:
        """Impose or end a fault.

        Raises:
            EmulationError: The kernel refuses it, or an agent imposes no such fault.
        """
        if change.action != "pause":
            raise EmulationError(f"an agent can't apply {change.action!r}")
        if change.after:
            await self._suspend()
        else:
            self._report_pause()
            await self._app.resume()

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
