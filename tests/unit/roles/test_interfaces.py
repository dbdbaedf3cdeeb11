"""The addresses of interfaces come from the kernel by netlink, as other programs see them."""

from __future__ import annotations

import socket
from ipaddress import IPv4Interface

import psutil

from wotemu_runtime.roles.interfaces import interfaces_by_network, ipv4_interfaces


def test_each_address_is_known_with_its_interface_and_prefix() -> None:
    others = {
        (device, IPv4Interface(f"{entry.address}/{entry.netmask}"))
        for device, entries in psutil.net_if_addrs().items()
        for entry in entries
        if entry.family == socket.AF_INET and entry.netmask
    }
    assert set(ipv4_interfaces()) == others


def test_an_address_in_a_networks_subnet_has_its_prefix() -> None:
    found = interfaces_by_network({"here": "127.0.0.0/24", "elsewhere": "240.0.0.0/24"})
    assert found == {"here": ("lo", IPv4Interface("127.0.0.1/24"))}
