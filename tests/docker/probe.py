"""Prints what a process may do. An app of a test: it runs in the image."""

import json
import os
import pathlib
from collections.abc import Callable


def tried(what: Callable[[], object]) -> object:
    try:
        return what()
    except OSError as error:
        return type(error).__name__


lines = pathlib.Path("/proc/self/status").read_text().splitlines()
status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
found = {
    "uid": os.getuid(),
    "capabilities": int(status["CapEff"], 16),
    "no_new_privs": status["NoNewPrivs"],
    "secret": tried(pathlib.Path("/run/secrets/wotemu_bus").read_text),
    "agents_environment": tried(pathlib.Path("/proc/1/environ").read_text),
    "own_environment": sorted(name for name in os.environ if name.startswith("WOTEMU_")),
    "docker": pathlib.Path("/var/run/docker.sock").exists(),
    "folder": str(pathlib.Path.cwd()),
    "written": tried(lambda: pathlib.Path("x").write_text("y")),
}
print(json.dumps(found), flush=True)
