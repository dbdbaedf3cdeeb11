"""Emulations on a real swarm, for the tests of this folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiodocker
import attrs

from tests.docker.lab import HOSTS
from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun, Result
from wotemu.records import Event
from wotemu.scenario import Scenario
from wotemu.topology.models import Topology
from wotemu_runtime.engines.swarm.removal import HOLDINGS, objects_of
from wotemu_runtime.engines.swarm.specs import ROLE_LABEL, STACK_LABEL

LAB = Path(os.environ.get("WOTEMU_SWARM_LAB", "../shared/lab/swarm"))


@attrs.define
class Running:
    """An emulation under way: what has been heard of it, and how to wait for more."""

    emulation: ReportedRun
    events: list[Event] = attrs.field(factory=list)
    _came: asyncio.Condition = attrs.field(factory=asyncio.Condition)
    _result: asyncio.Future[Result] = attrs.field(factory=lambda: asyncio.get_running_loop().create_future())

    async def run(self) -> None:
        tasks = set()

        async def wake() -> None:
            async with self._came:
                self._came.notify_all()

        def heard(event: Event) -> None:
            self.events.append(event)
            tasks.add(asyncio.ensure_future(wake()))

        self._result.set_result(await self.emulation.run(heard))
        await wake()

    async def saw(self, kind: str, role: str = "", since: int = 0, deadline_s: float = 60.0) -> Event:
        """The first such event from event number `since` on, of `role` where given, once it is there."""

        def found() -> Event | None:
            fitting = (e for e in self.events[since:] if e.kind == kind)
            return next((e for e in fitting if not role or e.data["role"] == role), None)

        try:
            async with asyncio.timeout(deadline_s), self._came:
                await self._came.wait_for(lambda: found() is not None or self._result.done())
        except TimeoutError:
            raise AssertionError(f"no {kind} of {role or 'anybody'} in {deadline_s:g} s") from None
        event = found()
        assert event is not None, self._result.result().error
        return event

    @property
    def run_dir(self) -> Path:
        """Where it is recorded."""
        assert self.emulation.run_dir is not None
        return self.emulation.run_dir

    @property
    def mark(self) -> int:
        """The number of the next event."""
        return len(self.events)

    async def result(self) -> Result:
        return await self._result


@asynccontextmanager
async def running(folder: Path, topology: Topology, scenario: Scenario, name: str) -> AsyncIterator[Running]:
    """An emulation that runs while the block does; afterwards it is over and removed, come what may."""
    (folder / "code").mkdir(parents=True)
    deployment = Deployment(topology, scenario, folder / "code" / "deployment.py")
    run = Running(ReportedRun(deployment, name=name, out=folder / "run", engine="swarm"))
    async with asyncio.TaskGroup() as group:
        group.create_task(run.run())
        try:
            yield run
        finally:
            run.emulation.stop()


async def lab(*command: str) -> None:
    """Have the swarm's lab do something to a machine."""
    process = await asyncio.create_subprocess_exec(str(LAB), *command)
    assert await process.wait() == 0, command


@asynccontextmanager
async def dockers() -> AsyncIterator[list[aiodocker.Docker]]:
    """The daemons of the swarm, the manager first."""
    clients = [aiodocker.Docker(url=host) for host in HOSTS]
    try:
        yield clients
    finally:
        for client in clients:
            await client.close()


async def kill(stack: str, service: str) -> None:
    """SIGKILL the container of a service's task, whichever machine it is on."""
    killed = 0
    async with dockers() as clients:
        for docker in clients:
            filters = {"name": [f"^/?{stack}_{service}\\."], "status": ["running"]}
            for container in await docker.containers.list(filters=filters):
                await container.kill(signal="KILL")
                killed += 1
    assert killed == 1


async def roles_on(machine: int, stack: str) -> dict[str, str]:
    """The roles of a stack's containers on a machine (from 1), and the machine's name."""
    async with dockers() as clients:
        docker = clients[machine - 1]
        filters = {"label": [f"{STACK_LABEL}={stack}"], "status": ["running"]}
        name = (await docker.system.info())["Name"]
        containers = await docker.containers.list(filters=filters)
        return {(await each.show())["Config"]["Labels"][ROLE_LABEL]: name for each in containers}


async def all_ready(deadline_s: float = 60.0) -> None:
    """Wait until the manager hears of all machines."""
    async with dockers() as clients, asyncio.timeout(deadline_s):
        while any(node["Status"]["State"] != "ready" for node in await clients[0].nodes.list()):  # noqa: ASYNC110
            await asyncio.sleep(0.5)


async def leftovers(stack: str) -> list[str]:
    """What there is of a stack, by kind."""
    async with dockers() as clients:
        found = [await objects_of(clients[0], kind, stack) for kind in ("services", *HOLDINGS)]
    return [kind for kind, each in zip(("services", *HOLDINGS), found, strict=True) for _ in each]
