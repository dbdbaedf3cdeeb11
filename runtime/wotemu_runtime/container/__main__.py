"""The image's entry point: runs one role, ``python -m wotemu_runtime.container ROLE``.

agent, broker   a node with its app, or an MQTT broker, with the agent that starts and measures it
gateway         the shaping of one network
ingress         forwards connections from emulated networks to a plain service
limits          sets the limits of its stack's containers on its machine
coordinator     runs the scenario and records
bus             the event bus
calibrate       rates its machine, stores the rating and prints it
proxy           read-only proxy of Docker's API, restricted to one stack
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from wotemu.errors import InputError, WotemuError
from wotemu_runtime.container.assignment_file import load_assignment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from wotemu_runtime.roles.assignment import Assignment

    Serve = Callable[[Assignment], Awaitable[None]]
    """Serves until the role is over; cancelled by SIGTERM."""
    Run = Callable[[Mapping[str, str]], None]
    """Runs until the role is over, given the environment; it has the whole process to itself."""

# Each role's module is imported when it is run: a bus or a gateway does without what an agent needs, and the
# first process of a node without an event loop.


def _gateway() -> Serve:
    from wotemu_runtime.gateway.overlay import serve

    return serve


def _ingress() -> Serve:
    from wotemu_runtime.container.ingress import serve

    return serve


def _coordinator() -> Serve:
    from wotemu_runtime.container.coordinator import serve

    return serve


def _limits() -> Serve:
    from wotemu_runtime.limiter.role import serve

    return serve


def _agent() -> Run:
    from wotemu_runtime.container.node import run

    return run


def _bus() -> Run:
    from wotemu_runtime.container.bus import run

    return run


def _calibrate() -> Run:
    from wotemu_runtime.container.calibrate import run

    return run


def _proxy() -> Run:
    from wotemu_runtime.container.proxy import run

    return run


SERVED: Mapping[str, Callable[[], Serve]] = {
    "coordinator": _coordinator,
    "gateway": _gateway,
    "ingress": _ingress,
    "limits": _limits,
}
"""Roles that are one coroutine on an event loop, with an assignment."""

RUN: Mapping[str, Callable[[], Run]] = {
    "agent": _agent,
    "broker": _agent,
    "bus": _bus,
    "calibrate": _calibrate,
    "proxy": _proxy,
}
"""Roles that need the whole process: they fork or exec, or have no assignment."""


def main(argv: list[str]) -> int:
    """Run the role that the first argument names; an error becomes one line with its hint.

    Returns:
        The exit code.
    """
    role = argv[0] if argv else "--help"
    if role in ("-h", "--help"):
        print(__doc__)
        return 0 if argv else 2
    try:
        run(role, os.environ)
    except WotemuError as error:
        print(f"wotemu {role}: {error}" + (f" ({error.hint})" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    return 0


def run(role: str, environ: Mapping[str, str]) -> None:
    """Run a role until it ends.

    Raises:
        InputError: There is no such role.
    """
    if role in RUN:
        RUN[role]()(environ)
    elif role in SERVED:
        import uvloop

        uvloop.run(_serve(SERVED[role](), load_assignment(environ)))
    else:
        known = ", ".join(sorted({**RUN, **SERVED}))
        raise InputError(f"there is no role {role!r}", hint=f"known are {known}")


async def _serve(serve: Serve, assignment: Assignment) -> None:
    """Serve until done, or until SIGTERM cancels it; the health check is answered from the start."""
    import asyncio

    from wotemu_runtime.container.health import serve_health

    serving = asyncio.ensure_future(_start(serve, assignment))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    async with serve_health(assignment.name):
        await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()


async def _start(serve: Serve, assignment: Assignment) -> None:
    from wotemu_runtime.container.startup import complete_assignment, wait_for_bus

    await wait_for_bus(assignment.bus)
    await serve(await complete_assignment(assignment))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
