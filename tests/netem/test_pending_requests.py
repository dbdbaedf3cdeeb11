"""What becomes of changes that the kernel refuses, over a netlink socket that is none."""

from __future__ import annotations

import attrs
import pytest

from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Rate
from wotemu_gateways.netem.pending_requests import PendingRequests
from wotemu_gateways.netem.wired_node import GatewayInterfaces, StageInterfaces
from wotemu_gateways.netem.wiring import Wiring
from wotemu_gateways.netlink.request_socket import Request
from wotemu_gateways.packets.ethernet import mac_of
from wotemu_gateways.shaper import Member

SLOW = NetworkConditions(latency="50ms", rate="1mbit")


class FakeKernel:
    """Takes requests, and refuses as many calls as it is told to, in the middle of their requests."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.refusals = 0
        self.kicked: list[int] = []

    def send(self, *requests: Request) -> None:
        if self.refusals and requests:
            self.refusals -= 1
            self.taken += [request.what for request in requests[: len(requests) // 2]]
            raise OSError(12, "Cannot allocate memory")
        self.taken += [request.what for request in requests]

    def wake_queue(self, interface: int) -> None:
        self.kicked.append(interface)

    def took(self) -> list[str]:
        """What came since the last call."""
        taken, self.taken = self.taken, []
        return taken


@pytest.fixture
def kernel() -> FakeKernel:
    return FakeKernel()


@pytest.fixture
def changes(kernel: FakeKernel) -> PendingRequests:
    members = [Member(name, f"10.64.0.{i}", mac_of(f"10.64.0.{i}")) for i, name in enumerate("abc", 2)]
    up, down, bucket = (StageInterfaces((first, first + 1), (first + 2, first + 3)) for first in (20, 30, 40))
    lines = [(50, 51), (52, 53), (54, 55)]
    interfaces = GatewayInterfaces(1, (2, 3), up, down, bucket, lines, "wo-dserial1")
    wiring = Wiring(interfaces, members, "1/field")
    list(wiring.setup({}))
    wiring.confirm_all()
    return PendingRequests(kernel, wiring)


def test_a_refused_change_of_a_hop_is_sent_whole_the_next_time(
    kernel: FakeKernel, changes: PendingRequests
) -> None:
    changes.set_hop("a", "up", SLOW)
    sent = kernel.took()
    kernel.refusals = 1
    with pytest.raises(OSError, match="Cannot allocate memory"):
        changes.set_hop("b", "up", SLOW)
    kernel.took()
    changes.set_hop("b", "up", SLOW)
    taken = kernel.took()
    assert len(taken) >= len(sent), "nobody knows which parts the kernel took"
    changes.set_hop("b", "up", SLOW)
    assert kernel.took() == []


def test_what_was_refused_is_sent_again_with_the_next_change_of_something_else(
    kernel: FakeKernel, changes: PendingRequests
) -> None:
    kernel.refusals = 1
    with pytest.raises(OSError, match="Cannot allocate memory"):
        changes.cut("a", True)
    kernel.took()
    changes.set_hop("c", "down", NetworkConditions(latency="5ms"))
    assert kernel.took()[:2] == ["filter flower 1", "filter flower 1"]
    changes.set_hop("c", "down", NetworkConditions(latency="6ms"))
    assert len(kernel.took()) == 1, "once is enough"


def test_a_later_change_of_the_same_thing_replaces_the_refused_one(
    kernel: FakeKernel, changes: PendingRequests
) -> None:
    kernel.refusals = 1
    with pytest.raises(OSError, match="Cannot allocate memory"):
        changes.cut("a", True)
    kernel.took()
    changes.cut("a", False)
    assert kernel.took() == ["filter flower 1", "filter flower 1"]
    assert not changes.refused


def test_a_refused_partition_leaves_the_one_before_until_it_is_sent_again(
    kernel: FakeKernel, changes: PendingRequests
) -> None:
    changes.partition([["a"], ["b"]])
    kernel.took()
    kernel.refusals = 1
    with pytest.raises(OSError, match="Cannot allocate memory"):
        changes.partition([["c"]])
    assert "delete chain" not in kernel.took(), "some senders may still use it"
    changes.cut("a", False)
    assert kernel.took().count("delete chain") == 4


def test_a_refused_bucket_is_sent_again(kernel: FakeKernel, changes: PendingRequests) -> None:
    kernel.refusals = 1
    with pytest.raises(OSError, match="Cannot allocate memory"):
        changes.set_shared_bucket(SLOW)
    assert changes.refused == ["bucket"]
    kernel.took()
    changes.cut("a", False)
    assert len(kernel.took()) > 2
    assert not changes.refused


def test_a_gate_that_opens_is_followed_by_a_kick(kernel: FakeKernel, changes: PendingRequests) -> None:
    still = attrs.evolve(SLOW, rate=Rate(0))
    changes.set_hop("a", "up", SLOW)
    changes.set_hop("a", "up", still)
    assert not kernel.kicked
    changes.set_hop("a", "up", SLOW)
    changes.set_hop("a", "up", SLOW)
    assert kernel.kicked == [20]
    changes.set_shared_bucket(still)
    changes.set_shared_bucket(SLOW)
    assert kernel.kicked == [20, 40]


def test_a_gate_whose_opening_was_refused_is_kicked_when_it_opens(
    kernel: FakeKernel, changes: PendingRequests
) -> None:
    changes.set_hop("b", "down", attrs.evolve(SLOW, rate=Rate(0)))
    kernel.refusals = 1
    with pytest.raises(OSError, match="Cannot allocate memory"):
        changes.set_hop("b", "down", SLOW)
    assert not kernel.kicked
    changes.retry()
    assert kernel.kicked == [30]
