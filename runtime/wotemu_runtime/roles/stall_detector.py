"""Notices when this process did not run although it had to: stopped, starved, or busy with one thing."""

from __future__ import annotations

import asyncio
import time

from wotemu.records import Stall
from wotemu_runtime.roles.role import Role

BEAT_S = 0.05
"""How often it looks. A stall that is shorter may pass unseen."""

TOLD_S = 0.02
"""Shorter ones are not recorded."""


async def watch_stalls(role: Role) -> None:
    """Record each stall, until cancelled."""
    while True:
        due_s = time.monotonic() + BEAT_S
        await asyncio.sleep(BEAT_S)
        late_s = time.monotonic() - due_s
        if late_s > TOLD_S:
            role.publisher.put(Stall(role.now(), role.assignment.name, late_s))
