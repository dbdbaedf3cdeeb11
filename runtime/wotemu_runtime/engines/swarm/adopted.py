"""The engine of who takes over an emulation that another process has put on a swarm."""

from __future__ import annotations

from wotemu_runtime.bus import BusAddress
from wotemu_runtime.engines.engine import Deployed
from wotemu_runtime.engines.swarm.engine import SwarmEngine
from wotemu_runtime.planning.models import Plan


class TakenOver(SwarmEngine):
    """As though it had deployed the plan itself: it watches its tasks, and removes it at the end."""

    def __init__(self, bus: BusAddress, *, keep: bool = False) -> None:
        super().__init__(keep=keep)
        self._bus = bus

    async def deploy(self, plan: Plan) -> Deployed:
        """Nothing is created."""
        return await self.take_over(plan, self._bus)
