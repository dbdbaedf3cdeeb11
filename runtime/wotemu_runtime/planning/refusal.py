"""The error of a topology that is right in itself, but can't run where it is to run."""

from __future__ import annotations

from wotemu.errors import TopologyError
from wotemu.topology.network import Network
from wotemu.topology.node import Node
from wotemu.topology.service import Broker, Service
from wotemu.topology.uplink import Uplink


def refusal(
    owner: Node | Broker | Service | Uplink | Network,
    field: str,
    message: str,
    *,
    hint: str | None = None,
    inside: str = "",
) -> TopologyError:
    """The error for a field of a part of the topology.

    Args:
        owner: The part, which is named in the message and found in the user's file.
        field: The argument that asks for what can't be.
        message: Why it can't be.
        hint: What the user can do about it.
        inside: Where inside the field; "" for all of it.
    """
    kind = type(owner).__name__
    return TopologyError(
        message,
        where=f"{kind} {owner.name!r}, field {field!r}{inside and f', {inside}'}",
        hint=hint,
        field=field,
        owner=(f"{kind.lower()}s", owner.name),
    )
