"""What an engine is: it makes the places and addresses that roles run in, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import attrs

from wotemu.errors import EmulationError
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.planning.models import Plan


@attrs.frozen
class RoleEnded:
    """A role's process ended by itself."""

    role: str
    status: str


@attrs.frozen
class RoleLost:
    """A role's process is gone, and the engine starts another in its place."""

    role: str
    reason: str
    host: str = ""


@attrs.frozen
class Unplaced:
    """A role has no place, and the error says why; the engine goes on trying."""

    role: str
    error: EmulationError


@attrs.frozen
class BusAt:
    """Where the bus listens from now on."""

    address: BusAddress


News = RoleEnded | RoleLost | Unplaced | BusAt


@attrs.frozen
class Deployed:
    """What a coordinator needs to know of a deployment."""

    bus: BusAddress
    shaper: str
    roles: frozenset[str]
    """The roles that will say that they are ready."""
    addresses: dict[str, dict[str, str]]
    """Each replica's address on each of its networks."""
    unenforced: tuple[str, ...]
    """What was asked for and can't be had here, one sentence each."""


class Engine(Protocol):
    """Places roles on machines."""

    @property
    def name(self) -> str:
        """``local`` or ``swarm``."""
        ...

    async def deploy(self, plan: Plan) -> Deployed:
        """Start every role; `HostError` or `EmulationError` where that can't be done, with nothing left."""
        ...

    def news(self) -> AsyncIterator[News]:
        """What becomes of the roles while the emulation runs."""
        ...

    async def remove(self) -> None:
        """Remove everything; may be called at any time, also twice."""
        ...

    def leave(self) -> None:
        """Have `remove` remove nothing from now on: another coordinator has the emulation."""
        ...
