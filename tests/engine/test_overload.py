"""A gateway that gets more packets than it can take."""

from __future__ import annotations

import sys

import polars as pl
import pytest

from tests.engine.conftest import Emulate, paced
from wotemu.scenario import Scenario
from wotemu.topology.models import Network, NetworkConditions, Node, Topology

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("no_leftovers")]

FIELD = Network("field", NetworkConditions(latency="20ms"))


async def test_more_than_a_gateway_can_take_is_counted_as_lost(emulate: Emulate) -> None:
    flood = (  # the kernel cuts what is sent into packets of 1000 bytes
        "import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
        "s.setsockopt(socket.IPPROTO_UDP,103,1000)\nb=(socket.gethostbyname('b'),7000)\n"
        "end=time.monotonic()+1\nn=0\n"
        "while time.monotonic()<end: s.sendto(bytes(50000),b); n+=50\nprint(n)\ntime.sleep(100)"
    )
    ran = await emulate(
        Topology(
            [
                Node("a", command=[sys.executable, "-c", flood], networks=[FIELD]),
                Node("b", command=["sleep", "100"], networks=[FIELD]),
            ]
        ),
        Scenario(duration=paced(3)),
    )
    [sent] = map(int, ran.log("a"))
    flows = pl.read_parquet(ran.result.run_dir / "tables" / "flows.parquet")
    taken = flows.filter((pl.col("dport") == 7000) & (pl.col("direction") == "up"))["packets"].sum()
    assert 0 < taken < sent
    others = sum(ran.result.losses.values()) - (sent - taken)
    assert 0 <= others <= 10, "but for a few probes, and a question for an address, all are of the flood"
