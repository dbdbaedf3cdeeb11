"""The bus role in a container: a Valkey or Redis server on the control network, with a password."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from wotemu_runtime.bus.anchor import keep_anchor
from wotemu_runtime.bus.server import find_server
from wotemu_runtime.container.assignment_file import bus_password
from wotemu_runtime.roles.container_environment import BUS_DIRECTORY_VARIABLE, BUS_PORT


def configuration(password: str, directory: str | None) -> str:
    """The server's configuration."""
    kept = ["appendonly no"]
    if directory is not None:
        kept = [f"dir {_quoted(directory)}", "appendonly yes", "appendfsync everysec"]
    return "\n".join(
        (
            f"port {BUS_PORT}",
            "bind * -::*",
            f"requirepass {_quoted(password)}",
            'save ""',
            *kept,
            "daemonize no",
            "loglevel warning",
            # An idle coordinator or agent is no reason to hang up; a host that is gone is noticed.
            "timeout 0",
            "tcp-keepalive 30",
            "",
        )
    )


def prepare(directory: Path) -> None:
    """Make the directory where it is not there, and remove those beside it."""
    for other in directory.parent.iterdir():
        if other.is_dir() and other != directory:
            shutil.rmtree(other)
    directory.mkdir(exist_ok=True)


def become(environ: Mapping[str, str]) -> NoReturn:
    """Become the server. It reads its configuration from a pipe: no file or argument has the password.

    A process beside it tells roles on other machines of the bus's time.
    """
    server = find_server()
    me = os.getpid()
    if not os.fork():
        try:
            keep_anchor(BUS_PORT, bus_password(environ), lambda: os.getppid() == me)
        finally:
            os._exit(1)
    if directory := environ.get(BUS_DIRECTORY_VARIABLE):
        prepare(Path(directory))
    read, write = os.pipe()
    os.write(write, configuration(bus_password(environ), environ.get(BUS_DIRECTORY_VARIABLE)).encode())
    os.close(write)
    os.dup2(read, 0)
    os.execv(server, [server, "-"])  # noqa: S606  # a program of ours, no shell


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
