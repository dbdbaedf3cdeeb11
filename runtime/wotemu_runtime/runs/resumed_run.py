"""Take over an emulation on a swarm whose coordinator died: from its bus and code to a run that goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from wotemu.deployment_file import load
from wotemu.errors import InputError, WotemuError
from wotemu.fidelity import Thresholds
from wotemu_runtime.bus import BusAddress, Streams
from wotemu_runtime.coordination.coordinator_lease import Lease
from wotemu_runtime.engines.engine import Engine
from wotemu_runtime.engines.local.engine import LocalEngine
from wotemu_runtime.planning import code_bundle
from wotemu_runtime.recording.checkpoint import Checkpoint
from wotemu_runtime.recording.run_directory import new_run_dir, own_run_dir
from wotemu_runtime.runs.run import RUNS, Run, RunSettings
from wotemu_runtime.runs.swarm_access import COORDINATOR, bus_client, stack_on_swarm

if TYPE_CHECKING:
    from wotemu_runtime.engines.swarm.stack import Stack


@attrs.frozen
class OrphanedRun:
    """A run on a swarm without a coordinator.

    Attributes:
        name: Its name.
        bus: Where its event bus is.
        card: What its coordinator left for one that takes over; `Run` writes it.
        code: The deployment's folder, packed; empty where it was too large to be stored on the bus.
    """

    name: str
    bus: BusAddress
    card: dict[str, Any]
    code: bytes = attrs.field(repr=False)


async def find_orphaned_run(name: str) -> OrphanedRun:
    """Find the run called `name` on the swarm of DOCKER_HOST.

    Raises:
        InputError: There is none, or nothing is left to coordinate.
        EmulationError: Another process coordinates it.
    """
    async with stack_on_swarm(name) as stack:
        if COORDINATOR in await _services(stack):
            raise InputError(
                "its coordinator is a service of the stack, which Swarm starts again by itself",
                where=f"emulation {name!r}",
                hint=f"wotemu report --stack {name} reports on it so far",
            )
        bus = await stack.bus()
        async with bus_client(bus) as client:
            text = await client.get(Streams(name).card)
            if text is None:
                raise InputError(
                    "its coordinator died before the deployment was complete",
                    where=f"emulation {name!r}",
                    hint=f"wotemu rm {name} removes it",
                )
            card = json.loads(text)
            if "status" in card:  # written when a run is over: its nodes stay because of --keep
                raise InputError(
                    f"its run is {card['status']}, and recorded in {card['run_dir']} on {card['host']}",
                    where=f"emulation {name!r}",
                    hint=f"its nodes go on unrecorded until wotemu rm {name} removes them",
                )
            # Acquired and released: this raises where another coordinator lives, before anything is unpacked.
            lease = Lease(client, Streams(name))
            await lease.acquire()
            await lease.release()
            # Read last: it may have some MB.
            code = await client.get(Streams(name).code)
        return OrphanedRun(name, bus, card, bytes(code or b""))  # type: ignore[arg-type]  # nothing is decoded


async def _services(stack: Stack) -> set[str]:
    try:
        return set(await stack.services())
    except WotemuError as error:
        # Before what Docker says: users of the local engine may have no Docker at all.
        _refuse_local(RUNS / stack.name)
        if isinstance(error, InputError):
            raise InputError(
                f"there is no emulation {stack.name!r} on this swarm",
                where="NAME",
                hint="wotemu ps lists them; one of the local engine ends with the process that runs it",
            ) from error
        raise


def _refuse_local(run_dir: Path) -> None:
    """Raise `InputError` where the local engine made this run directory: most likely that run is meant."""
    manifest = run_dir / "manifest.json"
    if manifest.is_file() and json.loads(manifest.read_bytes()).get("engine") == LocalEngine.name:
        raise InputError(
            "the local engine's emulation ends with the process that runs it: there is nothing to take over",
            where=f"run directory {run_dir}",
            hint=f"wotemu report {run_dir} writes the report of what it recorded",
        )


def _unpacked(orphan: OrphanedRun, code_dir: Path) -> Path:
    """Unpack the deployment's folder as the bus has it; the path of its file."""
    if not orphan.code:
        raise InputError(
            "its code was too large to be stored on the swarm",
            where=f"emulation {orphan.name!r}",
            hint=f"give the file {orphan.card['source']} with --path",
        )
    code_bundle.unpack(orphan.code, code_dir, code_bundle.digest(orphan.code))
    return code_dir / str(orphan.card["source"])


@attrs.frozen
class ResumedRun:
    """The context of a run that another process began, on the services that are stack.

    It goes on in the earlier run directory where that is on this machine, else in a new one.
    """

    orphan: OrphanedRun
    out: Path | None = None

    @property
    def started(self) -> float:
        """When the first coordinator began."""
        return float(self.orphan.card["started"])

    def make_directory(self) -> Path:
        """The earlier run directory, if it is of this run; else a new one."""
        for path in filter(None, (self.out, Path(self.orphan.card["run_dir"]))):
            earlier = Checkpoint.load(path)
            if earlier is not None and earlier.run == self.orphan.card["run"]:
                return path
        return new_run_dir(RUNS, self.orphan.name) if self.out is None else own_run_dir(self.out)

    def make_engine(self, run_dir: Path) -> Engine:
        """The engine that watches and removes what is there, and creates nothing."""
        from wotemu_runtime.engines.swarm.engine import SwarmEngine

        del run_dir
        return SwarmEngine(keep=self.orphan.card["keep"], adopted_bus=self.orphan.bus)

    def pack_code(self) -> bytes:
        """Nothing: the bus has it from the first coordinator."""
        return b""

    def safe_checkpoint(self) -> Checkpoint | None:
        """None: the run directory is on a disk that outlives this process."""
        return None


def resume(orphan: OrphanedRun, code_dir: Path, *, path: Path | None = None, out: Path | None = None) -> Run:
    """Plan the rest of a run, as its first coordinator planned the whole.

    Args:
        orphan: The run.
        code_dir: An empty directory for the deployment's code, which has to stay until the run's end.
        path: The deployment's file; None for the copy that the first coordinator stored on the bus.
        out: The run directory; None for the earlier one, or a new one.

    Raises:
        InputError: No copy is on the bus, and `path` is not given.
        EmulationError: The file gives another timeline than the nodes follow.
    """
    card = orphan.card
    run = Run(
        load(path or _unpacked(orphan, code_dir)),
        RunSettings(
            name=orphan.name,
            engine="swarm",
            command=card["command"],
            thresholds=None if card["thresholds"] is None else Thresholds(**card["thresholds"]),
            strict=card["strict"],
            keep=card["keep"],
        ),
        ResumedRun(orphan, out),
        duration=card["duration_s"],
        seed=card["seed"],
    )
    run.check_timeline(
        card["timeline"], where=str(path or card["source"]), hint="attach with the version that ran it"
    )
    return run
