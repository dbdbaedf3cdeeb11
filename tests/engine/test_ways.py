"""Ways to look into nodes and out of them: captured packets, published ports, own folders, MTU."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import sys
import urllib.request
from pathlib import Path
from typing import Any

import attrs
import dpkt
import pytest

from tests.conftest import Require
from tests.engine.conftest import paced
from wotemu import (
    Emulation,
    HostError,
    InputError,
    Network,
    NetworkConditions,
    Node,
    Service,
    Topology,
    event,
)
from wotemu.emulation.run_options import ShaperName, capture_of
from wotemu_runtime.control.client import ControlClient
from wotemu_runtime.control.requests import Printed
from wotemu_runtime.planning.models import Capture, Plan
from wotemu_runtime.planning.planner import make_plan

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("no_leftovers", "namespaces")]

LATENCY_NS = 20_000_000
FIELD = Network("field", NetworkConditions(latency="20ms"))
RECEIVER = """
import socket
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("", 9000))
while True:
    s.recv(2000)
"""
SENDER = """
import socket, time
s = socket.socket(type=socket.SOCK_DGRAM)
for number in range(200):
    s.sendto(number.to_bytes(4, "big") + bytes(996), ("receiver", 9000))
    time.sleep(0.005)
time.sleep(100)
"""


def numbers(path: Path) -> dict[int, float]:
    """The sender's datagrams in a capture: when each passed, by its number."""
    found = {}
    with path.open("rb") as file:
        for time, data in dpkt.pcapng.Reader(file):
            udp: Any = dpkt.ethernet.Ethernet(data).data.data
            if isinstance(udp, dpkt.udp.UDP) and udp.dport == 9000:
                found[int.from_bytes(udp.data[:4], "big")] = time
    return found


async def test_captures_have_what_each_node_saw_up_to_their_size(tmp_path: Path) -> None:
    topology = Topology(
        [
            Node("receiver", command=[sys.executable, "-c", RECEIVER], networks=[FIELD]),
            Node("sender", command=[sys.executable, "-c", SENDER], networks=[FIELD]),
            Node("idle", command=["sleep", "100"], networks=[FIELD]),
        ]
    )
    async with Emulation(
        topology, out=tmp_path / "run", duration=paced(3), pcap=["sender", "receiver"], pcap_size="128KiB"
    ) as emulation:
        await emulation.ready()
        async with ControlClient(emulation.name).capture("sender") as command:
            live = b"".join([each.data async for each in command.output() if isinstance(each, Printed)])
        await emulation.done()
    (tmp_path / "live.pcapng").write_bytes(live)
    assert len(numbers(tmp_path / "live.pcapng")) > 100  # to the end of the run
    folder = tmp_path / "run" / "captures"
    assert sorted(path.name for path in folder.iterdir()) == ["receiver.pcapng", "sender.pcapng"]
    sent, received = (numbers(folder / f"{name}.pcapng") for name in ("sender", "receiver"))
    # 200 packets of 1042 bytes and 48 around each are more than 128 KiB: both end with whole packets.
    assert list(sent) == list(range(len(sent)))
    assert 100 < len(sent) < 125
    delays_ns = [(received[number] - sent[number]) * 1e9 for number in received if number in sent]
    assert len(delays_ns) > 100
    assert min(delays_ns) > LATENCY_NS - 1e6  # floats of that reader
    rows = emulation.result.table("captures").collect().sort("t")
    for name in ("sender", "receiver"):
        path = folder / f"{name}.pcapng"
        last = rows.filter(node=name).tail(1).to_dicts()[0]
        with path.open("rb") as file:
            assert last["packets"] == len(list(dpkt.pcapng.Reader(file)))
        assert last["bytes"] == path.stat().st_size <= 128 * 1024
        assert last["left_out"] >= 75
        assert last["dropped"] == 0
    events = (tmp_path / "run" / "events.jsonl").read_text()
    assert (events.count('"capture.full"'), events.count('"capture.done"')) == (2, 3)


