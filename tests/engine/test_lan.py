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
socks = []
for group in {GROUPS!r}:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    socks.append(s)
for n in range(10000):
    for port, (s, group) in enumerate(zip(socks, {GROUPS!r}), 7000):
        s.sendto(f"{{n}} {{time.time()}}".encode(), (group, port))
    time.sleep(.1)
"""


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def heard(lines: list[str]) -> set[str]:
    """The groups of which packets came, each in order and from some moment on without a gap."""
    numbers: dict[str, list[int]] = {}
    for line in lines:
        group, number, _, _ = line.split()
        numbers.setdefault(group, []).append(int(number))
    for came in numbers.values():
        assert came == list(range(came[0], came[0] + len(came)))
    return set(numbers)


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
    for name, least_ms in (("near", 20), ("far", 60)):
        lines = ran.log(name)
        assert heard(lines) == set(GROUPS)
        assert min(int(line.split()[-1]) for line in lines) >= least_ms - 1
        assert {line.split()[2] for line in lines} == {"10.64.0.2"}, (
            "the sender's address on its first network"
        )
    # Who joins on any address joins on its first network; broadcasts come on each.
    assert heard(ran.log("elsewhere")) == {"255.255.255.255", "10.64.255.255"}


async def test_a_sender_hears_itself_in_a_group_that_it_joined(emulate: Emulate) -> None:
    send = f"import threading\nthreading.Thread(target=lambda: exec({SEND!r})).start()\n"
    both = LISTEN.replace("while True:", send + "while True:")
    ran = await emulate(
        Topology([Node("alone", command=python(both), networks=[LAN])]), Scenario(duration=paced(3))
    )
    assert heard(ran.log("alone")) == set(GROUPS)


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
        "import socket\n"
        "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('',7000)); s.settimeout(.2)\n"
        "got=set()\n"
        "while True:\n"
        f" for i in range(1,{count}+1): s.sendto(b'x',(f'n-{{i}}',7000))\n"
        " try:\n"
        f"  for _ in range({count}): got.add(s.recvfrom(9)[1][0])\n"
        " except TimeoutError: pass\n"
        " print(len(got), [l.split() for l in open('/proc/net/arp')][1:], flush=True)"
    )
    ran = await emulate(
        Topology([Node("n", command=chat, networks=[LAN], scale=count)]), Scenario(duration=paced(5))
    )
    for i in range(1, count + 1):
        # The end of the run may cut the last line short.
        line = [each for each in ran.log(f"n-{i}") if each.endswith("]")][-1]
        assert line.startswith(f"{count} ")
        assert re.findall(r"'(10\.\d+\.\d+\.\d+)', '0x1', '(0x\d)'", line) == [("10.64.0.1", "0x6")], (
            "permanent"
        )


async def test_clients_of_a_name_are_spread_over_its_replicas(emulate: Emulate) -> None:
    serve = python(
        "import socket\ns=socket.create_server(('',80)); t=socket.create_server(('',81))\n"
        "while True:\n c,_=s.accept(); print('asked',flush=True); c.close()"
    )
    ask = python(
        "import socket,time\n"
        "def up(i):\n"
        " try: return not socket.create_connection((f'web-{i}',81),5).close()\n"
        " except OSError: time.sleep(.1)\n"
        "while not all(map(up,(1,2,3))): pass\n"
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
