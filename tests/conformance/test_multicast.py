"""What a node sends to a group, or to all, crosses its `up` hop once and each receiver's `down` hop."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Fraction
from wotemu_gateways.netlink.namespaces import entered

from .conftest import SHAPERS
from .field import Field

GROUP, ALL = "239.255.255.250", "10.64.255.255"
PORT = 1900

flooding = pytest.mark.parametrize("shaper", [SHAPERS[0], SHAPERS[2]], indirect=True)
"""Not `routed`, which is for overlays: Docker's carry no multicast."""


class Ears:
    """Sockets of nodes in the group, and what each has heard."""

    def __init__(self, field: Field, nodes: str, stack: ExitStack) -> None:
        self.heard: dict[str, list[int]] = {node: [] for node in nodes}
        self._sockets: dict[socket.socket, str] = {}
        for node in nodes:
            with entered(field.nodes[node].fd):
                opened = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            opened.bind(("", PORT))
            membership = socket.inet_aton(GROUP) + socket.inet_aton(field.addresses[node])
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
            self._sockets[opened] = node

    def listen(self, within_s: float) -> None:
        """Take what comes until nothing has for that long."""
        while ready := select.select([*self._sockets], [], [], within_s)[0]:
            for each in ready:
                self.heard[self._sockets[each]].append(struct.unpack("!I", each.recv(2048)[:4])[0])


@contextmanager
def _ears(field: Field, nodes: str) -> Iterator[Ears]:
    with ExitStack() as stack:
        yield Ears(field, nodes, stack)


def _send(field: Field, ears: Ears, to: str, numbers: range) -> None:
    with entered(field.nodes["a"].fd):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(field.addresses["a"]))
        for number in numbers:
            sender.sendto(struct.pack("!I", number) + bytes(200), (to, PORT))
            if number % 10 == 9:
                ears.listen(0.002)
    ears.listen(0.5)


@flooding
@pytest.mark.parametrize("to", [GROUP, ALL])
def test_each_receiver_loses_packets_of_its_own(field: Field, to: str) -> None:
    sent, p = 2000, 0.3
    field.set("b", "down", NetworkConditions(loss=Fraction(p)))
    with _ears(field, "bc") as ears:
        field.drain()
        _send(field, ears, to, range(sent))
        flows, hops = field.drain()
    assert ears.heard["c"] == list(range(sent))
    assert abs(len(ears.heard["b"]) / sent - (1 - p)) < 4.9 * (p * (1 - p) / sent) ** 0.5  # 1e-6
    assert hops["a", "up"].sent == sent
    counted = {(flow.node, flow.direction): flow.packets for flow in flows if flow.dport == PORT}
    assert counted == {("a", "up"): sent, ("b", "down"): len(ears.heard["b"]), ("c", "down"): sent}


@flooding
def test_what_the_sender_loses_reaches_nobody(field: Field) -> None:
    field.set("a", "up", NetworkConditions(loss=Fraction(0.3)))
    with _ears(field, "bc") as ears:
        _send(field, ears, GROUP, range(1000))
    assert ears.heard["b"] == ears.heard["c"]
    assert 0 < len(ears.heard["b"]) < 1000


@flooding
def test_cuts_and_partitions_hold_for_packets_to_all(field: Field) -> None:
    with _ears(field, "abc") as ears:
        field.call("partition", [["a", "b"], ["c"]])
        _send(field, ears, GROUP, range(10))
        field.call("partition", [])
        field.call("cut", "b", True)
        _send(field, ears, GROUP, range(10, 20))
    assert ears.heard["b"] == list(range(10))
    assert ears.heard["c"] == list(range(10, 20))
    assert ears.heard["a"] == list(range(20)), "the sender's own copies come from its own kernel, once"
