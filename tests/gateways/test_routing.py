"""A node's routes through its gateway, and a gateway's rules that divert what its members send."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

from wotemu_gateways.netlink import routing
from wotemu_gateways.netlink.request_socket import Netlink
from wotemu_gateways.netlink.routes import FR_ACT_UNREACHABLE, Rule

from .lab import Namespace

pytestmark = pytest.mark.namespaces


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A gateway's namespace, with an interface and four devices."""
    made = Namespace()
    for name in ("eth0", "tap1", "tap2", "tap3", "tap4"):
        made.run(f"ip link add {name} type veth peer name {name}-far")
        made.run(f"ip link set {name} up")
    yield made
    made.close()


def rules(namespace: Namespace) -> list[str]:
    """The sources that rules of the gateway are for."""
    found = namespace.run("ip rule list priority 600").splitlines()
    return sorted(line.split("from ")[1].split(" ")[0] for line in found)


def is_refused(namespace: Namespace, address: str) -> bool:
    """Whether the kernel sends nothing to an address."""
    command = namespace.command("ip", "route", "get", address)
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_diverting_anew_leaves_no_rule_behind(namespace: Namespace) -> None:
    with namespace.entered():
        routing.steer_into_taps("eth0", {"10.0.0.2": "tap1", "10.0.0.3": "tap2"})
    assert rules(namespace) == ["10.0.0.2", "10.0.0.3"]
    with namespace.entered():
        for _ in range(3):
            routing.steer_into_taps("eth0", {"10.0.0.2": "tap3", "10.0.0.9": "tap4"})
    assert rules(namespace) == ["10.0.0.2", "10.0.0.9"]
    assert "dev tap3" in namespace.run("ip route get 8.8.8.8 from 10.0.0.2 iif eth0")
    assert "blackhole" in namespace.run("ip rule list priority 601")


def test_a_nodes_packets_take_the_latest_gateway_and_none_once_it_is_gone(namespace: Namespace) -> None:
    namespace.run("ip address add 10.0.0.5/24 dev eth0")
    with namespace.entered():
        routing.isolate("10.0.0.0/24", "eth0")
        routing.isolate("10.0.0.0/24", "eth0")  # as in a container that is restarted
        assert is_refused(namespace, "10.0.0.9")
        for gateway in ("10.0.0.1", "10.0.0.2"):
            routing.route_via(gateway, "10.0.0.0/24", "eth0")
            assert f"via {gateway} dev eth0" in namespace.run("ip route get 10.0.0.9")
    table = namespace.run("ip rule list priority 600").split()[-1]
    assert "10.0.0.2 dev eth0 proto static scope link" in namespace.run(f"ip route show table {table}")
    assert "10.0.0.1" not in namespace.run(f"ip route show table {table}")
    with namespace.entered():
        routing.blackhole("eth0")
        assert is_refused(namespace, "10.0.0.9")


def test_an_unplugged_nodes_network_is_unreachable_until_its_routes_lead_through_the_gateway_again(
    namespace: Namespace,
) -> None:
    subnet = "10.0.0.0/24"
    namespace.run("ip link set eth0-far up")
    namespace.run("ip address add 10.0.0.5/24 dev eth0")
    with namespace.entered():
        routing.route_via("10.0.0.1", subnet, "eth0")
        for _ in range(2):
            routing.unplug(subnet, "eth0")
            assert send_error("10.0.0.9") == errno.ENETUNREACH
        assert "UP" not in namespace.run("ip -o link show eth0").split(">")[0]
        routing.set_up("eth0")
        assert send_error("10.0.0.9") == errno.ENETUNREACH, "the subnet's own route is back, past the gateway"
        routing.route_via("10.0.0.1", subnet, "eth0")
        for _ in range(2):
            routing.end_unreachable(subnet)
        assert send_error("10.0.0.9") == 0
    assert "via 10.0.0.1 dev eth0" in namespace.run("ip route get 10.0.0.9")


def send_error(address: str) -> int:
    """The error of sending a datagram from this thread's network namespace; 0 for none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(b"", (address, 9))
        except OSError as error:
            return error.errno or -1
    return 0


def test_a_rule_for_a_user_is_one_for_no_other(namespace: Namespace) -> None:
    uid = os.getuid()  # one that a user namespace maps: of others there can be no rule
    with namespace.entered(), Netlink() as netlink:
        for _ in range(2):
            routing.add_rules(netlink, Rule(priority=700, action=FR_ACT_UNREACHABLE, uid=uid))
    (rule,) = namespace.run("ip rule list priority 700").splitlines()
    assert rule.split("from ")[1].split() == ["all", "uidrange", f"{uid}-{uid}", "unreachable"]
