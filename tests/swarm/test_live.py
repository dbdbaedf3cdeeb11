"""A run on a real swarm that is changed while it goes on: from Python, and from another machine."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import dpkt
import polars as pl
import pytest

from tests.conftest import Require
from tests.docker.lab import HOSTS
from wotemu import (
    Emulation,
    Network,
    NetworkConditions,
    Node,
    NodeApp,
    Scenario,
    Topology,
    event,
    metric,
)
from wotemu.app import Conf, write_metric

pytestmark = pytest.mark.docker

NAME = f"live-{os.getpid()}"
field = Network("field", NetworkConditions(latency="20ms"))


async def beat(wot: Any, conf: Conf, loop: asyncio.AbstractEventLoop) -> None:
    """Count seconds."""
    count = 0
    while True:
        write_metric("beats", count := count + 1)
        await asyncio.sleep(1)


GET = """
import time, urllib.request
while True:  # until its server listens
    try:
        urllib.request.urlopen("http://web:8000/passwd")
        break
    except OSError:
        time.sleep(0.1)
"""


def topology() -> Topology:
    files = ["python", "-m", "http.server", "8000", "--directory", "/etc"]
    return Topology(
        [
            Node("web", command=files, networks=[field]),
            Node("sensor", NodeApp("sensor", http=True), networks=[field]),
            Node("phone", NodeApp(beat), networks=[field], scale=2),
        ]
    )


class Elsewhere:
    """Runs commands as on another machine: the run's socket is not there, only the manager is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._env = os.environ | {"XDG_RUNTIME_DIR": str(folder)}

    async def run(self, *words: str, input: bytes = b"", exit_code: int = 0) -> str:
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, "-m", "wotemu.cli", *words]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=self._folder, env=self._env, stdin=pipe, stdout=pipe, stderr=pipe
        )
        async with asyncio.timeout(60):
            out, errors = await process.communicate(input)
        assert process.returncode == exit_code, (out + errors).decode()
        return (out + errors).decode()

    async def capture(self, replica: str, seconds: float) -> bytes:
        """What `wotemu capture` gives until it is interrupted."""
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, "-m", "wotemu.cli", "capture", NAME, replica]
        process = await asyncio.create_subprocess_exec(*command, env=self._env, stdout=pipe)
        assert process.stdout is not None
        first = await asyncio.wait_for(process.stdout.read(1), 60)
        await asyncio.sleep(seconds)
        process.send_signal(signal.SIGINT)
        rest, _ = await asyncio.wait_for(process.communicate(), 60)
        return first + rest


def packets(capture: bytes) -> int:
    """The number of packets in a capture, which ends with a whole block."""
    return len(list(dpkt.pcapng.Reader(io.BytesIO(capture))))


@pytest.fixture
def elsewhere(require: Require, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    require(bool(HOSTS), "WOTEMU_TEST_DOCKER_HOSTS does not name the DOCKER_HOST of each node of a swarm")
    monkeypatch.setenv("DOCKER_HOST", HOSTS[0])
    folder = tmp_path / "elsewhere"
    folder.mkdir(mode=0o700)
    return Elsewhere(folder)


async def test_a_run_is_changed_from_python_and_from_another_machine(
    elsewhere: Elsewhere, tmp_path: Path
) -> None:
    """Every change takes hold, is an event with who made it, and is judged."""
    scenario = Scenario(duration="90s")
    (code := tmp_path / "code").mkdir()
    async with Emulation(
        topology(),
        scenario,
        engine="swarm",
        name=NAME,
        root=code,
        out=tmp_path / "run",
        pcap=["sensor", "phone-1"],
        pcap_size="16KiB",
    ) as emulation:
        await emulation.ready()
        await emulation.wait_for(metric("phone-2.beats") > 1, timeout="60s")
        pinged = await emulation.exec("phone-1", ["ping", "-c3", "-i0.2", "sensor"], timeout="20s")
        assert pinged.returncode == 0, pinged.stderr
        fed = await emulation.exec("phone-1", ["wc", "-c"], input=b"x" * 300_000, timeout="20s")
        assert fed.stdout.split() == ["300000"]

        assert packets(await elsewhere.capture("phone-2", 3)) > 2  # a probe each second, and each answer

        await emulation.stress("phone-2", cpu=0.05, memory="16MiB")
        for words in (["python", "-c", GET], ["wotemu-metric", "by_hand", "7"]):
            done = await emulation.exec("phone-1", words, timeout="30s")
            assert done.returncode == 0, done.stderr

        await emulation.set(field, latency="150ms")
        assert "150ms" in await elsewhere.run("show", NAME)
        changed = await elsewhere.run("partition", NAME, "phone", "sensor", "--json")
        assert json.loads(changed)["unanswered"] == 0
        cut_off = await emulation.exec("phone-1", ["ping", "-c1", "-W2", "sensor"], timeout="20s")
        assert cut_off.returncode == 1
        await elsewhere.run("heal", NAME)
        healed = await emulation.exec("phone-2", ["ping", "-c3", "-i0.2", "-W2", "sensor"], timeout="20s")
        assert healed.returncode == 0, healed.stdout

        await emulation.unstress("phone-2")
        await elsewhere.run("crash", NAME, "phone-2")
        await emulation.wait_for(event("app.exited", node="phone-2"), timeout="30s")
        await emulation.restart("phone-2")
        refused = await elsewhere.run("set", NAME, "fjeld", "latency=1ms", exit_code=2)
        assert "did you mean 'field'" in refused
        assert emulation.table("probes").filter(pl.col("s") > 0).collect().height > 0
        heard = await elsewhere.run("events", NAME, "--kind", "app.*", "--json")
        assert {json.loads(line)["kind"] for line in heard.splitlines()} >= {"app.ready", "app.exited"}
        await elsewhere.run("stop", NAME)
        await emulation.done()
    run = emulation.result
    captured = run.table("captures").collect().sort("t").group_by("node").last()
    assert set(captured["node"]) == {"sensor", "phone-1"}
    for row in captured.to_dicts():
        file = (tmp_path / "run" / "captures" / f"{row['node']}.pcapng").read_bytes()
        assert packets(file) == row["packets"] > 10
        assert len(file) <= 16 * 1024
    assert run.table("app").filter(pl.col("key") == "by_hand").collect()["value"].to_list() == [7]
    seen = run.table("requests").filter(pl.col("path") == "/passwd").collect()
    assert set(seen.select("side", "node", "code").rows()) == {
        ("client", "phone-1", "200"),
        ("server", "web", "200"),
    }
    (stressed,) = run.events("stress.ended")
    assert stressed.data["held_bytes"] >= 16 * 2**20, stressed
    assert stressed.data["cpu_s"] > 0, stressed
    changes = run.table("changes").collect()
    assert changes["ok"].all()
    assert changes.height >= 4 + 2  # two hops of each of three nodes, a partition and its end
    by_whom = {
        each["data"]["who"]
        for each in map(json.loads, (tmp_path / "run" / "events.jsonl").read_text().splitlines())
        if each["kind"] == "control.change"
    }
    assert "Python" in by_whom
    assert len(by_whom) == 2, by_whom
