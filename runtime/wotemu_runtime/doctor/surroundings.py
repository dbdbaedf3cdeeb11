"""Checks of disk, clock, ports and Docker. Each is a function of what was found on the machine. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wotemu.errors import HostError, WotemuError
from wotemu.wording import duration
from wotemu_runtime.doctor.check import Check, missing

LITTLE_DISK_BYTES = 2_000_000_000
"""Room for about forty nodes that print all that they may (50 MB each). Rough: records take far less."""


def disk(directory: Path, free_bytes: int, *, is_writable: bool) -> Check:
    """The directory of the runs, or the one that it would be made in."""
    purpose = "records and reports of runs"
    if not is_writable:
        return Check(
            name="disk",
            purpose=purpose,
            state="limited",
            found=f"{directory} is not writable",
            remedy="work in another folder, or name one with --out",
        )
    is_enough = free_bytes >= LITTLE_DISK_BYTES
    return Check(
        name="disk",
        purpose=purpose,
        state="OK" if is_enough else "limited",
        found=f"{free_bytes / 1e9:.1f} GB are free in {directory}",
        remedy="" if is_enough else "free some, or name a directory of another disk with --out",
    )


def clock(max_error_s: float | None) -> Check:
    """The wall clock, of its greatest error by the kernel's estimate; None where nothing disciplines it."""
    return Check(
        name="clock",
        purpose="times of day in reports, and the same time on all machines of a cluster",
        state="limited" if max_error_s is None else "OK",
        found="not synchronised with a time server"
        if max_error_s is None
        else f"synchronised, to within {duration(max_error_s)}",
        remedy="on a cluster, start a time service: sudo timedatectl set-ntp true, or chrony"
        if max_error_s is None
        else "",
    )


def ports(wanted: int | None, refused: str = "") -> Check:
    """The machine's own ports: only a swarm's bus has one.

    Args:
        wanted: The port that WOTEMU_BUS_PORT names; None where it names none.
        refused: Why it can't be had; "" where it can.
    """
    if refused:
        found = f"WOTEMU_BUS_PORT: {refused}" if wanted is None else f"WOTEMU_BUS_PORT {wanted}: {refused}"
    elif wanted is None:
        found = "none is needed: nodes have ports of their own, and Docker chooses the bus's"
    else:
        found = f"WOTEMU_BUS_PORT {wanted} is free"
    return Check(
        name="ports",
        purpose="the event bus of a run on a swarm",
        state="limited" if refused else "OK",
        found=found,
        remedy="free it, or name another port in WOTEMU_BUS_PORT" if refused else "",
    )


def docker(info: Mapping[str, Any] | WotemuError) -> Check:
    """The Docker daemon: its answer to ``GET /info``, or why there is none."""
    purpose = "only runs with --engine swarm"
    if isinstance(info, WotemuError):
        return missing("Docker", purpose, info)
    return Check(
        name="Docker", purpose=purpose, state="OK", found=f"Engine {info['ServerVersion']} on {info['Name']}"
    )


def swarm(info: Mapping[str, Any] | WotemuError, refused: HostError | None) -> Check:
    """The swarm that the daemon manages, and why it can't be used."""
    purpose = "only runs with --engine swarm"
    if isinstance(info, WotemuError):
        return Check(name="Swarm", purpose=purpose, state="missing", found="no Docker daemon to ask")
    if refused is not None:
        return missing("Swarm", purpose, refused)
    nodes = info["Swarm"].get("Nodes", 1)
    return Check(
        name="Swarm", purpose=purpose, state="OK", found=f"active, {nodes} machine{'s' * (nodes != 1)}"
    )
