"""Emulations on a real swarm that outlive the process that runs them, with commands as a user types them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import sys
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiodocker
import attrs
import polars as pl
import pytest

from tests.conftest import Require
from wotemu.recorded_run import RecordedRun
from wotemu_runtime.engines.swarm.specs import NAMESPACE_LABEL, ROLE_LABEL, STACK_LABEL

pytestmark = pytest.mark.docker

HOSTS = re.split(r"[\s,]+", os.environ.get("WOTEMU_TEST_DOCKER_HOSTS", "").strip())
DEPLOYMENT = """
from wotemu.scenario import Phase, Scenario, at, event, when
from wotemu.topology.models import *

field = Network("field", NetworkConditions(latency="20ms"))
sensor = Node("sensor", NodeApp("sensor", http=True), networks=[field])
read = NodeApp("reader", params={"servient_host": "sensor", "thing_id": "urn:wotemu:sensor", "interval": 0.5})
server = "python -m http.server 8000 --bind 127.0.0.1 --directory /etc >/dev/null 2>&1 & "
count = server + "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done"

def topology():
    return Topology([
        sensor,
        Node("reader", read, networks=[field], scale=2),
        Node("counter", command=["sh", "-c", count], networks=[field], publish={PORT: 8000}),
    ])

def scenario():
    return Scenario(
        duration="45s",
        phases=[Phase("begin", 0), Phase("middle", "8s"), Phase("end", "40s")],
        events=[
            at("3s").set(field, latency="60ms"),
            at("12s").set(field, latency="100ms"),
            when(event("app.ready", count=2), after="36s").do(at("1s").set(field, loss="1%")),
        ],
    )
"""
NAME, HALF = f"outlived-{os.getpid()}", f"half-made-{os.getpid()}"
DEADLINE_S = 120.0
with socket.create_server(("127.0.0.1", 0)) as free:
    PORT = free.getsockname()[1]


@attrs.define
class Command:
    """A command that runs, and the JSON lines that it has printed."""

    process: asyncio.subprocess.Process
    events: list[dict[str, Any]] = attrs.field(factory=list)

    async def until(self, kind: str, **data: Any) -> None:
        """Read to the first event of this kind with this data."""
        assert self.process.stdout is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DEADLINE_S):
                while line := await self.process.stdout.readline():
                    event = json.loads(line)
                    self.events.append(event)
                    if event["kind"] == kind and data.items() <= event["data"].items():
                        return
        await self.kill()
        _, errors = await self.process.communicate()
        raise AssertionError(f"no {kind}: {self.events[-5:]}, {errors.decode()}")

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


@attrs.frozen
class Shell:
    """Runs wotemu in a folder, for the swarm."""

    folder: Path

    async def start(self, *words: str) -> Command:
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, "-m", "wotemu.cli", *words]
        return Command(
            await asyncio.create_subprocess_exec(*command, cwd=self.folder, stdout=pipe, stderr=pipe)
        )

    async def run(self, *words: str, exit_code: int = 0) -> str:
        """What a command prints, errors too."""
        process = (await self.start(*words)).process
        async with asyncio.timeout(DEADLINE_S):
            out, errors = await process.communicate()
        assert process.returncode == exit_code, (out + errors).decode()
        return " ".join((out + errors).decode().split())

    async def listed(self, name: str) -> dict[str, Any] | None:
        process = (await self.start("ps", "--json")).process
        out, _ = await process.communicate()
        return {each["name"]: each for each in json.loads(out)}.get(name)


@pytest.fixture
async def shell(require: Require, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shell]:
    require(bool(HOSTS[0]), "WOTEMU_TEST_DOCKER_HOSTS does not name the DOCKER_HOST of each node of a swarm")
    monkeypatch.setenv("DOCKER_HOST", HOSTS[0])
    (tmp_path / "deployment.py").write_text(DEPLOYMENT.replace("PORT", str(PORT)))
    shell = Shell(tmp_path)
    yield shell
    for name in (NAME, HALF):
        if await shell.listed(name) is not None:
            await shell.run("rm", "--force", name)


def page() -> bytes:
    """A file of the node that counts, by its published port."""
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/passwd", timeout=20) as answer:
        found: bytes = answer.read()
    return found


async def test_a_run_outlives_its_coordinators_without_a_gap(shell: Shell) -> None:
    """Killed twice and taken over twice, in the middle and before a guard fires; then kept, and removed."""
    words = ["run", "deployment.py", "--engine", "swarm", "--name", NAME, "--keep", "--json"]
    first = await shell.start(*words)
    await first.until("change.applied")
    assert b"root:" in await asyncio.to_thread(page)
    assert f"port {PORT} is taken by " in await shell.run(*words[:-2], "--name", HALF, exit_code=2)
    await _a_connection_is_stored(shell.folder / "runs" / NAME)
    await first.kill()

    with socket.create_server(("127.0.0.1", PORT)):
        second = await shell.start("attach", NAME, "--json")
        await second.until("port.unavailable")
    assert "coordinates it" in await shell.run("rm", NAME, exit_code=2)
    await second.kill()
    listed = await shell.listed(NAME)
    assert listed is not None
    assert listed["made_by"] == "run"
    assert {service["name"]: service["running"] for service in listed["services"]} == {
        "bus": 1, "gw-field": 1, "sensor": 1, "reader": 2, "counter": 1,
    }  # fmt: skip

    third = await shell.start("attach", NAME, "--json")
    await third.until("port.published")
    assert b"root:" in await asyncio.to_thread(page)
    await third.until("run.summary")
    assert await third.process.wait() == 0, third.events[-1]
    assert third.events[-1]["data"]["run_dir"] == str(shell.folder / "runs" / NAME)
    _check_records(shell.folder / "runs" / NAME)

    listed = await shell.listed(NAME)
    assert listed is not None
    assert sum(service["running"] for service in listed["services"]) == 6
    assert "its run is done" in await shell.run("attach", NAME, exit_code=2)
    assert f"{NAME}: removed 5 services" in await shell.run("rm", NAME)
    assert await shell.listed(NAME) is None
    assert f"no emulation '{NAME}'" in await shell.run("rm", NAME, exit_code=2)


async def _a_connection_is_stored(run_dir: Path) -> None:
    """Wait until a published port's row has one: what is not stored yet ends with the coordinator."""

    def stored() -> int | None:
        rows = RecordedRun(run_dir).table("published").select(pl.col("connections").max())
        count: int | None = rows.collect().item()
        return count

    async with asyncio.timeout(30):
        while stored() != 1:  # noqa: ASYNC110  # files send no message
            await asyncio.sleep(0.1)


