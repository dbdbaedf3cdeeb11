"""The protocol of engines. An engine starts roles where they can run, gives them addresses, and removes them.

It knows nothing of time, conditions or records: those are the roles' and the coordinator's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import attrs

from wotemu.errors import EmulationError, HostError
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.planning.models import Plan


@attrs.frozen
class RoleEnded:
    """A role's process ended, and the engine starts no other.

    `status` says how, for people; `cause` why, where that is known: what the machine lacks, or an exception.
    """

    role: str
    status: str
    cause: HostError | EmulationError | None = None


@attrs.frozen
class RoleLost:
    """A role's process is gone from `host`, and the engine starts another in its place."""

    role: str
    reason: str
    host: str = ""


@attrs.frozen
class Unplaced:
    """No machine runs the role, for the reason in `error`; the engine goes on trying."""

    role: str
    error: EmulationError


@attrs.frozen
class NotRunning:
    """A role's container does not run, for what may pass; `why` is "" once it runs."""

    role: str
    why: str


@attrs.frozen
class BusAt:
    """The bus listens at `address` from now on."""

    address: BusAddress


News = RoleEnded | RoleLost | Unplaced | NotRunning | BusAt


@attrs.frozen
class Deployed:
    """A deployment, as its coordinator needs to know it."""

    bus: BusAddress
    shaper: str
    """The shaper of all gateways; "" where each chooses and reports its own."""
    roles: frozenset[str]
    """The roles that will report that they are ready."""
    addresses: dict[str, dict[str, str]]
    """Each replica's addresses by network; empty where roles report their own."""
    unenforced: tuple[str, ...]
    """Parts of the plan that can't be enforced here, one sentence each."""
    devices: tuple[str, ...] = ()
    """What makes nodes as fast as devices, one sentence each."""


def in_words(role: str) -> str:
    """A role as messages name it: ``service db`` for the plain service ``service:db``."""
    kind, _, name = role.partition(":")
    return f"service {name}" if kind == "service" else role


class Engine(Protocol):
    """Places the roles of one plan on machines. Its methods are called from one event loop."""

    @property
    def name(self) -> str:
        """``local`` or ``swarm``."""
        ...

    @property
    def image(self) -> str | None:
        """The image that roles run in, but for nodes with one of their own; None for this version's code."""
        ...

    async def deploy(self, plan: Plan) -> Deployed:
        """Start every role of a plan. To be called once.

        Raises:
            HostError: The machine or cluster can't run the plan.
            InputError: The plan does not fit the engine: its name is taken, or addresses do not suffice.
            EmulationError: A role failed as it started. As after every error, nothing is left behind.
        """
        ...

    def news(self) -> AsyncIterator[News]:
        """What happens to the roles, from the end of `deploy` until the iteration is cancelled.

        Raises:
            EmulationError: The engine can't watch the roles any more.
        """
        ...

    async def remove(self) -> None:
        """Remove everything that `deploy` made. May be called at any time, also twice.

        Raises:
            EmulationError: Something can't be removed.
        """
        ...

    def leave(self) -> None:
        """Give the emulation to another coordinator: `remove` removes nothing from now on."""
        ...
