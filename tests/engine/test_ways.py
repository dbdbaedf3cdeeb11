"""Ways to look into nodes and out of them: captured packets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import dpkt
import pytest

from tests.engine.conftest import paced
from wotemu import Emulation, InputError, Network, NetworkConditions, Node, Topology
from wotemu_runtime.control.client import ControlClient
from wotemu_runtime.control.requests import Printed

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


def test_what_can_not_be_captured_is_refused_when_it_is_asked_for() -> None:
    topology = Topology([Node("sender", command=["sleep", "100"], networks=[FIELD])])
    with pytest.raises(InputError, match="there is no node 'sendr'") as wrong:
        Emulation(topology, pcap=["sendr"])
    assert "did you mean 'sender'" in str(wrong.value.hint)
    with pytest.raises(InputError, match="too small"):
        Emulation(topology, pcap=True, pcap_size="1KiB")
    with pytest.raises(InputError, match="swarm engine can't capture"):
        Emulation(topology, pcap=True, engine="swarm")
