"""The agent role in a container: the first process forks the agent, which has it fork the app."""

from __future__ import annotations

import os
import pwd
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

from wotemu.errors import EmulationError
from wotemu_runtime.agent.launcher import Launcher, Program
from wotemu_runtime.app_process.scratch import IN_CONTAINER
from wotemu_runtime.container.assignment_file import bus_password, load_assignment, load_document
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.processes.fork import exit_text, fork, freeze
from wotemu_runtime.processes.syscalls import drop_all_capabilities

if TYPE_CHECKING:
    from wotemu_runtime.app_process.loading.spec import AppSpec

APP_USER = "wotemu"
"""The image's ordinary user, which apps run as."""
CODE_DIR = "/home/wotemu/code"


def run(environ: Mapping[str, str]) -> NoReturn:
    """Run as the first process of a node's container until its agent ends.

    Raises:
        InputError: The assignment or the bus's password is missing or malformed.
        EmulationError: The app's code can't be unpacked.
    """
    document = load_document(environ)
    data = document["data"]
    if not document["bus"].get("password"):
        bus_password(environ)  # here its absence is one line in the log, in the agent a traceback
    program = program_of(data)
    if bundle := data.get("bundle"):
        program = _with_code(program, Path(bundle["path"]), bundle["digest"])
    elif not program.cwd:
        program = _of_image(program)
    freeze()
    clock = None
    if program.skews_clock:
        from wotemu_runtime.agent.wall_clock import open_wall_clock  # few nodes have a use for it

        clock = open_wall_clock(tempfile.gettempdir())
    launcher = Launcher(program, lambda _: _become_app(), clock=clock)
    # The agent imports what it needs after it is forked. This process then has little that the agent would
    # copy as it runs, and does not wait for it.
    launcher.serve_beside_agent(
        lambda channel: _run_agent(environ, channel), prepare=lambda: _preload(program)
    )


def _preload(program: Program) -> None:
    """Import what each start of a WoT app would import."""
    if program.app is not None:
        from wotemu_runtime.app_process.preload import preload

        preload()
        freeze()  # so that the app shares the memory of what is imported


def program_of(data: dict[str, Any]) -> Program:
    """The program of a node's assignment, which its container alone limits; a broker is the image's own."""
    program = data["program"]
    command = tuple(program["command"])
    if data["kind"] == "broker":
        command = (sys.executable, "-m", "wotemu_runtime.broker.server", str(data["port_mqtt"]))
    return Program(
        app=None if program["app"] is None else _app_spec(program["app"]),
        command=command,
        env=dict(program["env"]),
        cwd=program["cwd"],
        skews_clock=program.get("skews_clock", False),
    )


def _app_spec(data: dict[str, Any]) -> AppSpec:
    from wotemu_runtime.app_process.loading.spec import AppSpec  # nodes that run a command do without

    return AppSpec.from_dict(data)


def _with_code(program: Program, path: Path, digest: str) -> Program:
    """Unpack the user's code, and return the program with its paths there.

    Raises:
        EmulationError: The code can't be unpacked.
    """

    from wotemu_runtime.planning.code_bundle import unpack

    # The bundle is input of the user: a child unpacks it, with an ordinary user's rights.
    def unpack_it() -> int:
        drop_privileges()
        unpack(path.read_bytes(), Path(CODE_DIR), digest)
        return 0

    _, status = os.waitpid(fork(unpack_it), 0)
    if status != 0:
        raise EmulationError(f"the app's code can't be unpacked: {exit_text(status)}", where=str(path))
    app = None if program.app is None else attrs.evolve(program.app, root=CODE_DIR)
    return attrs.evolve(program, app=app, cwd=CODE_DIR)


def _of_image(program: Program) -> Program:
    """The program of a user's image: its paths are relative to the image's working directory."""
    app = None if program.app is None else attrs.evolve(program.app, root=str(Path.cwd()))
    return attrs.evolve(program, app=app, cwd=str(Path.cwd()))


def _become_app() -> None:
    # The variables say where the bus and its password are, which is not for apps.
    for name in [name for name in os.environ if name.startswith("WOTEMU_")]:
        del os.environ[name]
    drop_privileges()
    Path(IN_CONTAINER).mkdir(mode=0o700, exist_ok=True)


def drop_privileges() -> None:
    """Make this process the image's ordinary user, without capabilities or a way to regain any."""
    # A container that was started as that user has no other to become.
    if os.geteuid() == 0:
        user = pwd.getpwnam(APP_USER)
        os.setgroups([])
        os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
        os.environ.update(HOME=user.pw_dir, USER=APP_USER)
    drop_all_capabilities()


def _run_agent(environ: Mapping[str, str], launcher: Channel) -> int:
    import uvloop

    from wotemu_runtime.container.agent import serve

    uvloop.run(serve(load_assignment(environ), launcher, pwd.getpwnam(APP_USER).pw_uid))
    return 0
