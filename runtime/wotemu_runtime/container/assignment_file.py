"""Reads a container's assignment from a file or the environment, and the bus's password from a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from wotemu.errors import InputError
from wotemu_runtime.roles.container_environment import (
    ASSIGNMENT_VARIABLE,
    DEFAULT_PASSWORD_FILE,
    PASSWORD_FILE_VARIABLE,
    SLOT_VARIABLE,
    STACK_VARIABLE,
)

if TYPE_CHECKING:
    from wotemu_runtime.roles.assignment import Assignment


def load_assignment(environ: Mapping[str, str]) -> Assignment:
    """This container's assignment, with the stack, the replica and the password that are set beside it.

    Raises:
        InputError: It is missing or malformed, or the password is missing.
    """
    from wotemu_runtime.roles.assignment import Assignment

    document = load_document(environ)
    try:
        # The password comes from its secret; the document, which anybody may read, has none.
        assignment = Assignment.from_dict({**document, "bus": {"password": "", **document["bus"]}})
    except TypeError as error:
        raise InputError(f"it is no assignment: {error}", where=ASSIGNMENT_VARIABLE) from error
    if assignment.bus.password:
        return assignment
    return attrs.evolve(assignment, bus=attrs.evolve(assignment.bus, password=bus_password(environ)))


def load_document(environ: Mapping[str, str]) -> dict[str, Any]:
    """The assignment as JSON, without the bus's password, for a process that needs nothing of the bus.

    Raises:
        InputError: It is missing or malformed.
    """
    document = _document(environ)
    for key in ("bus", "data", "name"):
        if key not in document:
            raise InputError(f"it is no assignment: {key!r} is missing", where=ASSIGNMENT_VARIABLE)
    if stack := environ.get(STACK_VARIABLE):
        document["stack"] = stack
    slot = environ.get(SLOT_VARIABLE)
    return for_slot(document, slot) if slot else document


def bus_password(environ: Mapping[str, str]) -> str:
    """The bus's password, from the secret's file.

    Raises:
        InputError: The file can't be read or is empty.
    """
    path = Path(environ.get(PASSWORD_FILE_VARIABLE, DEFAULT_PASSWORD_FILE))
    try:
        password = path.read_text().strip()
    except OSError as error:
        hint = f"attach the secret, or name its file in {PASSWORD_FILE_VARIABLE}"
        raise InputError(f"no password for the bus: {error.strerror}", where=str(path), hint=hint) from error
    if not password:
        raise InputError("no password for the bus: the file is empty", where=str(path))
    return password


def for_slot(document: dict[str, Any], slot: str) -> dict[str, Any]:
    """The assignment of one replica of a service.

    Args:
        document: The service's; its data names all replicas in ``replicas``.
        slot: The task's number among them, from 1, as Docker writes it.

    Raises:
        InputError: There is no such replica.
    """
    replicas: list[str] = document["data"].get("replicas", [])
    if not slot.isdigit() or not 0 < int(slot) <= len(replicas):
        raise InputError(f"{slot!r} is none of this service's {len(replicas)} replicas", where=SLOT_VARIABLE)
    replica = replicas[int(slot) - 1]
    data: dict[str, Any] = {**document["data"], "replica": replica}
    if program := data.get("program"):
        data["program"] = _for_replica(program, replica)
    kind = document["name"].partition(":")[0]
    return {**document, "name": f"{kind}:{replica}", "data": data}


def _for_replica(program: dict[str, Any], replica: str) -> dict[str, Any]:
    changed = {**program, "env": {**program["env"], "WOTEMU_REPLICA": replica}}
    if app := program["app"]:
        changed["app"] = {**app, "conf": {**app["conf"], "replica": replica, "hostname": replica}}
    return changed


def _document(environ: Mapping[str, str]) -> dict[str, Any]:
    given = environ.get(ASSIGNMENT_VARIABLE, "")
    if not given:
        raise InputError(
            "it is not set",
            where=ASSIGNMENT_VARIABLE,
            hint="give the path of a JSON file, or the JSON itself",
        )
    try:
        text = given if given.lstrip().startswith("{") else Path(given).read_text()
        data = json.loads(text)
    except OSError as error:
        raise InputError(
            f"it can't be read: {error.strerror}", where=f"{ASSIGNMENT_VARIABLE}, {given}"
        ) from error
    except ValueError as error:
        raise InputError(f"it is not JSON: {error}", where=ASSIGNMENT_VARIABLE) from error
    if not isinstance(data, dict):
        raise InputError("it is not an object", where=ASSIGNMENT_VARIABLE)
    return data
