"""A stack that runs by itself, from compose file to report, with the commands as a user types them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

from tests.docker.lab import HOSTS, Lab, run
from tests.docker.seen_limits import SHOWS_LIMITS, seen_around

pytestmark = pytest.mark.docker

TOPOLOGY = """
from wotemu.scenario import Scenario, at, during
from wotemu.topology.models import *

field = Network("field", conditions=NetworkConditions(latency="20ms"))
sensor = Node("sensor", NodeApp("sensor", http=True), networks=[field])
read = NodeApp("reader", params={"servient_host": "sensor", "thing_id": "urn:wotemu:sensor", "interval": 0.5})
reader = Node("reader", read, networks=[field], scale=2)
worker, anywhere = Placement(constraints=["node.role==worker"]), Placement(preferences="node.labels.rack")
store = ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", ""]
db = Service("db", command=store,
             networks=[field], placement=worker,
             resources=NodeResources(mem_reservation="16M", cpu_limit=0.5))
cache = Service("cache", command=store)
user = Node("user", command=["sh", "-c", "while redis-cli -h db incr x && redis-cli -h cache incr x;"
            " do sleep 0.2; done; sleep 100"], networks=[field], services=[db, cache], placement=anywhere)

pi = Node("pi", command=SHOWS_LIMITS, networks=[field], resources=NodeResources.RASPBERRY_PI_ZERO_2_W)

def topology():
    return Topology([sensor, reader, user, pi])

def scenario():
    return Scenario(duration="DURATION", events=[
        at("4s").set(field, latency="60ms"), during("3s", "6s").limit(pi, cpu=0.1, memory="64M"),
    ])