def _check_records(run_dir: Path) -> None:
    manifest = json.loads((run_dir / "manifest.json").read_text())
    assert (manifest["status"], manifest["losses"], manifest["error"]) == ("done", [], "")
    assert manifest["shaper"] in ("tun", "netem")
    assert all(replica["addresses"]["field"] for replica in manifest["replicas"].values())
    assert manifest["certificate"]["verdict"] in ("VALID", "SUSPECT", "INVALID")
    # Every line that was printed until the end is there, in its order, once.
    numbers = [int(line) for line in (run_dir / "logs" / "counter.log").read_text().split()]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 100
    events = [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]
    kinds = Counter(event["kind"] for event in events)
    assert (kinds["deploy.started"], kinds["run.t0"], kinds["run.resumed"]) == (1, 1, 2)
    assert (kinds["guard.fired"], kinds["run.certified"], kinds["run.done"]) == (1, 1, 1)
    phases = [event["data"]["phase"] for event in events if event["kind"] == "run.phase"]
    assert phases == ["begin", "middle", "end"]
    tables = {path.stem: pl.read_parquet(path) for path in (run_dir / "tables").glob("*.parquet")}
    assert tables["changes"].sort("due")["action"].to_list() == ["conditions"] * tables["changes"].height
    assert tables["changes"]["ok"].all()
    assert tables["changes"]["id"].n_unique() == tables["changes"].height >= 3
    ports = tables["published"].sort("t").tail(1).to_dicts()[0]
    assert (ports["node"], ports["connections"], ports["refused"]) == ("counter", 2, 0)
    for name in ("system", "hops", "interactions", "flows", "probes"):
        assert tables[name].height == tables[name].unique().height == manifest["records"][name], name
    assert (run_dir / "report" / "index.html").stat().st_size > 100_000
    assert not (run_dir / "spool").exists()


async def test_what_is_half_made_is_listed_and_removed(shell: Shell) -> None:
    """A crash while a stack was created leaves networks, configs or secrets without any service."""
    labels = {STACK_LABEL: HALF, NAMESPACE_LABEL: HALF, ROLE_LABEL: "network:field"}
    docker = aiodocker.Docker()
    try:
        await docker.networks.create({"Name": f"{HALF}_field", "Driver": "overlay", "Labels": labels})
        await docker._query_json(
            "secrets/create",
            method="POST",
            data={"Name": f"{HALF}_bus-password", "Labels": labels, "Data": "c2VjcmV0"},
        )
    finally:
        await docker.close()
    listed = await shell.listed(HALF)
    assert listed is not None
    assert (listed["services"], listed["coordinator"]) == ([], "none")
    assert listed["held"] == {"networks": 1, "configs": 0, "secrets": 1, "volumes": 0}
    assert f"no emulation '{HALF}'" in await shell.run("attach", HALF, exit_code=2)
    assert await shell.run("rm", HALF) == f"{HALF}: removed 1 network, 1 secret"
    assert await shell.listed(HALF) is None
