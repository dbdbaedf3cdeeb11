"""Which exchanges are WoTPy's own and measured inside its apps already, by what these say of their sockets.

An app sends a claim before the first byte that it is about, so once a second has passed, the claim has come.
Of a connection that carries one request, it is about the next request alone; of a UDP socket about the time
from its opening to its end. So it does not matter who has a port later.
"""

from __future__ import annotations

from collections import deque

import attrs

from wotemu_runtime.app_process.messages import Claim
from wotemu_runtime.wire.exchange import Exchange

CLOCK_ERROR_S = 0.002
"""By how much the kernel's time of a packet and the app's time of a claim may differ."""
UNUSED_S = 10.0
"""A request comes within so long after its claim; one that was not seen has been lost."""
ENDED_S = 10.0
"""For so long after the end of a UDP socket, requests of it may be undecided."""


@attrs.define
class _Opened:
    since: float
    until: float = float("inf")


@attrs.define
class Claims:
    """The claims of the programs of one node."""

    _served: set[tuple[bool, int]] = attrs.field(factory=set)
    _connected: dict[int, deque[float]] = attrs.field(factory=dict)
    _opened: dict[int, deque[_Opened]] = attrs.field(factory=dict)

    def take(self, claim: Claim) -> None:
        """Take a claim."""
        match claim.kind:
            case "tcp_server":
                self._served.add((True, claim.port))
            case "udp_server":
                self._served.add((False, claim.port))
            case "connected":
                self._connected.setdefault(claim.port, deque()).append(claim.t)
            case "opened":
                self._opened.setdefault(claim.port, deque()).append(_Opened(claim.t))
            case "closed":
                for opened in self._opened.get(claim.port, ()):
                    opened.until = min(opened.until, claim.t)

    def covers(self, exchange: Exchange) -> bool:
        """Whether an exchange is WoTPy's own; ask once of each, in the order of their times."""
        port, is_http = exchange.endpoints.local_port, exchange.protocol == "http"
        if exchange.side == "server":
            return (is_http, port) in self._served
        if is_http:
            return self._use(port, exchange.t)
        return any(
            opened.since - CLOCK_ERROR_S <= exchange.t <= opened.until + CLOCK_ERROR_S
            for opened in self._opened.get(port, ())
        )

    def _use(self, port: int, t: float) -> bool:
        """Whether a claim was made for the request of a connection that was sent at `t`; use it up."""
        claims = self._connected.get(port)
        while claims and claims[0] < t - UNUSED_S:
            claims.popleft()
        if not claims or claims[0] > t + CLOCK_ERROR_S:
            return False
        claims.popleft()
        return True

    def forget(self, now: float) -> None:
        """Remove claims that nothing can belong to any more."""
        for port, claims in [*self._connected.items()]:
            while claims and claims[0] < now - UNUSED_S:
                claims.popleft()
            if not claims:
                del self._connected[port]
        for port, spans in [*self._opened.items()]:
            while spans and spans[0].until < now - ENDED_S:
                spans.popleft()
            if not spans:
                del self._opened[port]
