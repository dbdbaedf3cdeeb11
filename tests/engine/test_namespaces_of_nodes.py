"""A process that serves nodes from outside uses their network namespaces, one after the other."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("namespaces")]

NODES = """
import contextlib, os, socket, time
from pathlib import Path
from types import SimpleNamespace
from wotemu_gateways.netlink import link, namespaces
from wotemu_gateways.netlink.request_socket import Netlink
from wotemu_gateways.packets import probe
from wotemu_gateways.userspace.tap_device import open_tap
from wotemu_runtime.agent.namespaces import NamespacesOf

def node(address):
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        namespaces.unshare(namespaces.CLONE_NEWNET)
        tap = open_tap("eth0")
        index = link.index_of("eth0")
        with Netlink() as netlink:
            netlink.send(link.address(index, address, 24), link.up(1), link.up(index))
        os.write(told, b"x")
        time.sleep(60)
    os.read(ready, 1)
    return pid

addresses = {"10.1.0.2": 6000, "10.2.0.2": 0}  # packets that each node sends, and its gateway never reads
nodes = {address: NamespacesOf(node(address), Path("/etc/hosts")) for address in addresses}
for address, count in addresses.items():
    with nodes[address].open_probe_socket(address) as opened:
        assert opened.getsockname() == (address, probe.PORT)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for _ in range(count):
            with contextlib.suppress(OSError):
                opened.sendto(b"", (address[:-1] + "255", 9))
    with nodes[address].listen_for_metrics() as listening:
        assert listening.getsockname() == b"\\0wotemu-agent"
dropped = []
role = SimpleNamespace(event=lambda kind, text, **data: dropped.append(data["count"]))
for each in nodes.values():
    each.report_dropped_frames(role)
print(dropped)
for each in nodes.values():
    os.kill(each._first, 9)
"""


def test_sockets_and_drops_are_those_of_each_node() -> None:
    """Two interfaces of one name: what one has dropped is not counted at the other as well."""
    words = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", NODES]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    (only,) = json.loads(ran.stdout)
    assert 0 < only <= 6000
