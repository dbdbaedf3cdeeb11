"""The coordinator of a stack that runs by itself: it drives the scenario on what is already deployed.

It loads the topology anew from the code that the nodes were given, and records on the event bus, where
``wotemu report --stack`` finds the run.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from wotemu.deployment_file import load
from wotemu.emulation import Emulation, Listener, Result
from wotemu.errors import EmulationError
from wotemu.records import Event
from wotemu_runtime.bus import connect
from wotemu_runtime.engines.engine import Deployed, Engine, RoleEnded
from wotemu_runtime.engines.swarm.finished_tasks import PROXY_ALIAS, completed_tasks
from wotemu_runtime.engines.swarm.requirements import unmet
from wotemu_runtime.engines.swarm.services import roles
from wotemu_runtime.planning.code_bundle import unpack
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.recording.bus_mirror import MANIFEST, BusMirror, fetch, is_mirrored, mirrored
from wotemu_runtime.recording.checkpoint import Checkpoint
from wotemu_runtime.recording.run_directory import own_run_dir
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.container_environment import PROXY_PORT

WATCH_EVERY_S = 1.0
CODE_DIR = Path("/home/wotemu/code")
RUN_DIR = Path("/home/wotemu/run")


class Attached:
    """The engine of a stack that others deployed, and will remove."""

    name = "swarm"

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._roles: dict[str, list[str]] = {}

    async def deploy(self, plan: Plan) -> Deployed:
        """Nothing is left to do but to say what there is."""
        self._roles = roles(plan)
        return Deployed(
            bus=self._assignment.bus,
            shaper="",
            roles=plan.roles,
            addresses={},
            unenforced=tuple(unmet(plan)),
        )

    async def news(self) -> AsyncIterator[RoleEnded]:
        """Roles whose tasks are complete, as the Docker API proxy tells; none where there is no proxy.

        What ends otherwise, Swarm starts again.
        """
        seen: set[str] = set()
        while True:
            for service, slot in await completed_tasks(f"http://{PROXY_ALIAS}:{PROXY_PORT}"):
                role = self._role_of(service.removeprefix(f"{self._assignment.stack}_"), slot)
                if role is not None and role not in seen:
                    seen.add(role)
                    yield RoleEnded(role, "complete")
            await asyncio.sleep(WATCH_EVERY_S)

    def _role_of(self, service: str, slot: int) -> str | None:
        tasks = self._roles.get(service, ())
        return tasks[slot - 1] if 0 < slot <= len(tasks) else None

    async def remove(self) -> None:
        """Nothing: the stack stays until it is removed."""

    def leave(self) -> None:
        """Nothing: it does not remove the stack anyway."""


class StackEmulation(Emulation):
    """An emulation whose stack is there, and whose report is written elsewhere."""

    attached: Attached
    mirror: BusMirror

    def go_on(self) -> None:
        """Its coordinator died, and what that one recorded is in the run directory again."""
        self._anew = False
        manifest = json.loads((RUN_DIR / MANIFEST).read_bytes())
        self._started = manifest["started"]

    def _make_run_dir(self) -> Path:
        return own_run_dir(RUN_DIR) if self._anew else RUN_DIR

    def _code(self) -> bytes:
        return b""  # every container of the stack's coordinator has it

    def _kept(self) -> Checkpoint | None:
        """The bus may forget what the mirror has: this container's files go with it."""
        return self.mirror.kept

    def _make_engine(self, run_dir: Path) -> Engine:
        del run_dir
        return self.attached

    async def _report(self, run_dir: Path, listener: Listener) -> Path | None:
        del run_dir, listener
        return None


async def serve(assignment: Assignment) -> None:
    """Run the scenario once, from the moment when every role is ready to its end."""
    emulation = await asyncio.to_thread(_loaded, assignment)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, emulation.stop)
    client = await connect(assignment.bus)
    try:
        if await is_mirrored(client, assignment.stack):
            await fetch(client, assignment.stack, RUN_DIR)
            if _is_over(RUN_DIR):
                print("this stack's run is over: report it, and deploy it anew", flush=True)
                return
            emulation.go_on()
        async with mirrored(client, assignment.stack, RUN_DIR) as mirror:
            emulation.mirror = mirror
            result = await emulation.run(_tell)
    finally:
        await client.aclose()
    _tell_end(result)


def _is_over(run_dir: Path) -> bool:
    return json.loads((run_dir / MANIFEST).read_bytes())["ended"] is not None


def _loaded(assignment: Assignment) -> StackEmulation:
    """The emulation, if it comes to the timeline that the stack was written for."""
    data = assignment.data
    unpack(Path(data["bundle"]["path"]).read_bytes(), CODE_DIR, data["bundle"]["digest"])
    loaded = load(CODE_DIR / data["source"], data["func"])
    emulation = StackEmulation(
        loaded,
        name=assignment.stack,
        out=RUN_DIR,
        seed=data["seed"],
        duration=data["duration_s"],
        engine="swarm",
    )
    if emulation.timeline.hash != data["timeline"]:
        raise EmulationError(
            "the file does not come to the timeline that the stack was written for",
            where=data["source"],
            hint="a scenario must depend on nothing but its seed; write the compose file with this version",
        )
    emulation.attached = Attached(assignment)
    return emulation


def _tell(event: Event) -> None:
    print(f"{event.t:.3f} {event.kind} {event.source}: {event.message}", flush=True)


def _tell_end(result: Result) -> None:
    print(f"the run is {result.status}" + (f": {result.error}" if result.error else ""), flush=True)
