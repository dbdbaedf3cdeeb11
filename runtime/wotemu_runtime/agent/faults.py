"""Imposes the faults of one node that its timeline asks for, and measures whether they had an effect."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import attrs

from wotemu.errors import EmulationError
from wotemu.scenario.timeline import Change
from wotemu_runtime.agent.limit_setting import LimitSetting, limits_after
from wotemu_runtime.agent.process_tree import END_DEADLINE_S, Process
from wotemu_runtime.agent.resource_usage import Sampler, throttled
from wotemu_runtime.agent.supervision.app_supervisor import AppSupervisor
from wotemu_runtime.roles.role import Role

AppProcesses = Callable[[], Mapping[int, Process]]


class Plug(Protocol):
    """Changes a node's own interfaces."""

    def __call__(self, network: str, *, is_in: bool) -> None:
        """Set the interface on a network up, or take it down. Raises OSError."""


@attrs.frozen
class _Pause:
    """A pause that holds: since when, how, and the CPU time that each process had used by then."""

    since: float
    by: str
    cpu_s: Mapping[int, float]


@attrs.define
class _Stress:
    """A stress that holds: since when, what was asked, and for how long the node was paused meanwhile."""

    since: float
    cpu: float | None
    mem_bytes: int | None
    throttled_s: float
    paused_s: float = 0.0


@attrs.frozen
class _Fill:
    """A scratch folder that is filled: since when, what was to be left, and what was used then."""

    since: float
    leave_bytes: int
    used_bytes: int


