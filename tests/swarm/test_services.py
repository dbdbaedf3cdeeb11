"""Plain services, placement and images that bring their code, in one emulation across two machines."""

from __future__ import annotations

import io
import json
import random
import statistics
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiodocker
import pytest

from tests.conftest import Require
from tests.docker.lab import HOSTS, IMAGE
from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun
from wotemu.records import Event
from wotemu.scenario import Scenario, at
from wotemu.topology.models import (
    Link,
    Network,
    NetworkConditions,
    Node,
    NodeApp,
    Placement,
    Service,
    Topology,
)

pytestmark = pytest.mark.docker

OWN_IMAGE = "wotemu-test-own:latest"
FIELD = Network("field", NetworkConditions(latency="20ms"))
DATABASE = ["redis-server", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", ""]
MANAGER, WORKER = (Placement(constraints=[f"node.role=={role}"]) for role in ("manager", "worker"))


@pytest.fixture
async def own_image(require: Require, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """An image made from WoTemu's, on the manager alone, with the program that a node runs."""
    require(len(HOSTS) > 1, "WOTEMU_TEST_DOCKER_HOSTS does not name the DOCKER_HOST of two nodes of a swarm")
    monkeypatch.setenv("DOCKER_HOST", HOSTS[0])
    docker = aiodocker.Docker()
    try:
        await docker.images.build(fileobj=_context(), encoding="identity", tag=OWN_IMAGE)
        yield OWN_IMAGE
        await docker.images.delete(OWN_IMAGE, force=True)
    finally:
        await docker.close()


def _context() -> io.BytesIO:
    context = io.BytesIO()
    files = {
        "Dockerfile": f"FROM {IMAGE}\nCOPY asking.py ./\n".encode(),
        "asking.py": (Path(__file__).parent / "code" / "asking.py").read_bytes(),
    }
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    context.seek(0)
    return context


async def test_services_are_shaped_as_asked_and_everything_is_where_it_was_put(
    tmp_path: Path, own_image: str
) -> None:
    link = Link(FIELD, up=NetworkConditions(latency="10ms"))
    shaped = Service("shaped", command=DATABASE, networks=[link], placement=WORKER)
    direct = Service("direct", command=DATABASE, placement=WORKER)
    topology = Topology([
        Node("asking", command=["python3", "asking.py"], networks=[FIELD], services=[shaped, direct],
             image=own_image, placement=MANAGER),
        Node("sensor", NodeApp("sensor", http=True), networks=[FIELD], placement=WORKER),
    ])  # fmt: skip
    scenario = Scenario(duration="9s", events=[at("4s").set(link, "down", latency="60ms")])
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "model.bin").write_bytes(random.Random(1).randbytes(600 * 1024))
    events: list[Event] = []
    deployment = Deployment(topology, scenario, tmp_path / "code" / "deployment.py")
    emulation = ReportedRun(deployment, name="plain", out=tmp_path / "run", engine="swarm")
    result = await emulation.run(events.append)
    assert result.status == "done", result.error

    hosts = {event.source: event.data["host"] for event in events if event.kind == "role.ready"}
    assert hosts["agent:asking"] != hosts["agent:sensor"] == hosts["agent:shaped"]
    times = [json.loads(line) for line in (result.run_dir / "logs" / "asking.log").read_text().splitlines()]
    # The way there takes 20 ms; the way back 10 ms and 20 ms; from 4 s on the way there takes 60 ms more.
    # A gateway can be late, never early, and both ways pass it.
    to_shaped, to_direct = ([each[name] for each in times] for name in ("shaped", "direct"))
    assert len(times) > 10
    assert min(to_shaped) >= 49.9
    assert 49.9 <= statistics.median(to_shaped[:8]) < 109.9 <= max(to_shaped)
    assert statistics.median(to_direct) < 20
    manifest = json.loads((result.run_dir / "manifest.json").read_text())
    assert [text.partition(":")[0] for text in manifest["unenforced"]] == ["shaped"]
