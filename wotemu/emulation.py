"""The programmatic way to run an emulation; the command line is a thin shell around it.

    async def main():
        loaded = load("deployment.py")
        emulation = Emulation(loaded, duration="30s")
        result = await emulation.run(print)
"""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attrs
import psutil

from wotemu.errors import HostError, InputError, WotemuError
from wotemu.records import SCHEMA_VERSION, Event
from wotemu.scenario import resolve
from wotemu.topology.checks import HOST_NAME, MAX_NAME
from wotemu.topology.load import Loaded
from wotemu.units import Like
from wotemu_runtime.coordinator import Coordinator, Outcome
from wotemu_runtime.engines.local.engine import LocalEngine, check_host
from wotemu_runtime.plan import make_plan
from wotemu_runtime.recorder import Recorder, losses, new_run_dir

Listener = Callable[[Event], None]

EXIT_INTERRUPTED = 130


@attrs.frozen
class Result:
    """What a run came to. `report` is None where none could be written."""

    status: str
    run_dir: Path
    report: Path | None
    error: WotemuError | None

    @property
    def exit_code(self) -> int:
        """The command's: 0 done, 2 bad input, 3 the emulation failed, 130 interrupted."""
        if self.error is not None:
            return self.error.exit_code
        return {"done": 0, "interrupted": EXIT_INTERRUPTED}.get(self.status, 3)


class Emulation:
    """One run of one file. All of its input is checked when it is made; `run` starts it."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        name: str | None = None,
        out: Path | None = None,
        duration: Like | None = None,
        seed: int | None = None,
        shaper: str = "auto",
        command: list[str] | None = None,
    ) -> None:
        self.name = _run_name(name or loaded.path.stem)
        self._loaded = loaded
        self._out = out
        self._command = command or []
        scenario = loaded.scenario.overridden(duration=duration, seed=seed)
        self.timeline, self.warnings = resolve(loaded.topology, scenario)
        self.plan = make_plan(loaded.topology, self.timeline, stack=self.name, root=loaded.root)
        self._check_shaper(shaper)
        check_host()
        self._coordinator: Coordinator | None = None

    def __repr__(self) -> str:
        return f"Emulation({self.name!r}, {len(self.plan.replicas)} replicas, {self.timeline.duration_s:g} s)"

    def _check_shaper(self, shaper: str) -> None:
        if shaper == "netem":
            raise HostError(
                "the local engine moves packets through TAP devices, which have no NetEm",
                where="--shaper netem",
                hint="use --shaper tun, or auto",
            )

    def stop(self) -> None:
        """End the run early and cleanly; the report is written."""
        if self._coordinator is not None:
            self._coordinator.stop()

    async def run(self, listener: Listener = lambda event: None) -> Result:
        """Run it to its end and write the report. `listener` gets every event as it happens."""
        started = time.time()
        run_dir = self._make_run_dir()
        recorder = Recorder(run_dir)
        recorder.write_json("topology.json", self._loaded.topology.to_dict())
        recorder.write_json("timeline.json", self.timeline.to_dict())
        engine = LocalEngine(run_dir / "logs" / "_wotemu.log")
        self._coordinator = Coordinator(self.plan, engine, recorder, listener)
        recorder.write_json("manifest.json", self._manifest(Outcome(ended=started), recorder, started))
        try:
            outcome = await self._coordinator.run()
        finally:
            outcome = self._coordinator.outcome
            recorder.finish()
            recorder.write_json("manifest.json", self._manifest(outcome, recorder, started))
        report = await asyncio.to_thread(write_report, run_dir)
        return Result(outcome.status, run_dir, report, outcome.error)

    def _make_run_dir(self) -> Path:
        if self._out is not None:
            return new_run_dir(self._out.parent, self._out.name)
        return new_run_dir(Path("runs"), self.name)

    def _manifest(self, outcome: Outcome, recorder: Recorder, started: float) -> dict[str, Any]:
        deployed = outcome.deployed
        return {
            "schema": SCHEMA_VERSION,
            "name": self.name,
            "wotemu_version": version("wotemu"),
            "engine": LocalEngine.name,
            "shaper": deployed.shaper if deployed else "",
            "python": platform.python_version(),
            "kernel": platform.release(),
            "host": {
                "name": platform.node(),
                "cpus": psutil.cpu_count(),
                "mem_bytes": psutil.virtual_memory().total,
            },
            "source": self._loaded.path.name,
            "command": self._command,
            "seed": self.timeline.seed,
            "timeline_hash": self.timeline.hash,
            "started": started,
            "t0": outcome.t0,
            "ended": outcome.ended,
            "duration_s": self.timeline.duration_s,
            "status": outcome.status,
            "error": str(outcome.error or ""),
            "warnings": self.warnings,
            "unenforced": list(deployed.unenforced) if deployed else [],
            "replicas": {
                replica.name: {
                    "node": replica.node,
                    "kind": replica.kind,
                    "addresses": deployed.addresses.get(replica.name, {}) if deployed else {},
                    "app": replica.runs,
                }
                for replica in self.plan.replicas
            },
            "wotpy_fixes": {
                replica.node: list(replica.app.wotpy_fixes)
                for replica in self.plan.replicas
                if replica.app is not None and replica.app.wotpy_fixes
            },
            "losses": losses(outcome.losses),
            "records": dict(recorder.counts),
        }


def write_report(run_dir: Path, out_dir: Path | None = None) -> Path:
    """Write a run's report; its tables are made first if the run was killed before it could."""
    from wotemu_report import write_report as write

    from wotemu_runtime.recorder import finish_tables

    finish_tables(run_dir)
    return write(run_dir, out_dir)


def _run_name(name: str) -> str:
    if not HOST_NAME.match(name) or len(name) > MAX_NAME:
        raise InputError(f"{name!r} can't name a run", where="--name", hint="use letters, digits, '-' and '_'")
    return name