class NodeFaults:
    """The faults of one replica.

    Args:
        role: The replica's role.
        app: Its app, whose launcher suspends processes, starts others, and fills the scratch folder.
        processes: The app's processes that are there now, by their id.
        sampler: Records the limits that hold.
        limit_setting: Sets them.
        throttling: Directories of the control groups that limit the app's CPU, where the engine made none.
        plug: Takes part in changes that unplug the node, where its gateways can't do it alone.
    """

    def __init__(
        self,
        role: Role,
        app: AppSupervisor,
        processes: AppProcesses,
        sampler: Sampler,
        limit_setting: LimitSetting,
        throttling: tuple[str, ...] = (),
        plug: Plug | None = None,
    ) -> None:
        data = role.assignment.data
        self._throttling: tuple[str, ...] = tuple(data["cgroups"]) or throttling
        self._limit_setting = limit_setting
        self._at_start: tuple[float | None, int | None] = data["cpu_limit"], data["mem_limit_bytes"]
        self._limits = self._at_start
        self._missed_limits: list[Change] = []
        self._sampler = sampler
        self._plug = plug
        self._role = role
        self._replica = role.assignment.subject
        self._app = app
        self._processes = processes
        self._pause: _Pause | None = None
        self._stress: _Stress | None = None
        self._fill: _Fill | None = None
        self._missed: dict[str, Change] = {}

    def __repr__(self) -> str:
        return f"<NodeFaults of {self._replica}{', paused' if self._pause else ''}>"

    def catch_up(self, missed: Iterable[Change]) -> None:
        """Take what an earlier agent missed, before the app runs."""
        plugs: dict[str | None, Change] = {}
        for change in missed:
            if change.action == "pause":
                self._app.is_paused = bool(change.after)
            elif change.action == "limit":
                self._missed_limits.append(change)
            elif change.action == "disconnect":
                plugs[change.network] = change
            else:
                self._missed[change.action] = change
        for change in plugs.values():
            try:
                if change.after:  # the interfaces of a new container are up
                    self._set_plug(change)
            except (EmulationError, OSError) as error:
                self._report_failure(change, error)

    async def begin_limits(self) -> None:
        """Have the limits hold that are to hold now, before the app runs."""
        so_far = [self._at_start, *(limits_after(each, self._at_start) for each in self._missed_limits)]
        try:
            await self._limit_setting.begin(so_far)
        except (EmulationError, OSError) as error:
            if not self._missed_limits:
                raise
            self._report_failure(self._missed_limits[-1], error)
        else:
            self._limits = so_far[-1]
            self._sampler.limit(*self._limits)

    async def impose_missed(self) -> None:
        """Impose what the launcher has to, of what an earlier agent missed."""
        for change in self._missed.values():
            try:
                await self.apply(change)
            except EmulationError as error:
                self._report_failure(change, error)

    def _report_failure(self, change: Change, error: Exception) -> None:
        what = f"{change.action} of {change.target}"
        self._role.event("change.failed", f"{what}: {error}", id=change.id)

    async def apply(self, change: Change) -> None:
        """Impose or end a fault.

        Raises:
            EmulationError: The kernel refuses it, or an agent imposes no such fault.
            OSError: The kernel refuses to take an interface down or set it up.
        """
        match change.action:
            case "pause" if change.after:
                await self._suspend()
            case "pause":
                self._report_pause()
                await self._app.resume()
            case "limit":
                await self._limit(change)
            case "disconnect":
                self._set_plug(change)
            case "stress":
                await self._set_stress(change.after)
            case "fill_disk":
                await self._set_fill(change.after["leave_bytes"])
            case "skew_clock":
                await self._skew_clock(change)
            case other:
                raise EmulationError(f"an agent can't apply {other!r}")

    async def _limit(self, change: Change) -> None:
        limits = limits_after(change, self._at_start)
        await self._limit_setting.set(*limits)
        self._limits = limits
        self._sampler.limit(*limits)

    def _set_plug(self, change: Change) -> None:
        """Take an interface down or set it up. The network's gateway, which answers, drops the packets."""
        network, is_in = str(change.network), not change.after
        if self._plug is None:
            raise EmulationError(f"an agent can't unplug {self._replica}: its gateway does that alone")
        self._plug(network, is_in=is_in)
        late_s = self._role.now() - (self._role.t0.result() + change.at_s)
        kind, state = ("interface.up", "up") if is_in else ("interface.down", "down")
        text = f"{self._replica}: its interface on {network} is {state}"
        self._role.event(kind, text, id=change.id, network=network, late_s=late_s)

    async def end(self) -> None:
        """At the end of the run: end and report what still holds. The supervisor resumes a paused node."""
        self._report_pause()
        with contextlib.suppress(EmulationError, TimeoutError):  # the node is gone, and its faults with it
            async with asyncio.timeout(END_DEADLINE_S):
                await self._end_stress()
                await self._free_disk()

    # Pauses

    async def _suspend(self) -> None:
        by = await self._app.pause()
        used = {pid: process.cpu_s for pid, process in self._processes().items()}
        self._pause = _Pause(self._role.now(), by, used)

    def _report_pause(self) -> None:
        """Say how a pause went, while it still holds."""
        pause, self._pause = self._pause, None
        if pause is None:
            return
        processes = self._processes()
        used_s = sum(max(0.0, each.cpu_s - pause.cpu_s.get(pid, 0.0)) for pid, each in processes.items())
        lasted_s = self._role.now() - pause.since
        if self._stress is not None:
            self._stress.paused_s += self._role.now() - max(pause.since, self._stress.since)
        self._role.event(
            "pause.ended",
            f"{self._replica} was paused for {lasted_s:.3f} s",
            by=pause.by,
            lasted_s=lasted_s,
            cpu_s=used_s,
            processes=len(processes),
        )

    # Stress

    async def _set_stress(self, asked: Mapping[str, Any]) -> None:
        await self._end_stress()
        cpu, mem_bytes = asked["cpu"], asked["mem_bytes"]
        if cpu is None and mem_bytes is None:
            return
        self._check_stress(cpu, mem_bytes)
        await self._app.launcher.impose("stress", cpu=cpu, mem_bytes=mem_bytes)
        self._stress = _Stress(self._role.now(), cpu, mem_bytes, self._throttled_s())

    def _check_stress(self, cpu: float | None, mem_bytes: int | None) -> None:
        """Check that a stress has room in the node and on this machine. Raises EmulationError otherwise."""
        import psutil  # few nodes have a use for it

        from wotemu_runtime.planning.stress_check import MEMORY_LEFT_BYTES

        cores = min(self._limits[0] or float("inf"), psutil.cpu_count() or 1)
        if cpu is not None and cpu > cores:
            raise EmulationError(f"it can't use {cpu:g} cores: it has {cores:g}")
        if mem_bytes is None:
            return
        limit, free = self._limits[1], psutil.virtual_memory().available - MEMORY_LEFT_BYTES
        if limit is not None and mem_bytes >= limit:
            raise EmulationError(f"it can't hold {_size(mem_bytes)}: its limit is {_size(limit)}")
        if mem_bytes > free:
            raise EmulationError(
                f"it can't hold {_size(mem_bytes)}: this machine has {_size(max(0, free))} to spare"
            )

    async def _end_stress(self) -> None:
        """End a stress, and report how it went."""
        stress, self._stress = self._stress, None
        if stress is None:
            return
        now, used = self._role.now(), await self._app.launcher.impose("unstress")
        paused_s = stress.paused_s
        if self._pause is not None:
            paused_s += now - max(self._pause.since, stress.since)
        lasted_s = max(0.0, now - stress.since - paused_s)
        self._role.event(
            "stress.ended",
            f"{self._replica} was stressed for {lasted_s:.3f} s: {_used(stress, used, lasted_s)}",
            cpu=stress.cpu,
            mem_bytes=stress.mem_bytes,
            lasted_s=lasted_s,
            cpu_s=used["cpu_s"],
            held_bytes=used["held_bytes"],
            throttled_s=max(0.0, self._throttled_s() - stress.throttled_s),
            died=used["died"],
        )

    def _throttled_s(self) -> float:
        return throttled(self._throttling).get("throttled", 0.0)

    # Scratch folder

    async def _set_fill(self, leave_bytes: int | None) -> None:
        await self._free_disk()
        if leave_bytes is not None:
            found = await self._app.launcher.impose("fill_disk", leave_bytes=leave_bytes)
            self._fill = _Fill(self._role.now(), leave_bytes, found["used_bytes"])

    async def _free_disk(self) -> None:
        fill, self._fill = self._fill, None
        if fill is None:
            return
        now, found = self._role.now(), await self._app.launcher.impose("free_disk")
        lasted_s = now - fill.since
        self._role.event(
            "disk.freed",
            f"the scratch folder of {self._replica} was full for {lasted_s:.3f} s, "
            f"{_size(fill.leave_bytes)} were left",
            leave_bytes=fill.leave_bytes,
            lasted_s=lasted_s,
            used_before_bytes=fill.used_bytes,
            used_after_bytes=found["used_bytes"],
        )

    # Wall clock

    async def _skew_clock(self, change: Change) -> None:
        from wotemu.scenario.change_text import clock_text

        by_s = float(change.after["by_s"])
        found = await self._app.launcher.impose("skew_clock", by_s=by_s)
        self._role.event(
            "clock.skewed",
            f"{self._replica}: {clock_text(by_s)}; a program there reads it {found['ahead_s']:+.6f} s off",
            by_s=by_s,
            before_s=change.before["by_s"],
            read_s=found["ahead_s"],
        )
        if by_s and (unreached := found["unreached"]):
            text = f"{self._replica}: {', '.join(unreached)} read the right time: libfaketime is not in them"
            self._role.event("clock.unreached", text, programs=unreached)


def _used(stress: _Stress, used: Mapping[str, Any], lasted_s: float) -> str:
    """What a stress used of what it was to use: ``0.49 of 0.5 cores, 64MiB of 64MiB``."""
    words = []
    if stress.cpu is not None:
        words.append(f"{used['cpu_s'] / max(lasted_s, 1e-9):.3g} of {stress.cpu:g} cores")
    if stress.mem_bytes is not None:
        words.append(f"{_size(used['held_bytes'])} of {_size(stress.mem_bytes)} held")
    return ", ".join([*words, *([f"it ended early, {used['died']}"] if used["died"] else [])])


def _size(number: int) -> str:
    """A number of bytes in words."""
    from wotemu.units import Bytes

    return str(Bytes(number))
