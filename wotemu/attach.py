"""Takes over an emulation on a swarm whose coordinator died: from its bus and code to a run that goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from wotemu.deployment_file import load
from wotemu.emulation import Emulation
from wotemu.errors import EmulationError, InputError, WotemuError
from wotemu.stack import COORDINATOR, connected, stack_on_swarm
from wotemu_runtime.bus import BusAddress, Streams
from wotemu_runtime.coordination.coordinator_lease import Lease
from wotemu_runtime.engines.engine import Engine
from wotemu_runtime.engines.local.engine import LocalEngine
from wotemu_runtime.fidelity import Thresholds
from wotemu_runtime.planning import code_bundle
from wotemu_runtime.recording.checkpoint import Checkpoint
from wotemu_runtime.recording.run_directory import new_run_dir, own_run_dir

if TYPE_CHECKING:
    from wotemu_runtime.engines.swarm.stack import Stack


@attrs.frozen
class Orphan:
    """An emulation without a coordinator: where its bus is, its code, and the card that `Emulation` wrote.

    `code` is empty where the deployment's folder was too large to be kept.
    """

    name: str
    bus: BusAddress
    card: dict[str, Any]
    code: bytes = attrs.field(repr=False)


async def find(name: str) -> Orphan:
    """The emulation called `name` on the swarm of DOCKER_HOST.

    Raises `InputError` where there is none, or nothing is left to coordinate, and `EmulationError` where
    somebody coordinates it.
    """
    async with stack_on_swarm(name) as there:
        if COORDINATOR in await _services(there):
            raise InputError(
                "its coordinator is a service of the stack, which Swarm starts again by itself",
                where=f"emulation {name!r}",
                hint=f"wotemu report --stack {name} tells how far it is",
            )
        bus = await there.bus()
        async with connected(bus) as client:
            text = await client.get(Streams(name).card)
            if text is None:
                raise InputError(
                    "its coordinator died before all of it was there",
                    where=f"emulation {name!r}",
                    hint=f"wotemu rm {name} removes it",
                )
            card = json.loads(text)
            if "status" in card:
                raise InputError(
                    f"its run is {card['status']}, and recorded in {card['run_dir']} on {card['host']}",
                    where=f"emulation {name!r}",
                    hint=f"it goes on unrecorded until wotemu rm {name} ends it",
                )
            lease = Lease(client, Streams(name))
            await lease.acquire()
            await lease.release()
            code = await client.get(Streams(name).code)
        return Orphan(name, bus, card, bytes(code or b""))  # type: ignore[arg-type]  # nothing is decoded


async def _services(there: Stack) -> set[str]:
    try:
        return set(await there.services())
    except WotemuError as error:
        _refuse_local(Path("runs") / there.name)
        if isinstance(error, InputError):
            raise InputError(
                f"there is no emulation {there.name!r} on this swarm",
                where="NAME",
                hint="wotemu ps lists them; one of the local engine ends with the process that runs it",
            ) from error
        raise


def _refuse_local(run_dir: Path) -> None:
    """Where the local engine made a directory of this name, that is what was meant."""
    manifest = run_dir / "manifest.json"
    if manifest.is_file() and json.loads(manifest.read_bytes()).get("engine") == LocalEngine.name:
        raise InputError(
            "the local engine's emulation ends with the process that runs it: there is nothing to take over",
            where=f"run directory {run_dir}",
            hint=f"wotemu report --run {run_dir} writes the report of what it recorded",
        )


def _unpacked(orphan: Orphan, code_dir: Path) -> Path:
    """The deployment's file, in its folder as the swarm keeps it."""
    if not orphan.code:
        raise InputError(
            "the swarm does not keep its code, which is too large",
            where=f"emulation {orphan.name!r}",
            hint=f"--path names the file: {orphan.card['source']}",
        )
    code_bundle.unpack(orphan.code, code_dir, code_bundle.digest(orphan.code))
    return code_dir / str(orphan.card["source"])


class Attached(Emulation):
    """The rest of an emulation that another process began.

    It goes on in that one's run directory where that is on this machine, else in a new one.
    """

    def __init__(
        self, orphan: Orphan, code_dir: Path, *, path: Path | None = None, out: Path | None = None
    ) -> None:
        """`code_dir` is an empty directory for the deployment's code, which has to stay until the end.

        `path` is the deployment's file, where the swarm's copy is not to be used.
        """
        card = orphan.card
        super().__init__(
            load(path or _unpacked(orphan, code_dir)),
            name=orphan.name,
            out=out,
            duration=card["duration_s"],
            seed=card["seed"],
            command=card["command"],
            thresholds=None if card["thresholds"] is None else Thresholds(**card["thresholds"]),
            strict=card["strict"],
            engine="swarm",
            keep=card["keep"],
        )
        if self.timeline.hash != card["timeline"]:
            raise EmulationError(
                "the file does not come to the timeline that the run follows",
                where=str(path or card["source"]),
                hint="a scenario must depend on nothing but its seed; attach with the version that ran it",
            )
        self._orphan = orphan
        self._anew = False
        self._started = card["started"]

    def _make_engine(self, run_dir: Path) -> Engine:
        from wotemu_runtime.engines.swarm.adopted import TakenOver

        del run_dir
        return TakenOver(self._orphan.bus, keep=self._keep)

    def _make_run_dir(self) -> Path:
        run = self._orphan.card["run"]
        for path in filter(None, (self._out, Path(self._orphan.card["run_dir"]))):
            earlier = Checkpoint.load(path)
            if earlier is not None and earlier.run == run:
                return path
        return new_run_dir(Path("runs"), self.name) if self._out is None else own_run_dir(self._out)