"""
DEADLINE_S = 150.0


@attrs.frozen
class Deployed:
    """A stack, and the folder that it was deployed from."""

    lab: Lab
    folder: Path

    async def command(self, *words: str) -> str:
        """What a command prints; it must succeed."""
        socket = await self.lab.machines_socket()
        environ = {**os.environ, "DOCKER_HOST": HOSTS[0], "WOTEMU_DOCKER_SOCKET": socket}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *words, cwd=self.folder, env=environ, stdout=pipe, stderr=asyncio.subprocess.STDOUT
        )
        printed, _ = await process.communicate()
        assert process.returncode == 0, printed.decode()
        return printed.decode()

    async def wotemu(self, *words: str) -> str:
        return await self.command(sys.executable, "-m", "wotemu.cli", *words)

    async def deploy(self, duration: str) -> None:
        text = TOPOLOGY.replace("DURATION", duration).replace("SHOWS_LIMITS", repr(SHOWS_LIMITS))
        (self.folder / "deployment.py").write_text(text)
        await self.wotemu("compose", "--path", "deployment.py")
        await self.command("docker", "stack", "deploy", "-c", "deployment.yml", self.lab.name)

    async def tasks(self) -> dict[str, list[str]]:
        """The states of each service's tasks."""
        labels = {"label": [f"com.docker.stack.namespace={self.lab.name}"]}
        services = await self.lab.manager.services.list(filters=labels)
        names = {service["ID"]: service["Spec"]["Name"].partition("_")[2] for service in services}
        states: dict[str, list[str]] = {}
        for task in await self.lab.manager.tasks.list(filters={"service": list(names)} if names else None):
            states.setdefault(names.get(task["ServiceID"], ""), []).append(task["Status"]["State"])
        return states

    async def coordinator_says(self, text: str) -> str:
        """What the coordinator has printed, once the text is in it."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                printed = await self.command("docker", "service", "logs", f"{self.lab.name}_coordinator")
                if text in printed:
                    return printed
                await asyncio.sleep(1)


@pytest.fixture
async def stack(lab: Lab, tmp_path: Path) -> AsyncIterator[Deployed]:
    deployed = Deployed(lab, tmp_path)
    yield deployed
    await deployed.wotemu("rm", lab.name)


async def test_from_the_file_to_the_report(stack: Deployed) -> None:
    """compose, docker stack deploy, report: everything was shaped, measured and recorded on the way."""
    await stack.deploy("8s")
    printed = await stack.coordinator_says("the run is done")
    assert "T0: all 7 roles are ready" in printed
    states = await stack.tasks()
    assert states["sensor"] == states["gw-field"] == ["complete"]
    assert states["reader"] == ["complete", "complete"]
    assert states["bus"] == states["proxy"] == states["db"] == states["cache"] == ["running"]
    await stack.wotemu("report", "--stack", stack.lab.name, "--out", "out")
    run_dir = stack.folder / "runs" / stack.lab.name
    manifest = _json(run_dir / "manifest.json")
    assert (manifest["status"], manifest["engine"], manifest["losses"]) == ("done", "swarm", [])
    counts = (run_dir / "logs" / "user.log").read_text().split()
    assert counts[:4] == ["1", "1", "2", "2"], "both services answer by their names"
    flows = pl.read_parquet(run_dir / "tables" / "flows.parquet").filter(pl.col("dport") == 6379)
    assert {*flows["src"], *flows["dst"]} == {"user", "db"}, "what goes to the one on the network is shaped"
    interactions = pl.read_parquet(run_dir / "tables" / "interactions.parquet")
    durations = interactions.filter(pl.col("role") == "consumer", pl.col("status") == "ok")["duration"]
    assert len(durations) > 5
    assert 0.04 <= (durations.min() or 0) < 0.2  # type: ignore[operator]  # two crossings of 20 ms
    changes = pl.read_parquet(run_dir / "tables" / "changes.parquet")
    assert changes["ok"].all()
    before, during, after = seen_around(run_dir, "pi", changes)
    assert before == after
    assert before.cpu is not None, "a share of its machine"
    assert (before.mem_bytes, during) == (512 << 20, attrs.evolve(during, cpu=0.1, mem_bytes=64 << 20))
    (device,) = manifest["devices"]
    assert device.startswith("pi on ")
    assert (stack.folder / "out" / "index.html").stat().st_size > 100_000


async def test_a_stopped_run_is_kept_without_a_gap(stack: Deployed) -> None:
    """stop brings the nodes to zero and tells what became of them; the bus stays, and has the run.

    Its coordinator is killed before: the one that Swarm starts in its place goes on where it was.
    """
    await stack.deploy("600s")
    await stack.coordinator_says("reader-2 is up")
    await stack.coordinator_says("change.applied gateway:field")
    await stack.wotemu("set", stack.lab.name, "reader@field", "latency=80ms")
    for coordinator in await stack.lab.containers(f"{stack.lab.name}_coordinator"):
        await coordinator.kill(signal="SIGKILL")
    await stack.coordinator_says("another coordinator takes over")
    assert "80ms" in await stack.wotemu("show", stack.lab.name), "what was set by hand holds on"
    assert "wotemu report" in await stack.wotemu(
        "stop", "--compose-file", "deployment.yml", "--stack", stack.lab.name
    )
    states = await stack.tasks()
    assert states["bus"] == states["proxy"] == ["running"]
    ended = ("sensor", "reader", "gw-field", "coordinator", "limits")
    assert not any("running" in states.get(name, []) for name in ended)
    await stack.wotemu("report", "--stack", stack.lab.name)
    run_dir = stack.folder / "runs" / stack.lab.name
    assert _json(run_dir / "manifest.json")["status"] == "interrupted"
    tasks = {task["task"] for task in _json(run_dir / "tasks.json")}
    assert {"bus.1", "reader.1", "reader.2", "sensor.1"} <= tasks
    assert list((run_dir / "logs" / "_tasks").glob("coordinator.1-*.log"))
    events = [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]
    kinds = Counter(event["kind"] for event in events)
    assert (kinds["deploy.started"], kinds["run.t0"], kinds["run.resumed"], kinds["run.done"]) == (1, 1, 1, 1)
    # The user counts in two services in turn: what it prints is there once, in its order, from the beginning.
    numbers = [
        int(line) for line in (run_dir / "logs" / "user.log").read_text().splitlines() if line.isdigit()
    ]
    assert numbers == [1 + place // 2 for place in range(len(numbers))]
    assert len(numbers) > 10


OLD_WORDS = """
from wotemu.compat import RestartPolicy
from wotemu.enums import NetworkConditions
from wotemu.topology.models import (Broker, BuiltinApps, Network, Node, NodeApp,
                                    NodeResources, Service, Topology)

