"""The agent role in a container: the first process forks the agent, and the app whenever that asks for it."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import attrs

from wotemu.errors import EmulationError
from wotemu_runtime.agent.launcher import Launcher, Program
from wotemu_runtime.app_process.loading.spec import AppSpec
from wotemu_runtime.container.assignment_file import load_assignment
from wotemu_runtime.container.drop_privileges import APP_USER, confine
from wotemu_runtime.container.health import answering
from wotemu_runtime.container.subnets import with_subnets
from wotemu_runtime.container.wait_for_bus import reach
from wotemu_runtime.planning.code_bundle import unpack
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.processes.fork import exit_text, fork, freeze
from wotemu_runtime.roles.assignment import Assignment

CODE_DIR = "/home/wotemu/code"


def become(environ: Mapping[str, str]) -> NoReturn:
    """Be the first process of a node until its agent ends."""
    assignment = load_assignment(environ)
    program = program_of(assignment.data)
    if bundle := assignment.data.get("bundle"):
        program = _with_code(program, Path(bundle["path"]), bundle["digest"])
    elif not program.cwd:
        program = _of_image(program)
    if program.app is not None:
        from wotemu_runtime.app_process.preload import preload

        preload()
    freeze()
    Launcher(program, lambda _: _become_ordinary()).serve(lambda channel: _run_agent(assignment, channel))


def program_of(data: dict[str, Any]) -> Program:
    """What the node runs. A container is all the limits that it has; a broker is the image's own."""
    program = data["program"]
    command = tuple(program["command"])
    if data["kind"] == "broker":
        command = (sys.executable, "-m", "wotemu_runtime.broker.server", str(data["port_mqtt"]))
    return Program(
        app=None if program["app"] is None else AppSpec.from_dict(program["app"]),
        command=command,
        env=dict(program["env"]),
        cwd=program["cwd"],
    )


def _with_code(program: Program, path: Path, digest: str) -> Program:
    """The program with the user's code, unpacked as the user that runs it."""

    def unpack_it() -> int:
        confine()
        unpack(path.read_bytes(), Path(CODE_DIR), digest)
        return 0

    _, status = os.waitpid(fork(unpack_it), 0)
    if status != 0:
        raise EmulationError(f"the app's code can't be unpacked: {exit_text(status)}", where=str(path))
    app = None if program.app is None else attrs.evolve(program.app, root=CODE_DIR)
    return attrs.evolve(program, app=app, cwd=CODE_DIR)


def _of_image(program: Program) -> Program:
    """The program as the image brings it: what it names is looked for where the image's containers start."""
    app = None if program.app is None else attrs.evolve(program.app, root=str(Path.cwd()))
    return attrs.evolve(program, app=app, cwd=str(Path.cwd()))


def _become_ordinary() -> None:
    for name in [name for name in os.environ if name.startswith("WOTEMU_")]:
        del os.environ[name]  # where the bus is, is not the app's business
    confine()


def _run_agent(assignment: Assignment, launcher: Channel) -> int:
    import uvloop

    uvloop.run(_agent(assignment, launcher))
    return 0


async def _agent(assignment: Assignment, launcher: Channel) -> None:
    from wotemu_runtime.agent.agent import Agent
    from wotemu_runtime.container.node_network import NodeNetwork
    from wotemu_runtime.roles.role import on_bus

    async with answering(assignment.name):
        await reach(assignment.bus)
        assignment = await with_subnets(assignment)
        async with on_bus(assignment) as (role, group):
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, role.stopping.set)
            await NodeNetwork(role, app_uid=pwd.getpwnam(APP_USER).pw_uid).settle(group)
            await role.session.commands.caught_up.wait()
            await Agent(role, launcher).run(group)
