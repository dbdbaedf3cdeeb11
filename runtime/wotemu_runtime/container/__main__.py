"""The image's entry point: becomes the role that it is told, ``python -m wotemu_runtime.container ROLE``.

agent, broker   a node with its app, or an MQTT broker, with the agent that starts and measures it
gateway         one network's shaping
door            what stands for a plain service on emulated networks
coordinator     runs the scenario and records
bus             the event bus
proxy           what roles may read of Docker's API
"""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from wotemu.errors import InputError, WotemuError
from wotemu_runtime.container.assignment_file import load_assignment
from wotemu_runtime.container.health import answering
from wotemu_runtime.container.subnets import with_subnets
from wotemu_runtime.container.wait_for_bus import reach
from wotemu_runtime.roles.assignment import Assignment

Serve = Callable[[Assignment], Awaitable[None]]

SERVED: Mapping[str, str] = {
    "gateway": "wotemu_runtime.gateway.overlay:serve",
    "coordinator": "wotemu.stack_run:serve",
    "door": "wotemu_runtime.container.ingress:serve",
}
"""Roles that are one coroutine on a loop. Imported by name: each pulls in what the others do without."""

BECOME: Mapping[str, str] = {
    "agent": "wotemu_runtime.container.node:become",
    "broker": "wotemu_runtime.container.node:become",
    "bus": "wotemu_runtime.container.bus:become",
    "proxy": "wotemu_runtime.container.proxy:become",
}
"""Roles that take the whole process."""


def main(argv: list[str]) -> int:
    """Entry point; an error is told in one line, with what to do about it."""
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
    """Be this role until it ends."""
    if role in BECOME:
        _find(BECOME[role])(environ)
    elif role in SERVED:
        import uvloop

        serve: Serve = _find(SERVED[role])
        uvloop.run(_served(serve, load_assignment(environ)))
    else:
        known = ", ".join(sorted({**BECOME, **SERVED}))
        raise InputError(f"there is no role {role!r}", hint=f"known are {known}")


async def _served(serve: Serve, assignment: Assignment) -> None:
    """Serve until done, or until SIGTERM cancels it."""
    serving = asyncio.ensure_future(_reached(serve, assignment))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    async with answering(assignment.name):
        await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()


async def _reached(serve: Serve, assignment: Assignment) -> None:
    """Serve once the bus and the networks are there."""
    await reach(assignment.bus)
    await serve(await with_subnets(assignment))


def _find(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
