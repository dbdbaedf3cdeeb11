"""Whole emulations on a real swarm of two machines."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
from itertools import groupby, pairwise
from pathlib import Path

import aiodocker
import polars as pl
import pytest

from tests.conftest import Require
from tests.docker.lab import HOSTS, machines_socket
from tests.docker.seen_limits import SHOWS_LIMITS, seen_around
from tests.swarm.deployments import dockers
from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun, Result
from wotemu.errors import InputError
from wotemu.records import Event
from wotemu.scenario import Scenario, at, during
from wotemu.topology.models import (
    Broker,
    Network,
    NetworkConditions,
    Node,
    NodeApp,
    NodeResources,
    Placement,
    Topology,
)
from wotemu_runtime.engines.swarm import specs
from wotemu_runtime.engines.swarm.calibration import NAME, rate_machines
from wotemu_runtime.engines.swarm.limiters import RATINGS_VOLUME

pytestmark = pytest.mark.docker

FIELD = Network("field", NetworkConditions(latency="20ms"))
IDLE = ["sleep", "1000"]
SECRET = "s3cret-of-field"
TICKING = ["sh", "-c", "while :; do date +%s.%N; sleep 0.1; done"]
REPORTING = """
import asyncio, os, socket, subprocess
from wotpy.protocols.http.client import HTTPClient
from wotpy.wot.servient import Servient
from wotpy.wot.wot import WoT

subprocess.run(["wotemu-metric", "level", "3"], check=True)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.sendto(b"frames:2|c", (os.environ["STATSD_HOST"], int(os.environ["STATSD_PORT"])))
unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
unix.sendto(b"frames:1|c", os.environ["WOTEMU_STATSD_SOCKET"])

async def consume(wot):
    try:
        return await wot.consume_from_url("http://sensor:9090/sensor")
    except Exception:
        await asyncio.sleep(0.3)

async def main():
    wot = WoT(servient=Servient(catalogue_port=None, clients=[HTTPClient()]))
    while not (thing := await consume(wot)):
        pass
    for _ in range(3):
        await thing.properties["value"].read()
    await asyncio.sleep(1000)

asyncio.run(main())
"""
CLOCKS = "while :; do read up _ </proc/uptime; echo $(date +%s.%N) $up; sleep 0.1; done"
"""Prints the wall clock and the seconds since the machine's start."""
STATES = ('"crashed"', '"running"', '"stopped"')
TOLD_S = 0.3
"""How long the signal that ends an app may be under way, on a busy machine."""


@pytest.fixture(autouse=True)
async def manager(require: Require, monkeypatch: pytest.MonkeyPatch) -> None:
    require(bool(HOSTS), "WOTEMU_TEST_DOCKER_HOSTS does not name the DOCKER_HOST of each node of a swarm")
    monkeypatch.setenv("DOCKER_HOST", HOSTS[0])
    async with dockers() as clients:
        monkeypatch.setenv("WOTEMU_DOCKER_SOCKET", await machines_socket(clients))


async def emulate(
    folder: Path, topology: Topology, scenario: Scenario, name: str
) -> tuple[Result, list[Event]]:
    events: list[Event] = []
    (folder / "code").mkdir(exist_ok=True)
    deployment = Deployment(topology, scenario, folder / "code" / "deployment.py")
    async with asyncio.timeout(240):
        emulation = ReportedRun(deployment, name=name, out=folder / "run", engine="swarm")
        return await emulation.run(events.append), events


async def leftovers(name: str) -> list[str]:
    """Every object that carries the stack's label."""
    filters = json.dumps({"label": [f"{specs.STACK_LABEL}={name}"]})
    found: list[str] = []
    docker = aiodocker.Docker()
    try:
        for kind in ("services", "networks", "configs", "secrets"):
            found += [kind for _ in await docker._query_json(kind, params={"filters": filters}) or []]
    finally:
        await docker.close()
    return found


