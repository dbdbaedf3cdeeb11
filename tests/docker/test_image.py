"""The image as it is built: what it may do, what is in it, and its roles in containers of a real Docker."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.docker.lab import IMAGE, Lab, output, run
from tests.docker.roles import PASSWORD, Bus, agent_files, start_bus
from wotemu.scenario import Scenario
from wotemu.topology.models import Broker, Network, Node, NodeApp, Topology
from wotemu_runtime.engines.swarm.services import AGENT_CAPABILITIES

pytestmark = pytest.mark.docker

MAX_SIZE = 200 * 1024**2
"""Bytes that the image may have on top of its base."""

PROBE = Path(__file__).with_name("probe.py")
PINNED = Path(__file__).parents[2] / "constraints.txt"


async def test_it_is_unprivileged_and_says_what_it_is(lab: Lab) -> None:
    """An ordinary user, a health check, labels."""
    config = (await lab.manager.images.inspect(IMAGE))["Config"]
    assert config["User"] == "wotemu"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert config["Entrypoint"] == ["python", "-m", "wotemu_runtime.container"]
    for label in ("title", "description", "version", "base.name"):
        assert config["Labels"][f"org.opencontainers.image.{label}"]


async def test_it_is_small(lab: Lab) -> None:
    """What it adds to its base."""
    layers: Any = await lab.manager.images.history(IMAGE)  # it is a list, whatever its annotation says
    assert sum(layer["Size"] for layer in layers[:-1]) < MAX_SIZE


async def test_its_packages_are_the_pinned_ones(lab: Lab) -> None:
    """Each at the version that constraints.txt names, and none that it does not."""
    code = "import importlib.metadata as m; print(*(f'{d.name}=={d.version}' for d in m.distributions()))"
    container = await lab.start("-c", code, Entrypoint=["python"])
    await container.wait()
    found = {name.lower().replace("_", "-") for name in (await output(container)).split()}
    pinned = {line for line in PINNED.read_text().splitlines() if not line.startswith("#")}
    assert {name for name in found if not name.startswith("wotemu==")} == pinned


async def test_nothing_in_it_gives_privileges(lab: Lab) -> None:
    """No setuid program, no pip, nothing of its own that its user may change."""
    script = (
        "find / -xdev -perm /6000 -type f 2>/dev/null; find /opt -writable ! -type l; command -v pip || true"
    )
    container = await lab.start("-c", script, Entrypoint=["sh"])
    await container.wait()
    assert await output(container) == ""


async def test_a_bus_without_capabilities(lab: Lab) -> None:
    """It becomes healthy, wants its password, and nobody sees it."""
    bus = await start_bus(lab)
    await lab.healthy(bus.container)
    assert "NOAUTH" in await run(bus.container, "redis-cli", "dbsize")
    told = await run(bus.container, "sh", "-c", "cat /proc/1/cmdline /proc/1/environ")
    assert PASSWORD not in told + json.dumps(await bus.container.show())


async def test_an_app_may_do_nothing(lab: Lab, tmp_path: Path) -> None:
    """Its agent sets routes and speaks to the bus; the app has no capability, no secret and no Docker."""
    shutil.copy(PROBE, tmp_path)
    node = Node("probe", command=["python3", "probe.py"], networks=[Network("field")])
    async with await _deployed(lab, Topology([node]), tmp_path, "probe") as bus:
        await bus.event("role.ready", "agent:probe")
        await bus.begin()
        found = json.loads((await bus.log("probe", "{"))[0])
    assert found["capabilities"] == 0
    assert found["no_new_privs"] == "1"
    assert found["uid"] == 10001
    assert found["own_environment"] == [
        *(
            "WOTEMU_NODE",
            "WOTEMU_PACKAGES",
            "WOTEMU_PYTHON",
            "WOTEMU_REPLICA",
            "WOTEMU_SCRATCH",
            "WOTEMU_SOCKET",
        ),
        *("WOTEMU_STATSD_HOST", "WOTEMU_STATSD_PORT", "WOTEMU_STATSD_SOCKET"),
    ]
    assert not found["docker"]
    assert (found["folder"], found["written"]) == ("/home/wotemu/code", 1)
    assert (found["secret"], found["agents_environment"]) == ("PermissionError", "PermissionError")


async def test_an_app_on_wotpy_is_measured(lab: Lab, tmp_path: Path) -> None:
    """A built-in app starts at T0, is sampled, and ends when the run does; its container with it."""
    node = Node("sensor", NodeApp("sensor", http=True), networks=[Network("field")])
    async with await _deployed(lab, Topology([node]), tmp_path, "sensor") as bus:
        await bus.event("role.ready", "agent:sensor")
        assert not any(event.kind == "app.started" for event in bus.events)
        await bus.begin()
        await bus.event("app.ready", "agent:sensor")
        sample = await bus.row("system")
        assert sample[1] == "sensor"
        await lab.healthy(bus.agent)
        assert (await run(bus.agent, "python", "-c", _CATALOGUE)).strip() == "200"
        await bus.command(command="stop")
        await bus.event("app.exited", "agent:sensor")
        assert (await bus.agent.wait())["StatusCode"] == 0


_CATALOGUE = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9090/').status)"


async def test_a_broker(lab: Lab, tmp_path: Path) -> None:
    """Mosquitto is ready before T0, and what it tells of itself is recorded."""
    field = Network("field")
    broker = Broker("hub", [field])
    node = Node("sensor", NodeApp("sensor", mqtt=True), networks=[field], broker=broker)
    async with await _deployed(lab, Topology([node]), tmp_path, "hub") as bus:
        await bus.event("broker.ready", "agent:hub")
        await bus.event("role.ready", "agent:hub")
        assert (await bus.row("broker"))[2].startswith("$SYS/broker/")
        assert "mosquitto" in await run(bus.agent, "sh", "-c", "cat /proc/*/comm")


async def test_a_stopped_container_ends_in_order(lab: Lab, tmp_path: Path) -> None:
    """`docker stop`, which is how Swarm moves a task: the app is asked to end, and the records are sent."""
    node = Node("sensor", NodeApp("sensor", http=True), networks=[Network("field")])
    async with await _deployed(lab, Topology([node]), tmp_path, "sensor") as bus:
        await bus.event("role.ready", "agent:sensor")
        await bus.begin()
        await bus.event("app.ready", "agent:sensor")
        await bus.agent.stop(t=20)
        await bus.event("app.exited", "agent:sensor")
        assert (await bus.agent.show())["State"]["ExitCode"] == 0


async def _deployed(lab: Lab, topology: Topology, root: Path, name: str) -> Bus:
    """The replica called `name`, beside a bus."""
    bus = await start_bus(lab)
    environ, files = agent_files(topology, Scenario(duration="60s"), lab.name, root, name=name)
    host = {"NetworkMode": lab.name, "CapAdd": list(AGENT_CAPABILITIES)}
    bus.agent = await lab.start("agent", Env=environ, files=files, User="0:0", HostConfig=host)
    return bus
