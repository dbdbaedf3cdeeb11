"""Runs that begin here, on the engine that is asked for."""

from __future__ import annotations

from pathlib import Path

import attrs

from wotemu.errors import InputError
from wotemu_runtime.engines.engine import Engine
from wotemu_runtime.engines.local.engine import LocalEngine
from wotemu_runtime.engines.local.monitor import Monitor
from wotemu_runtime.engines.swarm import needing_docker_client
from wotemu_runtime.planning import code_bundle
from wotemu_runtime.planning.models import CAPTURES
from wotemu_runtime.recording.checkpoint import Checkpoint
from wotemu_runtime.recording.run_directory import new_run_dir, own_run_dir
from wotemu_runtime.runs.run import RUNS


@attrs.frozen(kw_only=True)
class NewRun:
    """The context of a run that begins.

    Attributes:
        name: Name of the run.
        engine: ``local`` or ``swarm``.
        shaper: ``auto``, ``tun`` or ``netem``.
        root: The deployment's folder.
        out: The run directory; None for ``runs/NAME``, numbered if taken.
        keep: Whether the nodes stay on the swarm when the run is over.
        monitor: The monitor of the local engine's sandbox, where it was started early.
    """

    name: str
    engine: str
    shaper: str
    root: Path
    out: Path | None = None
    keep: bool = False
    monitor: Monitor | None = None

    started: None = attrs.field(default=None, init=False)

    def make_directory(self) -> Path:
        """Make the run directory."""
        return new_run_dir(RUNS, self.name) if self.out is None else own_run_dir(self.out)

    def make_engine(self, run_dir: Path) -> Engine:
        """Make the engine; `HostError` for the swarm's without its Docker client."""
        if self.engine == LocalEngine.name:
            return LocalEngine(
                run_dir / "logs" / "_wotemu.log",
                captures=run_dir / CAPTURES,
                shaper=self.shaper,
                monitor=self.monitor,
            )
        with needing_docker_client("engine swarm"):
            from wotemu_runtime.engines.swarm.engine import SwarmEngine
        return SwarmEngine(keep=self.keep, shaper=self.shaper)

    def pack_code(self) -> bytes:
        """The deployment's folder, on a swarm; `wotemu attach` needs ``--path`` where it is too large."""
        if self.engine == LocalEngine.name:
            return b""  # its nodes die with the coordinator: nothing can be taken over
        try:
            return code_bundle.pack(self.root)
        except InputError:
            return b""

    def safe_checkpoint(self) -> Checkpoint | None:
        """None: the run directory is on a disk that outlives this process."""
        return None
