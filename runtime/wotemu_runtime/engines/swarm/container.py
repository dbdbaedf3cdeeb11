"""Inside of a container: what the role was given, and what its app may be."""

from __future__ import annotations

import ctypes
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from wotemu.errors import EmulationError
from wotemu_runtime.agent.app_spec import AppSpec
from wotemu_runtime.agent.launcher import Program
from wotemu_runtime.assignment import Assignment
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.engines.swarm import objects

APP_UID = 10001
"""The image's unprivileged user."""

_PR_SET_NO_NEW_PRIVS = 38


def read_assignment() -> Assignment:
    """This task's orders: the config of its service, and the bus's password, a secret."""
    try:
        given: dict[str, Any] = json.loads(Path(objects.ASSIGNMENT_FILE).read_text())
        password = Path(objects.BUS_SECRET).read_text()
    except OSError as error:
        raise EmulationError(f"it can't be read: {error.strerror}", where=str(error.filename)) from error
    data = given["data"]
    name = given["name"]
    if "replicas" in data:
        replica = data["replicas"][int(os.environ.get("WOTEMU_SLOT", "1")) - 1]
        name, data = f"agent:{replica}", {**data, "replica": replica}
    bus = BusAddress(password, host=objects.BUS_ALIAS, port=objects.BUS_PORT)
    return Assignment(name=name, stack=given["stack"], bus=bus, data=data)


def program_of(assignment: Assignment) -> Program:
    """What this replica runs."""
    program = assignment.data["programs"][assignment.subject]
    return Program(
        app=None if program["app"] is None else AppSpec.from_dict(program["app"]),
        command=tuple(program["command"]),
        env=program["env"],
        cwd=program["cwd"],
        uid=APP_UID,
    )


def unpack_code() -> None:
    """Lay the topology's folder out, where there is one."""
    folder = Path(objects.CODE_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    code = Path(objects.CODE_FILE)
    if code.exists():
        with tarfile.open(fileobj=io.BytesIO(code.read_bytes())) as archive:
            for member in archive:
                _extract(archive, member, folder)
    os.chown(folder, APP_UID, APP_UID)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """One regular file; `tarfile`'s own filters are not in every Python 3.11."""
    path = (folder / member.name).resolve()
    content = archive.extractfile(member)
    if content is None or not path.is_relative_to(folder.resolve()):
        raise EmulationError(f"{member.name!r} is no file of the topology's folder", where=objects.CODE_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.read())
    path.chmod(member.mode & 0o755)


def isolate(program: Program) -> None:
    """Make this process an ordinary user's, without capabilities and without a way back to any."""
    uid = program.uid or APP_UID
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    os.environ["HOME"] = "/home/wotemu"
