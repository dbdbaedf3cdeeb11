"""The `tun` shaper: a switch, and the pump that moves its frames inside an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from wotemu_gateways.shaper import Member
from wotemu_gateways.userspace.pump import Pump
from wotemu_gateways.userspace.switch import Switch


class TunShaper(Switch):
    """A `Shaper` in user space. Make it inside of the event loop that moves the frames.

    Args:
        taps: The gateway's end of each replica's interface; the shaper closes them.
        ports: Names of protocols by port number.
        seed: Seed of the random number generators, see `Switch`.
        by_address: See `Switch`.
    """

    def __init__(
        self,
        network: str,
        members: Sequence[Member],
        taps: Mapping[str, int],
        loop: asyncio.AbstractEventLoop,
        *,
        ports: Mapping[int, str] | None = None,
        seed: int = 0,
        by_address: bool = False,
    ) -> None:
        super().__init__(network, members, ports=ports, seed=seed, by_address=by_address)
        self._pump = Pump(self, loop)
        for replica, fd in taps.items():
            self._pump.attach(replica, fd)

    def close(self) -> None:
        """See `Shaper`."""
        self._pump.close()
