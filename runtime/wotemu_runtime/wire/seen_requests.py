"""The requests that a node's packets show, less those that WoTPy's apps measure themselves."""

from __future__ import annotations

from collections.abc import Iterator

from wotemu_runtime.app_process.messages import Claim
from wotemu_runtime.wire.claims import Claims
from wotemu_runtime.wire.coap_exchanges import CoapExchanges
from wotemu_runtime.wire.exchange import Exchange, OpenExchanges
from wotemu_runtime.wire.http_exchanges import HttpExchanges
from wotemu_runtime.wire.packet import read_packet


class SeenRequests:
    """Takes a node's packets and its programs' claims, and gives requests that have ended. Pure."""

    def __init__(self) -> None:
        self._claims = Claims()
        self._begun: list[Exchange] = []
        self._undecided: list[Exchange] = []
        """They have waited for claims since the last `ended`."""
        self._ended: list[Exchange] = []
        self._open = [OpenExchanges(self._begun.append, self._ended.append) for _ in range(2)]
        self._http = HttpExchanges(self._open[0])
        self._coap = CoapExchanges(self._open[1], self._ended.append)

    def __repr__(self) -> str:
        return f"SeenRequests({self._http!r}, {self._coap!r})"

    @property
    def missed(self) -> int:
        """Requests that were not followed, as too many waited for answers."""
        return sum(each.missed for each in self._open)

    def claim(self, claim: Claim) -> None:
        """A program says that it measures a socket's requests itself."""
        self._claims.take(claim)

    def take(self, frame: bytes, t: float, *, is_outgoing: bool) -> None:
        """Take a packet that an interface passed at `t`, in seconds of CLOCK_MONOTONIC."""
        packet = read_packet(frame, t, is_outgoing=is_outgoing)
        if packet is not None:
            (self._http if packet.is_tcp else self._coap).take(packet)

    def ended(self, now: float, *, is_last: bool = False) -> Iterator[Exchange]:
        """Requests and notifications that have ended and are nobody else's; to be called each second.

        Args:
            now: In seconds of CLOCK_MONOTONIC.
            is_last: Also those that wait for answers, as none will come.
        """
        self._http.expire(float("inf") if is_last else now)
        self._coap.expire(float("inf") if is_last else now)
        self._decide(self._undecided)
        self._undecided = self._begun[:]
        self._begun.clear()
        if is_last:
            self._decide(self._undecided)
        self._claims.forget(now)
        waiting = []
        for each in self._ended:
            is_own = (each.registration or each).is_own
            if is_own is None:
                waiting.append(each)
            elif not is_own:
                yield each
        self._ended[:] = waiting

    def _decide(self, exchanges: list[Exchange]) -> None:
        for each in exchanges:
            if each.is_own is None:
                each.is_own = self._claims.covers(each)
        exchanges.clear()
