"""How a run went: its status, its error, and what was lost."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import attrs

from wotemu.errors import WotemuError
from wotemu.fidelity import Certificate
from wotemu_runtime.engines.engine import Deployed

Status = Literal["running", "done", "interrupted", "failed"]


@attrs.define
class Outcome:
    """How a run went; `status` is ``running`` until its scenario is over, stopped, or failed.

    `t0` and `ended` are seconds since the epoch on the bus's clock. `losses` counts the records that never
    came, by the role that lost them and what they were. `scheduling` is the class of the gateways:
    ``real-time``, ``short slices`` or ``ordinary``.
    """

    status: Status = "running"
    error: WotemuError | None = None
    t0: float | None = None
    ended: float = 0.0
    deployed: Deployed | None = None
    scheduling: str = ""
    losses: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    certificate: Certificate | None = None

    @property
    def is_running(self) -> bool:
        """Whether the run is neither over nor being wound down."""
        return self.status == "running"
