"""Two nodes on two machines: all that they say to each other passes their network's gateway, whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import aiodocker
import polars as pl
import pytest

from tests.conftest import Require
from tests.docker.lab import HOSTS
from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun
from wotemu.records import Event
from wotemu.scenario import Scenario
from wotemu.topology.models import (
    Broker,
    Network,
    NetworkConditions,
    Node,
    NodeApp,
    Placement,
    Topology,
)

pytestmark = pytest.mark.docker

BINDINGS = {"http", "ws", "coap", "mqtt"}
FIELD = Network("field", NetworkConditions(latency="10ms"))
TCP_HEADERS = 20 + 20 + 12  # with timestamps, as Linux sends them


async def _machines() -> list[str]:
    names = []
    for host in HOSTS[:2]:
        docker = aiodocker.Docker(url=host)
        names.append((await docker.system.info())["Name"])
        await docker.close()
    return names


def _on(machine: str) -> Placement:
    return Placement(constraints=[f"node.hostname=={machine}"])


def _facts(run_dir: Path, node: str) -> dict[str, Any]:
    lines = (run_dir / "logs" / f"{node}.log").read_text().splitlines()
    told = [line.partition("FACTS ")[2] for line in lines if "FACTS " in line]
    assert told, lines[-20:]
    found: dict[str, Any] = json.loads(told[-1])
    return found


async def test_all_bindings_pass_the_gateway_whole(
    tmp_path: Path, require: Require, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(len(HOSTS) > 1, "WOTEMU_TEST_DOCKER_HOSTS does not name the DOCKER_HOST of two nodes of a swarm")
    monkeypatch.setenv("DOCKER_HOST", HOSTS[0])
    shutil.copytree(Path(__file__).parent / "code", tmp_path / "code")
    near, far = await _machines()
    broker = Broker("broker", networks=[FIELD], placement=_on(near))
    serving = NodeApp("across.py:serve", http=True, ws=True, coap=True, mqtt=True)
    topology = Topology([
        Node("server", serving, networks=[FIELD], broker=broker, placement=_on(near)),
        Node("client", NodeApp("across.py:read"), networks=[FIELD], broker=broker, placement=_on(far)),
    ])  # fmt: skip
    events: list[Event] = []
    deployment = Deployment(topology, Scenario(duration="30s"), tmp_path / "code" / "deployment.py")
    result = await ReportedRun(deployment, name="across", out=tmp_path / "run", engine="swarm").run(
        events.append
    )
    assert result.status == "done", result.error
    ready = {event.source: event.data for event in events if event.kind == "role.ready"}
    assert {ready["agent:server"]["host"], ready["agent:broker"]["host"]} == {near}
    assert ready["agent:client"]["host"] == far

    client, server = _facts(result.run_dir, "client"), _facts(result.run_dir, "server")
    assert client["values"] == dict.fromkeys(BINDINGS, 7)
    # A packet of the overlay's MTU passes, a longer one never leaves, and none is cut to pieces on its way.
    assert (client["fits"], client["more_fits"]) == (True, False)
    assert client["mtu"] == server["mtu"]
    assert client["mss"] == client["mtu"] - TCP_HEADERS
    for facts in (client, server):
        assert (facts["IpFragCreates"], facts["IpReasmReqds"], facts["IcmpInRedirects"]) == (0, 0, 0)
        # Who never asked for a peer's MAC has never sent it a packet but by the gateway.
        assert len(facts["neighbours"]) == 1
    assert client["neighbours"] == server["neighbours"]

    flows = pl.read_parquet(result.run_dir / "tables" / "flows.parquet").filter(pl.col("network") == "field")
    for node in ("client", "server"):
        for direction in ("up", "down"):
            seen = flows.filter(pl.col("node") == node, pl.col("direction") == direction)
            assert set(seen.filter(pl.col("packets") > 0)["protocol"]) >= BINDINGS, (node, direction)
    bulk = flows.filter((pl.col("dport") == 7000) | (pl.col("sport") == 7000), pl.col("direction") == "down")
    assert bulk["bytes"].sum() > 2 * 500_000