def topology():
    wifi = Network(name="wifi", conditions=NetworkConditions.WIFI)
    mobile = Network(name="mobile", conditions=NetworkConditions.CABLE)
    broker = Broker(name="broker", networks=[mobile, wifi])
    app = NodeApp(path=BuiltinApps.CLOCK, mqtt=True)
    clock = Node("clock", app, [wifi, mobile], broker, mobile, scale=None)
    host = "{}.{}".format(clock.name, wifi.name)
    params = {"servient_host": host, "thing_id": "urn:wotemu:clock"}
    user = Node(
        name="user",
        app=NodeApp(path=BuiltinApps.SUBSCRIBER, params=params),
        networks=[wifi, mobile],
        resources=NodeResources(mem_limit="200M"),
        scale=2)
    db = Service(name="db", restart_policy=RestartPolicy(condition="on-failure"),
                 command=["redis-server", "--save", ""])  # in place of an image, which a test can't pull
    user.link_service(db)
    return Topology(nodes=[clock, user])
"""


async def test_the_four_commands_of_0_6_on_a_deployment_in_its_words(stack: Deployed) -> None:
    """Without a scenario it runs until it is stopped; MQTT crosses the network that its node names."""
    (stack.folder / "simple.py").write_text(OLD_WORDS)
    name, simple = stack.lab.name, str(stack.folder / "simple")
    printed = await stack.wotemu("compose", "--path", f"{simple}.py")
    assert "link_service() is now Node(services=[...])" in printed
    await stack.command("docker", "stack", "deploy", "-c", "simple.yml", name)
    await stack.coordinator_says("user-2 is up")
    await asyncio.sleep(6)  # a few ticks
    await stack.wotemu("stop", "--compose-file", f"{simple}.yml", "--stack", name, "--tail", "5")
    await stack.wotemu("report", "--out", str(stack.folder / "report"), "--stack", name)
    assert (stack.folder / "report" / "index.html").stat().st_size > 100_000
    run_dir = stack.folder / "runs" / name
    assert _json(run_dir / "manifest.json")["duration_s"] == 365 * 86_400
    mqtt = pl.read_parquet(run_dir / "tables" / "flows.parquet").filter(pl.col("dport") == 1883)
    assert {*mqtt["network"]} == {"mobile"}
    items = pl.read_parquet(run_dir / "tables" / "interactions.parquet").filter(pl.col("stage") == "next")
    assert {*items.filter(pl.col("role") == "consumer")["node"]} == {"user-1", "user-2"}
    assert {*items["binding"]} == {"mqtt"}


async def test_a_node_of_a_stack_is_confined(stack: Deployed) -> None:
    """Its app is an ordinary user without capabilities, and has neither Docker nor the bus's password."""
    await stack.deploy("600s")
    await stack.coordinator_says("reader-2 is up")
    containers = await stack.lab.containers(f"{stack.lab.name}_reader")
    script = "grep -h -E '^(Uid|CapEff|CapPrm|NoNewPrivs)' /proc/[0-9]*/status; ls -l /run/secrets /var/run"
    seen = await run(containers[0], "sh", "-c", script)
    assert "Uid:\t10001\t10001\t10001\t10001\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000" in seen
    assert "NoNewPrivs:\t1" in seen
    assert "-r-------- 1 root root" in seen
    assert "docker.sock" not in seen


def _json(path: Path) -> Any:
    return json.loads(path.read_text())
