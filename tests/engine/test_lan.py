"""A node is a machine on a LAN: what plain programs do there works as on a laptop, under the conditions."""

from __future__ import annotations

import re
import sys

import pytest

from tests.engine.conftest import Emulate, paced
from wotemu.scenario import Scenario
from wotemu.topology.models import Link, Network, NetworkConditions, Node, Topology

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("no_leftovers")]

LAN = Network("lan")
GROUPS = ("224.0.0.251", "224.0.1.187", "239.255.255.250", "255.255.255.255", "10.64.255.255")
"""mDNS's, CoAP's and SSDP's groups, and both kinds of broadcast."""

LISTEN = f"""
import select, socket, struct, time
socks = {{}}
for port, group in enumerate({GROUPS!r}, 7000):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", port))
    if group.startswith("2") and group != "255.255.255.255":
        membership = struct.pack("4s4s", socket.inet_aton(group), bytes(4))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    socks[s] = group
while True:
    for s in select.select([*socks], [], [])[0]:
        data, (host, _) = s.recvfrom(100)
        number, sent = data.decode().split()
        print(socks[s], number, host, round(1000 * (time.time() - float(sent))), flush=True)
"""
SEND = f"""
import socket, time
time.sleep(1)
for port, group in enumerate({GROUPS!r}, 7000):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    for n in range(3):
        s.sendto(f"{{n}} {{time.time()}}".encode(), (group, port))
print("sent", flush=True)
time.sleep(100)
"""


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def heard(lines: list[str]) -> dict[str, list[str]]:
    """The numbers of the packets that came for each group."""
    found: dict[str, list[str]] = {}
    for line in lines:
        group, number, _, _ = line.split()
        found.setdefault(group, []).append(number)
    return found


async def test_groups_and_broadcasts_reach_everybody_without_choosing_an_interface(emulate: Emulate) -> None:
    other = Network("other")
    near = Link(LAN, up=NetworkConditions(latency="20ms"))
    far = Link(LAN, down=NetworkConditions(latency="40ms"))
    ran = await emulate(
        Topology([
            Node("sender", command=python(SEND), networks=[near, other]),
            Node("near", command=python(LISTEN), networks=[LAN]),
            Node("far", command=python(LISTEN), networks=[far, other]),
            Node("elsewhere", command=python(LISTEN), networks=[other, LAN]),
        ]),
        Scenario(duration=paced(5)),
    )  # fmt: skip
    assert ran.log("sender") == ["sent"]
    for name, least_ms in (("near", 20), ("far", 60)):
        lines = ran.log(name)
        assert heard(lines) == {group: ["0", "1", "2"] for group in GROUPS}
        assert min(int(line.split()[-1]) for line in lines) >= least_ms - 1
        assert {line.split()[2] for line in lines} == {"10.64.0.2"}, (
            "the sender's address on its first network"
        )
    # Who joins on any address joins on its first network; broadcasts come on each.
    assert set(heard(ran.log("elsewhere"))) == {"255.255.255.255", "10.64.255.255"}


async def test_a_sender_hears_itself_in_a_group_that_it_joined(emulate: Emulate) -> None:
    send = f"import threading\nthreading.Thread(target=lambda: exec({SEND!r})).start()\n"
    both = LISTEN.replace("while True:", send + "while True:")
    ran = await emulate(
        Topology([Node("alone", command=python(both), networks=[LAN])]), Scenario(duration=paced(3))
    )
    groups = {group: ["0", "1", "2"] for group in GROUPS}
    assert heard([line for line in ran.log("alone") if line != "sent"]) == groups


async def test_servers_bind_any_port_and_ping_needs_no_rights(emulate: Emulate) -> None:
    look = python(
        "import socket\n"
        "for port in (1, 80, 443): socket.create_server(('', port))\n"
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(('', 53))\n"
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP); print('bound')"
    )
    ran = await emulate(Topology([Node("a", command=look, networks=[LAN])]), Scenario(duration=paced(2)))
    assert ran.log("a") == ["bound"]


async def test_nodes_that_all_talk_to_each_other_leave_the_kernels_arp_table_small(emulate: Emulate) -> None:
    count = 12
    chat = python(
        "import socket,time\n"
        "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('',7000)); s.settimeout(.2)\n"
        "for _ in range(8):\n"
        f" for i in range(1,{count}+1): s.sendto(b'x',(f'n-{{i}}',7000))\n"
        " time.sleep(.2)\n"
        "got=set()\n"
        "try:\n"
        " while True: got.add(s.recvfrom(9)[1][0])\n"
        "except TimeoutError: pass\n"
        "print(len(got), [l.split() for l in open('/proc/net/arp')][1:], flush=True); time.sleep(100)"
    )
    ran = await emulate(
        Topology([Node("n", command=chat, networks=[LAN], scale=count)]), Scenario(duration=paced(5))
    )
    for i in range(1, count + 1):
        [line] = ran.log(f"n-{i}")
        assert line.startswith(f"{count} ")
        assert re.findall(r"'(10\.\d+\.\d+\.\d+)', '0x1', '(0x\d)'", line) == [("10.64.0.1", "0x6")], (
            "permanent"
        )


async def test_clients_of_a_name_are_spread_over_its_replicas(emulate: Emulate) -> None:
    serve = python(
        "import socket\ns=socket.create_server(('',80))\n"
        "while True:\n c,_=s.accept(); print('asked',flush=True); c.close()"
    )
    ask = python(
        "import socket,time\ntime.sleep(1)\n"
        "for _ in range(5): socket.create_connection(('web',80),5).close()\ntime.sleep(100)"
    )
    ran = await emulate(
        Topology([
            Node("client", command=ask, networks=[LAN], scale=6),
            Node("web", command=serve, networks=[LAN], scale=3),
        ]),
        Scenario(duration=paced(5)),
    )  # fmt: skip
    assert [len(ran.log(f"web-{i}")) for i in (1, 2, 3)] == [10, 10, 10]


async def test_a_hundred_nodes_deploy(emulate: Emulate) -> None:
    ran = await emulate(
        Topology([Node("n", command=["sleep", "100"], networks=[LAN], scale=100)]),
        Scenario(duration=paced(1)),
    )
    assert ran.result.status == "done", ran.result.error
    assert len(ran.of_kind("role.ready")) == 101
