"""The coordinator of a composed stack: it runs the scenario on what Docker Swarm has deployed already.

It loads the deployment from the code that the nodes were given, and records on the event bus, where
``wotemu report --stack`` finds the run.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import attrs

from wotemu.deployment_file import load
from wotemu.records import Event
from wotemu_runtime.bus import connect
from wotemu_runtime.coordination.outcome import Outcome
from wotemu_runtime.docker_proxy.client import PROXY_ALIAS, completed_tasks
from wotemu_runtime.engines.engine import Deployed, Engine, RoleEnded
from wotemu_runtime.engines.swarm.requirements import unsupported
from wotemu_runtime.engines.swarm.services import roles
from wotemu_runtime.planning.code_bundle import unpack
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.recording.bus_mirror import MANIFEST, BusMirror, fetch, is_mirrored, mirrored
from wotemu_runtime.recording.checkpoint import Checkpoint
from wotemu_runtime.recording.run_directory import own_run_dir
from wotemu_runtime.roles.assignment import Assignment
from wotemu_runtime.roles.container_environment import PROXY_PORT
from wotemu_runtime.runs.run import Run, RunSettings

WATCH_EVERY_S = 1.0
CODE_DIR = Path("/home/wotemu/code")
RUN_DIR = Path("/home/wotemu/run")


class DeployedEngine:
    """The engine of a stack that ``docker stack deploy`` placed, and ``docker stack rm`` removes."""

    name = "swarm"
    image = None

    def __init__(self, assignment: Assignment) -> None:
        """Take the coordinator's assignment, which has the stack's name and bus."""
        self._assignment = assignment
        self._roles_by_service: dict[str, list[str]] = {}

    async def deploy(self, plan: Plan) -> Deployed:
        """Create nothing; return what is deployed."""
        self._roles_by_service = roles(plan)
        return Deployed(
            bus=self._assignment.bus,
            shaper="",  # gateways report theirs over the bus
            roles=plan.roles,
            addresses={},
            unenforced=tuple(unsupported(plan)),
        )

    async def news(self) -> AsyncIterator[RoleEnded]:
        """Roles whose tasks are complete, by the Docker API proxy; none where there is no proxy.

        Tasks that end otherwise are no news: Swarm restarts them.
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
        tasks = self._roles_by_service.get(service, ())
        return tasks[slot - 1] if 0 < slot <= len(tasks) else None  # Swarm counts slots from 1

    async def remove(self) -> None:
        """Remove nothing: the stack stays until ``docker stack rm``."""

    def leave(self) -> None:
        """Nothing to give up: `remove` removes nothing anyway."""


@attrs.define
class ComposedRun:
    """The context of a composed stack's run, whose record outlives this container on the event bus alone.

    `started` and `mirror` are set once the bus is reached: it has what an earlier coordinator recorded.
    """

    engine: DeployedEngine
    started: float | None = None
    mirror: BusMirror | None = None

    def make_directory(self) -> Path:
        """The container's run directory; `fetch` has filled it if an earlier coordinator died."""
        return RUN_DIR if self.started is not None else own_run_dir(RUN_DIR)

    def make_engine(self, run_dir: Path) -> Engine:
        """The engine of what is deployed."""
        del run_dir
        return self.engine

    def pack_code(self) -> bytes:
        """Nothing: every container of the coordinator's service has it."""
        return b""

    def safe_checkpoint(self) -> Checkpoint | None:
        """How much the mirror has sent: the container's own files go with the container."""
        return None if self.mirror is None else self.mirror.kept


async def serve(assignment: Assignment) -> None:
    """Run the scenario once, or go on with the run of a coordinator that died."""
    context = ComposedRun(DeployedEngine(assignment))
    run = await asyncio.to_thread(_planned, assignment, context)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, run.stop)
    client = await connect(assignment.bus)
    try:
        if await is_mirrored(client, assignment.stack):
            await fetch(client, assignment.stack, RUN_DIR)
            earlier = json.loads((RUN_DIR / MANIFEST).read_bytes())
            if earlier["ended"] is not None:
                print("the run of this stack is over: report it, and deploy the stack again", flush=True)
                return
            context.started = earlier["started"]
        async with mirrored(client, assignment.stack, RUN_DIR) as mirror:
            context.mirror = mirror
            _, outcome = await run.execute(_print_event)
    finally:
        await client.aclose()
    _print_end(outcome)


def _planned(assignment: Assignment, context: ComposedRun) -> Run:
    """Plan the run; `EmulationError` where the code gives another timeline than the stack was written for."""
    data = assignment.data
    unpack(Path(data["bundle"]["path"]).read_bytes(), CODE_DIR, data["bundle"]["digest"])
    run = Run(
        load(CODE_DIR / data["source"], data["func"]),
        RunSettings(name=assignment.stack, engine="swarm"),
        context,
        seed=data["seed"],
        duration=data["duration_s"],
    )
    run.check_timeline(
        data["timeline"], where=data["source"], hint="write the compose file with this version"
    )
    return run


def _print_event(event: Event) -> None:
    print(f"{event.t:.3f} {event.kind} {event.source}: {event.message}", flush=True)


def _print_end(outcome: Outcome) -> None:
    print(f"the run is {outcome.status}" + (f": {outcome.error}" if outcome.error else ""), flush=True)
