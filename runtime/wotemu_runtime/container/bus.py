"""The bus role in a container: a Valkey or Redis server on the control network, with a password."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from wotemu_runtime.bus.anchor import keep_anchor
from wotemu_runtime.bus.server import configuration, find_server
from wotemu_runtime.container.assignment_file import bus_password
from wotemu_runtime.roles.container_environment import BUS_DIRECTORY_VARIABLE, BUS_PORT

LISTEN = (
    f"port {BUS_PORT}",
    "bind * -::*",
    # Coordinators and agents may be idle for long; but a peer whose machine is gone must not stay connected.
    "timeout 0",
    "tcp-keepalive 30",
)


def run(environ: Mapping[str, str]) -> NoReturn:
    """Replace this process by the server, and leave a child that publishes the bus's clock.

    The child sets the anchor by which roles on other machines know the bus's time; it ends with the server.
    """
    server, password = find_server(), bus_password(environ)
    server_pid = os.getpid()
    if not os.fork():
        try:
            # When the server ends, its child has another parent.
            keep_anchor(BUS_PORT, password, lambda: os.getppid() == server_pid)
        finally:
            os._exit(1)
    directory = environ.get(BUS_DIRECTORY_VARIABLE)
    if directory:
        prepare(Path(directory))
    # The configuration is read from a pipe at descriptor 0, so that no file and no argument has the password.
    read, write = os.pipe()
    os.write(write, configuration(password, LISTEN, directory).encode())
    os.close(write)
    os.dup2(read, 0)
    os.execv(server, [server, "-"])  # noqa: S606  # a program of ours, no shell


def prepare(directory: Path) -> None:
    """Create the directory, and remove its siblings, which are data of earlier deployments."""
    for other in directory.parent.iterdir():
        if other.is_dir() and other != directory:
            shutil.rmtree(other)
    directory.mkdir(exist_ok=True)


__all__ = ["prepare", "run"]