async def test_nodes_on_two_machines_meet_their_conditions_and_nothing_is_left(tmp_path: Path) -> None:
    topology = Topology([
        Node("a", command=["ping", "-i", "0.1", "b"], networks=[FIELD], scale=2),
        Node("b", command=IDLE, networks=[FIELD]),
        Node("clock", command=TICKING, networks=[FIELD]),
        Node("blocked", command=["ping", "-i", "0.1", "b"], networks=[FIELD]),
        Node(
            "sensor",
            NodeApp("sensor", http=True, mqtt=True, wotpy_fixes=("td-cost",), credentials=("field", SECRET)),
            networks=[FIELD],
            broker=Broker("mqtt", [FIELD], users={"field": SECRET}),
        ),
        Node(
            "reader",
            NodeApp("reader", params={"servient_host": "sensor", "thing_id": "urn:wotemu:sensor"}),
            networks=[FIELD],
        ),
        Node("script", command=["python", "-c", REPORTING], networks=[FIELD]),
        Node("pi", command=SHOWS_LIMITS, networks=[FIELD], resources=NodeResources.RASPBERRY_PI_ZERO_2_W),
        Node("lamp", command=SHOWS_LIMITS, networks=[FIELD]),
        Node("wrong", command=["sh", "-c", CLOCKS], networks=[FIELD]),
        Node("ticker", command=TICKING, networks=[FIELD], scale=2, placement=Placement(max_per_machine=1)),
    ])  # fmt: skip
    scenario = Scenario(
        duration="12s",
        events=[
            at("2s").crash("ticker"),
            at("3s").restart("ticker"),
            at("4s").set(FIELD, latency="80ms"),
            at("6s").stop("ticker"),
            at("7s").start("ticker"),
            at("8s").partition("a"),
            at("10s").heal(),
            during("4s", "6s").pause("clock"),
            during("4s", "6s").skew_clock("wrong", by="-1h"),
            during("4s", "8s").limit("pi", cpu=0.1, memory="64M"),
            during("5s", "9s").limit("lamp", memory="64M"),
            during("4s", "6s").block("blocked", "b", protocol="icmp"),
        ],
    )
    result, events = await emulate(tmp_path, topology, scenario, "meet")
    assert result.status == "done", result.error
    assert await leftovers("meet") == []
    tables = result.run_dir / "tables"
    changes = pl.read_parquet(tables / "changes.parquet")
    assert changes["ok"].all()
    for replica in ("ticker-1", "ticker-2"):
        ticks_while_it_should(result.run_dir, changes, replica)
    lines = (result.run_dir / "logs" / "a-1.log").read_text().splitlines()
    times = [float(found[1]) for line in lines if (found := re.search(r"time=([\d.]+) ms", line))]
    # Two crossings of 20 ms, later of 80: a gateway can be late, never early.
    assert min(times) >= 39.9
    assert 40 <= statistics.median(times[:20]) < 80
    assert max(times) >= 160
    hops = pl.read_parquet(tables / "hops.parquet")
    assert hops["dropped_cut"].sum() > 0
    reads = pl.read_parquet(tables / "interactions.parquet").filter(pl.col("role") == "consumer")
    assert (reads["status"] == "ok").any()
    assert reads.filter(pl.col("node") == "script", pl.col("status") == "ok").height == 3
    metrics = pl.read_parquet(tables / "app.parquet").filter(pl.col("node") == "script")
    last = metrics.group_by("key", maintain_order=True).last()
    assert dict(last.select("key", "value").rows()) == {"level": 3.0, "frames": 3.0}
    faults_held(result.run_dir, changes, events)
    limits_held(result.run_dir, changes, events)
    clock_was_wrong(result.run_dir, events)
    assert [event.source for event in events if event.kind == "broker.ready"] == ["agent:mqtt"], "logged in"
    stored = [path.read_bytes() for path in result.run_dir.rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in each for each in stored)
    system = pl.read_parquet(tables / "system.parquet")
    assert {*system["node"]} >= {"a-1", "a-2", "b", "clock", "sensor", "reader", "script", "mqtt"}
    assert system.filter(pl.col("node") == "clock")["mem_bytes"].max() > 0  # type: ignore[operator]
    flows = pl.read_parquet(tables / "flows.parquet")
    assert flows.filter(pl.col("protocol") == "http")["packets"].sum() > 0
    assert {
        event.data["shaper"] for event in events if event.kind == "role.ready" and "shaper" in event.data
    } == {"tun"}


def faults_held(run_dir: Path, changes: pl.DataFrame, events: list[Event]) -> None:
    """A node that was paused, and one whose pings were blocked."""
    (paused,) = (event.data for event in events if event.kind == "pause.ended")
    assert paused["lasted_s"] == pytest.approx(2, abs=TOLD_S)
    pauses = changes.filter(pl.col("action") == "pause")
    began = pauses.filter(pl.col("after") == "true")["applied"].item()
    ended = pauses.filter(pl.col("after") == "false")["due"].item()  # it goes on before that is recorded
    ticks = [float(line) for line in (run_dir / "logs" / "clock.log").read_text().splitlines()]
    assert not [tick for tick in ticks if began + TOLD_S < tick < ended]
    assert [tick for tick in ticks if tick < began]
    assert [tick for tick in ticks if tick > ended]
    lines = (run_dir / "logs" / "blocked.log").read_text().splitlines()
    answered = [int(found[1]) for line in lines if (found := re.search(r"icmp_seq=(\d+) ttl", line))]
    gaps = [after - before for before, after in pairwise(answered)]
    assert 10 < max(gaps) <= 30, "two seconds of ten pings each, on a busy machine"


