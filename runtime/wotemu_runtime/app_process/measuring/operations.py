"""The WoT operations that are measured, in W3C's words."""

from __future__ import annotations

import attrs


@attrs.frozen
class Operation:
    """One operation: ``property``, ``action`` or ``event``, and W3C's name of the operation."""

    affordance: str
    op: str


READ = Operation("property", "readproperty")
WRITE = Operation("property", "writeproperty")
OBSERVE = Operation("property", "observeproperty")
INVOKE = Operation("action", "invokeaction")
SUBSCRIBE = Operation("event", "subscribeevent")
UNKNOWN = Operation("", "")
"""A request for nothing that the server has."""
