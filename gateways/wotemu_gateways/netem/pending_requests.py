"""Sends the requests of each change to the kernel, and retries those that it refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from typing import Protocol

import attrs

from wotemu.scenario.blocks import Block
from wotemu.scenario.timeline import Direction
from wotemu.topology.conditions import NetworkConditions
from wotemu_gateways.conditions.compose import CLEAR
from wotemu_gateways.netem.rate_stage import RateStage
from wotemu_gateways.netem.wiring import Wiring
from wotemu_gateways.netlink.request_socket import Request


class Kernel(Protocol):
    """Carries out requests: `NetemShaper`, or a fake one."""

    def send(self, *requests: Request) -> None:
        """Carry out requests in order; `OSError`: the first that was refused."""
        ...

    def wake_queue(self, interface: int) -> None:
        """Run an interface's qdisc at once, for packets that may leave now."""
        ...


def _nothing() -> None:
    pass


@attrs.frozen
class _Change:
    """A change: makes its requests, and confirms once the kernel has carried them all out."""

    requests: Callable[[], Iterable[Request]]
    confirm: Callable[[], None]


class PendingRequests:
    """Changes of one network's conditions, cuts, partitions and addresses, each in place.

    A refused change is tried again before the next change and at each `retry`, unless another change of the
    same thing has taken its place by then.

    Raises:
        OSError: From each method: the kernel refuses its change now.
        ValueError: From each method: NetEm has no room for a value.
    """

    def __init__(self, kernel: Kernel, wiring: Wiring) -> None:
        self._kernel = kernel
        self._wiring = wiring
        self._refused: dict[str, _Change] = {}

    def __repr__(self) -> str:
        return f"<PendingRequests, refused: {', '.join(self._refused) or 'none'}>"

    @property
    def refused(self) -> list[str]:
        """Changes that the kernel has refused so far and that still hold."""
        return list(self._refused)

    def set_hop(self, replica: str, direction: Direction, conditions: NetworkConditions) -> None:
        """See `Shaper.set_hop`."""
        hop = self._wiring.hop(replica, direction)

        def confirm() -> None:
            hop.confirm()
            self._wake(hop.stage)

        self._change(f"{replica} {direction}", lambda: hop.impose(conditions), confirm)

    def set_shared_bucket(self, conditions: NetworkConditions | None) -> None:
        """See `Shaper.set_shared_bucket`; `ValueError` if the network is not shared."""
        bucket = self._wiring.bucket
        if bucket is None:
            if conditions is not None:
                raise ValueError("this network is not shared")
            return

        def confirm() -> None:
            bucket.confirm()
            self._wake(bucket)

        # What is lost at random is lost on each node's own hop.
        rate = attrs.evolve(conditions or CLEAR, burst=None, loss=0.0, loss_model=None)
        self._change("bucket", lambda: bucket.impose(rate), confirm)

    def _wake(self, stage: RateStage) -> None:
        """Wake the queue behind a gate that opens: it would wait for the next packet that comes."""
        if stage.opens:
            self._kernel.wake_queue(stage.place.rate)

    def cut(self, replica: str, is_cut: bool) -> None:
        """See `Shaper.cut`."""
        number = self._wiring.nodes[replica].number
        self._change(f"cut {number}", lambda: self._wiring.cut(replica, is_cut))

    def partition(self, groups: Iterable[Collection[str]]) -> None:
        """See `Shaper.partition`."""
        sets = [set(group) for group in groups]
        self._change("partition", lambda: self._wiring.separation.partition(sets), self._remove_chains)

    def block(self, blocks: Sequence[Block]) -> None:
        """See `Shaper.block`."""
        self._change("block", lambda: self._wiring.separation.block(blocks), self._remove_chains)

    def move(self, replica: str, ipv4: str) -> None:
        """Shape for a replica at another address."""
        IPv4Address(ipv4)
        number = self._wiring.nodes[replica].number
        self._change(f"move {number}", lambda: self._wiring.move(replica, ipv4), self._remove_chains)

    def retry(self) -> None:
        """Try again what was refused."""
        for what, change in list(self._refused.items()):
            with suppress(OSError, ValueError):
                self._kernel.send(*change.requests())
                change.confirm()
                del self._refused[what]

    def _change(
        self, what: str, requests: Callable[[], Iterable[Request]], confirm: Callable[[], None] = _nothing
    ) -> None:
        self._refused.pop(what, None)
        self.retry()
        change = _Change(requests, confirm)
        try:
            self._kernel.send(*change.requests())
        except (OSError, ValueError):
            self._refused[what] = change
            raise
        change.confirm()

    def _remove_chains(self) -> None:
        for request in self._wiring.separation.abandoned_chains():
            with suppress(OSError):  # the kernel may have refused to make this chain
                self._kernel.send(request)