async def test_agents_capture_as_they_do_on_a_swarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The coordinator stores whole blocks, and rows and events say how many packets there are."""

    def by_agents(*given: Any, **more: Any) -> Capture:
        found = capture_of(*given, **more)
        assert found is not None
        return attrs.evolve(found, is_by_agents=True)

    monkeypatch.setattr("wotemu.emulation.emulation.capture_of", by_agents)
    topology = Topology(
        [
            Node("receiver", command=[sys.executable, "-c", RECEIVER], networks=[FIELD]),
            Node("sender", command=[sys.executable, "-c", SENDER], networks=[FIELD]),
        ]
    )
    async with Emulation(
        topology, out=tmp_path / "run", duration=paced(3), pcap=True, pcap_size="128KiB"
    ) as emulation:
        await emulation.done()
    rows = emulation.result.table("captures").collect().sort("t").group_by("node").last().to_dicts()
    assert sorted(row["node"] for row in rows) == ["receiver", "sender"]
    for row in rows:
        path = tmp_path / "run" / "captures" / f"{row['node']}.pcapng"
        found = numbers(path)
        assert list(found) == list(range(len(found)))
        assert 100 < len(found) < 125
        with path.open("rb") as file:
            assert row["packets"] == len(list(dpkt.pcapng.Reader(file)))
        assert row["bytes"] <= path.stat().st_size <= 128 * 1024
        assert row["left_out"] >= 75
    kinds = [each.kind for each in emulation.result.events("capture.*")]
    assert (kinds.count("capture.full"), kinds.count("capture.done")) == (2, 2)


def test_what_can_not_be_captured_is_refused_when_it_is_asked_for() -> None:
    topology = Topology([Node("sender", command=["sleep", "100"], networks=[FIELD])])
    with pytest.raises(InputError, match="there is no node 'sendr'") as wrong:
        Emulation(topology, pcap=["sendr"])
    assert "did you mean 'sender'" in str(wrong.value.hint)
    with pytest.raises(InputError, match="too small"):
        Emulation(topology, pcap=True, pcap_size="1KiB")
    database = Service("db", "postgres:16", command=["true"], networks=[FIELD])
    user = Node("user", command=["sleep", "100"], networks=[FIELD], services=[database])
    with pytest.raises(InputError, match="'db' is a plain service"):
        Emulation(Topology([user]), pcap=["db"], engine="swarm")


SERVER = """
import http.server, socketserver
class Upload(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(bytes(3_000_000))
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer((HOST, 80), Upload).serve_forever()
"""


def server(host: str) -> list[str]:
    return [sys.executable, "-c", f"HOST = {host!r}" + SERVER]


def upload(port: int) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", data=bytes(1_000_000))
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: bytes = answer.read()
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize("over_bus", [False, True], ids=["", "as_on_a_swarm"])
async def test_published_ports_lead_to_what_listens_in_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, over_bus: bool
) -> None:
    def planned(*given: Any, **more: Any) -> Plan:
        return attrs.evolve(make_plan(*given, **more), publishes_over_bus=over_bus)

    monkeypatch.setattr("wotemu_runtime.runs.run.make_plan", planned)
    first, second, third = free_port(), free_port(), free_port()
    topology = Topology(
        [
            Node("gui", command=server("127.0.0.1"), networks=[FIELD], publish={first: 80, third: 81}),
            Node("api", command=server("10.64.0.3"), networks=[FIELD], publish={second: 80}),
        ]
    )
    async with Emulation(topology, out=tmp_path / "run", duration=paced(60)) as emulation:
        await emulation.ready()
        await emulation.wait_for(event("port.published"))
        with pytest.raises(HostError, match=f"port {first} is taken by "):
            async with Emulation(topology, out=tmp_path / "other"):
                pass
        for port in (first, second):
            async with asyncio.timeout(20):
                while True:  # until its program has started
                    with contextlib.suppress(OSError, http.client.HTTPException):
                        assert await asyncio.to_thread(upload, port) == bytes(3_000_000)
                        break
        with pytest.raises((OSError, http.client.HTTPException)):
            await asyncio.to_thread(upload, third)
    last = emulation.result.table("published").collect().sort("t").group_by("port").last()
    rows = {row["port"]: row for row in last.to_dicts()}
    for port, node in ((first, "gui"), (second, "api")):
        row = rows[port]
        assert (row["node"], row["target"], row["connections"]) == (node, 80, 1)
        assert 1_000_000 < row["received"] < 1_001_000
        assert 3_000_000 < row["sent"] < 3_001_000
    assert (rows[third]["connections"], rows[third]["refused"]) == (0, 1)
    events = [json.loads(line) for line in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    urls = [each["data"]["url"] for each in events if each["kind"] == "port.published"]
    assert urls == [f"http://127.0.0.1:{port}/" for port in (first, third, second)]
    assert not (tmp_path / "other" / "manifest.json").exists()


PACKETS = """
import errno, os, pathlib, socket
own = pathlib.Path(os.environ["WOTEMU_SCRATCH"])
print("found", [each.name for each in own.iterdir()])
(own / "state").write_text(os.environ["WOTEMU_REPLICA"])
s = socket.socket(type=socket.SOCK_DGRAM)
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_PMTUDISC_DONT = 10, 2, 0
for how in (IP_PMTUDISC_DO, IP_PMTUDISC_DONT):
    s.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, how)
    for size in (400 - 28, 400 - 27):
        try:
            s.sendto(bytes(size), ("receiver", 9000))
            print(how, size, "sent", flush=True)
        except OSError as error:
            print(how, size, errno.errorcode[error.errno], flush=True)
"""
SHOW = """
import os, socket
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("", 9000))
while True:
    print(len(s.recv(2000)), flush=True)
"""


@pytest.mark.parametrize("shaper", ["tun", pytest.param("netem", marks=pytest.mark.netem)])
async def test_replicas_have_folders_of_their_own_and_networks_their_mtu(
    tmp_path: Path, require: Require, has_netem: bool, shaper: ShaperName
) -> None:
    require(shaper == "tun" or has_netem, "its kernel has no NetEm")
    small = Network("small", NetworkConditions(latency="1ms"), mtu=400)
    topology = Topology(
        [
            Node("receiver", command=[sys.executable, "-c", SHOW], networks=[small]),
            Node(
                "sender",
                command=[sys.executable, "-c", "import time; time.sleep(1)\n" + PACKETS],
                networks=[small],
                scale=2,
            ),
        ]
    )
    async with Emulation(topology, out=tmp_path / "run", duration=paced(8), shaper=shaper) as emulation:
        await emulation.ready()
        await emulation.wait_for(event("app.exited"))
        await emulation.at(paced(5))
        state = [
            (await emulation.exec(f"sender-{number}", ["sh", "-c", "cat $WOTEMU_SCRATCH/state"])).stdout
            for number in (1, 2)
        ]
    assert state == ["sender-1", "sender-2"]
    logs = [(tmp_path / "run" / "logs" / f"sender-{number}.log").read_text() for number in (1, 2)]
    wanted = "found []\n2 372 sent\n2 373 EMSGSIZE\n0 372 sent\n0 373 sent\n"
    assert logs == [wanted, wanted]
    received = (tmp_path / "run" / "logs" / "receiver.log").read_text().split()
    assert sorted(received) == ["372"] * 4 + ["373"] * 2  # two fragments are one datagram again
