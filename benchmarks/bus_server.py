"""A bus of a benchmark's own: a server on a Unix socket in a temporary folder."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wotemu_runtime.bus import BusAddress
from wotemu_runtime.bus.server import configuration, find_server, unix_socket

PASSWORD = "benchmark"


@contextmanager
def bus_server(folder: Path) -> Iterator[BusAddress]:
    """A server that runs while the block does."""
    path = str(folder / "bus.sock")
    settings = configuration(PASSWORD, unix_socket(path))
    server = subprocess.Popen(
        [find_server(), "-"], cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        assert server.stdin is not None
        server.stdin.write(settings)
        server.stdin.close()
        yield BusAddress(PASSWORD, path)
    finally:
        server.terminate()
        server.wait()
