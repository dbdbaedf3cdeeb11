"""A gateway's rules that divert what its members send."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wotemu_gateways.netlink import routing

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