def limits_held(run_dir: Path, changes: pl.DataFrame, events: list[Event]) -> None:
    """A device that was limited for a while, and a node that had no limits before and none afterwards."""
    before, while_limited, after = seen_around(run_dir, "pi", changes)
    assert before.cpu is not None, "its share of the machine"
    assert before.mem_bytes == 512 << 20
    assert (while_limited.cpu, while_limited.mem_bytes) == (0.1, 64 << 20)
    assert after == before
    before, while_limited, after = seen_around(run_dir, "lamp", changes)
    assert (before.cpu, before.mem_bytes) == (after.cpu, after.mem_bytes) == (None, None)
    assert (while_limited.cpu, while_limited.mem_bytes) == (None, 64 << 20)
    (device,) = (event for event in events if event.kind == "device.speed")
    share = re.search(r"pi on \w+: one thread as fast as .*: ([\d.]+) of a core", device.message)
    assert share is not None
    system = pl.read_parquet(run_dir / "tables" / "system.parquet").filter(pl.col("node") == "pi")
    recorded = {round(percent / 100, 3) for percent in system["cpu_limit_percent"].drop_nulls()}
    assert recorded == {float(share[1]), 0.1}


def clock_was_wrong(run_dir: Path, events: list[Event]) -> None:
    """A node whose wall clock was an hour behind for a while; its other clock was not."""
    lines = [line.split() for line in (run_dir / "logs" / "wrong.log").read_text().splitlines()]
    begins = [float(wall) - float(counted) for wall, counted in lines]
    off_s = [round((begin - begins[0]) / 100) * 100 for begin in begins]
    assert [each for each, _ in groupby(off_s)] == [0, -3600, 0]
    skewed = [event.data for event in events if event.kind == "clock.skewed"]
    assert [data["by_s"] for data in skewed] == [-3600, 0]
    assert [data["read_s"] for data in skewed] == pytest.approx([-3600, 0], abs=0.1)


def ticks_while_it_should(run_dir: Path, changes: pl.DataFrame, replica: str) -> None:
    """A replica that was crashed and restarted, then stopped and started, on its machine."""
    ticks = [float(line) for line in (run_dir / "logs" / f"{replica}.log").read_text().splitlines()]
    mine = changes.filter(pl.col("target").str.contains(replica, literal=True), pl.col("after").is_in(STATES))
    crashed, restarted, stopped, started = mine.sort("due").select("applied", "due", "after").rows()
    assert [each[2] for each in (crashed, restarted, stopped, started)] == [STATES[i] for i in (0, 1, 2, 1)]
    for down, up in ((crashed, restarted), (stopped, started)):
        assert not [tick for tick in ticks if down[0] + TOLD_S < tick < up[1]]
    assert [tick for tick in ticks if tick < crashed[0]]
    assert [tick for tick in ticks if restarted[0] < tick < stopped[0]]
    assert [tick for tick in ticks if tick > started[0]]


async def test_an_app_that_never_starts_ends_the_run_and_removes_it(tmp_path: Path) -> None:
    topology = Topology(
        [Node("broken", command=["sh", "-c", "echo no such option >&2; exit 2"], networks=[FIELD])]
    )
    result, _ = await emulate(tmp_path, topology, Scenario(duration="60s"), "broken")
    assert result.exit_code == 2
    assert "no such option" in str(result.error)
    assert await leftovers("broken") == []


async def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    topology = Topology([Node("a", command=IDLE, networks=[FIELD])])
    docker = aiodocker.Docker()
    spec = {"Image": "wotemu:latest", "Args": ["--help"]}
    service = await docker.services.create(
        task_template={"ContainerSpec": spec, "RestartPolicy": {"Condition": "none"}},
        labels={specs.STACK_LABEL: "taken"},
        name="taken_other",
    )
    try:
        with pytest.raises(InputError, match="is on this swarm"):
            await emulate(tmp_path, topology, Scenario(duration="5s"), "taken")
    finally:
        await docker.services.delete(service["ID"])
        await docker.close()


async def test_every_machine_is_rated_once_and_remembers_it() -> None:
    async with dockers() as clients:
        rated = [each async for each in rate_machines(clients[0], is_quick=True)]
        names = {(await docker.system.info())["Name"] for docker in clients}
        for docker in clients:
            assert await docker._query_json(f"volumes/{RATINGS_VOLUME}")
    assert {each.host for each in rated} == names
    assert all(each.rating is not None and each.rating.tool == "lzma" for each in rated), rated
    assert await leftovers(NAME) == []
