"""Finds the run that a command is about, and asks it: over its socket here, over its bus on a swarm."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from wotemu.errors import EmulationError, InputError, NotRunningError
from wotemu.suggestions import did_you_mean

if TYPE_CHECKING:
    from wotemu_runtime.control.client import ControlClient

T = TypeVar("T")

POLL_S = 0.05
"""Between looks at whether a run's record is closed."""


def ask(name: str, question: Callable[[ControlClient], Awaitable[T]]) -> T:
    """Ask a run, on an event loop of its own.

    Args:
        name: The run's name.
        question: What is asked of its client.

    Raises:
        InputError: No run can have that name.
        NotRunningError: No such run goes on, here or on the swarm of DOCKER_HOST.
    """

    async def ask_it() -> T:
        async with connected(name) as client:
            return await question(client)

    return asyncio.run(ask_it())


@asynccontextmanager
async def connected(name: str) -> AsyncIterator[ControlClient]:
    """The client of a run of this machine or, over its bus, of one on the swarm of DOCKER_HOST.

    Raises:
        InputError: No run can have that name.
        NotRunningError: No such run goes on.
        HostError: DOCKER_HOST is set, and no manager of a swarm answers there.
    """
    try:
        here: ControlClient | None = running(name)
    except NotRunningError as error:
        if "DOCKER_HOST" not in os.environ:
            raise
        here, missing = None, error
    if here is not None:
        yield here
        return
    async with AsyncExitStack() as stack:
        from wotemu_runtime.runs import swarm_access

        try:
            client = await stack.enter_async_context(swarm_access.control_on_swarm(name))
        except (EmulationError, InputError) as error:  # its bus does not run; there is no such stack
            missing.hint = f"{missing.hint}; on the swarm of DOCKER_HOST: {error.message}"
            raise missing from error
        yield client


def running(name: str) -> ControlClient:
    """The client of a run that a process of this machine drives.

    Raises:
        InputError: No run can have that name.
        NotRunningError: No such run goes on here.
    """
    from wotemu.emulation.run_options import checked_name
    from wotemu_runtime.control.client import ControlClient, control_names

    known = control_names()
    if checked_name(name, "NAME") not in known:
        raise _missing(name, known)
    return ControlClient(name)


async def until_over(client: ControlClient, run_dir: Path) -> None:
    """Wait until a run is over and its record is whole, or its process has ended without a word."""
    from wotemu_runtime.recording.run_directory import is_being_recorded

    with contextlib.suppress(NotRunningError):
        async with aclosing(client.events("run.done", after=None)) as events:
            async for _ in events:
                pass
    while is_being_recorded(run_dir):  # noqa: ASYNC110  # the kernel has no event for a lock that is free
        await asyncio.sleep(POLL_S)


def recorded(name: str) -> Path | None:
    """The record of a run that is not going on: a run directory, or ``runs/NAME``; None where there is none.

    A run of this name that goes on comes first.
    """
    from wotemu_runtime.control.client import control_names

    if name in control_names():
        return None
    found = (folder for folder in (Path(name), Path("runs") / name) if (folder / "manifest.json").is_file())
    return next(found, None)


def _missing(name: str, known: list[str]) -> NotRunningError:
    from wotemu_runtime.control.socket_path import SUFFIX, control_folder

    record = Path("runs") / name
    if (record / "manifest.json").is_file():
        hint = f"wotemu report {record} writes its report" + _also(known)
        return NotRunningError("the run is over", where=f"emulation {name!r}", hint=hint)
    if (control_folder() / f"{name}{SUFFIX}").exists():
        return NotRunningError(
            "the process that ran it is gone", where=f"emulation {name!r}", hint=_hint(name, known)
        )
    if (others := _others_with_runs()) and not known:
        hint = f"runs of {', '.join(others)} can only be controlled by them, as that user"
    else:
        hint = _hint(name, known)
    return NotRunningError(f"no emulation {name!r} of yours runs on this machine", hint=hint)


def _hint(name: str, known: list[str]) -> str:
    return (did_you_mean(name, known) if known else None) or "none runs; wotemu run FILE starts one"


def _also(known: list[str]) -> str:
    return f"; these run: {', '.join(known)}" if known else ""


def _others_with_runs() -> list[str]:
    """Other users who have, or had, runs on this machine."""
    found = set()
    for folder in Path(tempfile.gettempdir()).glob("wotemu-*"):
        try:
            uid = folder.stat().st_uid
            if uid != os.getuid() and folder.name == f"wotemu-{uid}":
                found.add(pwd.getpwuid(uid).pw_name)
        except (OSError, KeyError):
            continue
    return sorted(found)
