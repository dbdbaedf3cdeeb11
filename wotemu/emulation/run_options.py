"""Checks of what a user gives for a run: its name, engine and shaper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Literal, get_args

from wotemu.errors import InputError
from wotemu.scenario.vocabulary.targets import NodeTarget, replicas
from wotemu.topology._fields import HOST_NAME, MAX_NAME
from wotemu.topology.members import replicas_of
from wotemu.topology.topology import Topology
from wotemu.units import Bytes, QuantityLike
from wotemu_runtime.planning.models import Capture

EngineName = Literal["local", "swarm"]
ShaperName = Literal["auto", "tun", "netem"]
ENGINES: tuple[str, ...] = get_args(EngineName)
SHAPERS: tuple[str, ...] = get_args(ShaperName)
CAPTURE_SIZE = "64MiB"
"""Of a node's captured packets, unless another size is given."""
MIN_CAPTURE_BYTES = 4096


def checked_name(name: str, where: str = "--name") -> str:
    """The name, if it can be a run's; else `InputError`, at `where`."""
    if not HOST_NAME.match(name) or len(name) > MAX_NAME:
        raise InputError(f"{name!r} can't name a run", where=where, hint="use letters, digits, '-' and '_'")
    return name


def name_of(path: Path) -> str:
    """A run's name after its file's; what a host name can't hold becomes a dash."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem)[:MAX_NAME].strip("-_") or "run"


def numbered(name: str) -> Iterator[str]:
    """The name, then the same with 2, 3, ... behind it, each as long as a run's may be."""
    yield name
    for number in count(2):
        end = f"-{number}"
        yield name[: MAX_NAME - len(end)] + end


def capture_of(
    topology: Topology, pcap: bool | NodeTarget, pcap_size: QuantityLike, engine: str, *, where: str = "pcap"
) -> Capture | None:
    """What is captured of a run.

    Args:
        topology: What runs.
        pcap: The nodes whose packets are captured; True for all.
        pcap_size: The size of each node's file at most.
        engine: The run's engine.
        where: What `pcap` is called.

    Raises:
        InputError: There is no such node, the size is none, or the engine can't capture its packets.
    """
    try:
        size = Bytes.of(pcap_size)
    except (TypeError, ValueError) as error:
        raise InputError(str(error), where=f"{where} size") from error
    if size < MIN_CAPTURE_BYTES:
        least = Bytes(MIN_CAPTURE_BYTES)
        raise InputError(f"{size} is too small for a packet: at least {least}", where=f"{where} size")
    if pcap is False or pcap is None:
        return None
    if pcap is True:
        found = [name for member in topology.members for name in replicas_of(member)]
    else:
        found = replicas(pcap, topology, where)
    is_local = engine == "local"
    services = () if is_local else {service.name for service in topology.services}
    if pcap is True:
        found = [name for name in found if name not in services]
    elif alien := [name for name in found if name in services]:
        message = (
            f"{alien[0]!r} is a plain service: on a swarm, its container has no agent to capture packets"
        )
        raise InputError(message, where=where, hint="capture the nodes that use it")
    return Capture(tuple(found), int(size), is_by_agents=not is_local)


def check_type(value: object, expected: Any, what: str, hint: str) -> None:
    """Refuse a value that is no instance of `expected`.

    Args:
        value: What was given.
        expected: A class, or a union of them.
        what: Name of the argument.
        hint: What to give instead.

    Raises:
        InputError: It is none.
    """
    if not isinstance(value, expected):
        raise InputError(f"{value!r:.80} is a {type(value).__name__}", where=what, hint=hint)


def check_choice(value: object, choices: tuple[str, ...], what: str) -> None:
    """Refuse a value that is none of the choices; `what` is the argument's name.

    Raises:
        InputError: It is none.
    """
    if value not in choices:
        raise InputError(f"there is no {what} {value!r}", where=what, hint=f"one of {', '.join(choices)}")
