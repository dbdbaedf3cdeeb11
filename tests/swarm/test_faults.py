"""What breaks on a real swarm while an emulation runs, or before it can: nothing is hidden or left behind."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import time
from collections import Counter
from pathlib import Path

import attrs
import polars as pl
import pytest

from tests.conftest import Require
from tests.docker.lab import HOSTS
from tests.swarm.deployments import (
    LAB,
    Running,
    all_ready,
    dockers,
    kill,
    lab,
    leftovers,
    roles_on,
    running,
)
from wotemu.errors import WotemuError
from wotemu.scenario import Scenario, at
from wotemu.topology.models import Network, NetworkConditions, Node, NodeResources, Topology
from wotemu_report.queries.role_absences import role_absences
from wotemu_report.recorded.run_data import RunData

pytestmark = pytest.mark.docker

FIELD = Network("field", NetworkConditions(latency="20ms"))
IDLE = ["sleep", "1000"]
LATER_RTT_MS = 160.0
"""Two crossings of 80 ms, which the scenario asks for."""
NO_COUNT = "count of the records of a task that another had replaced, which it did not send at its end"
LATE = " records of a task that another had replaced"
CLOCK = 0.95
"""`ping` reads a clock that the machine sets right meanwhile."""


@pytest.fixture(autouse=True)
def manager(require: Require, monkeypatch: pytest.MonkeyPatch) -> None:
    require(bool(HOSTS), "WOTEMU_TEST_DOCKER_HOSTS does not name the DOCKER_HOST of each node of a swarm")
    monkeypatch.setenv("DOCKER_HOST", HOSTS[0])


@attrs.frozen
class Reply:
    """One answer to a ping: when it came, and how long it took."""

    t: float
    rtt_ms: float


def pinging(peer: str) -> list[str]:
    """A program that looks a peer up anew for each ping, since it may move."""
    return ["sh", "-c", f"while :; do ping -nD -c 1 -W 1 {peer} | grep time=; sleep 0.1; done"]


def replies(run_dir: Path, node: str) -> list[Reply]:
    log = run_dir / "logs" / f"{node}.log"
    lines = log.read_text().splitlines() if log.exists() else ()
    found = (re.match(r"\[([\d.]+)\].*time=([\d.]+) ms", line) for line in lines)
    return sorted((Reply(float(each[1]), float(each[2])) for each in found if each), key=lambda r: r.t)


async def gone_from(machine: int, stack: str, deadline_s: float = 60.0) -> None:
    """Wait until Docker has ended a stack's tasks on a machine that was cut off and is back."""
    async with asyncio.timeout(deadline_s):
        while await roles_on(machine, stack):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def answered(run: Running, deadline_s: float = 30.0) -> None:
    """Wait until pings that were sent from now on have been answered, in both directions."""
    now = time.time()
    async with asyncio.timeout(deadline_s):
        while not all(any(each.t > now + 1 for each in replies(run.run_dir, node)) for node in "ab"):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def test_machines_gateways_and_the_bus_fail_and_come_back(tmp_path: Path, require: Require) -> None:
    """A machine crashes, a gateway is killed, then the bus, and a machine is cut off, the gateway on it."""
    require(len(HOSTS) > 1 and LAB.exists(), "there is no lab whose machines may be crashed")
    topology = Topology([
        Node("a", command=pinging("b"), networks=[FIELD]),
        Node("b", command=pinging("a"), networks=[FIELD]),
    ])  # fmt: skip
    scenario = Scenario(duration="280s", events=[at("1s").set(FIELD, latency="80ms")])
    closed: list[tuple[float, float]] = []
    try:
        async with running(tmp_path, topology, scenario, "faults") as run:
            await run.saw("change.applied")
            await answered(run)

            mark, crashed = run.mark, await roles_on(2, "faults")
            assert crashed
            await lab("crash", "2")
            for role, machine in crashed.items():
                lost = await run.saw("role.lost", role, since=mark)
                assert (lost.data["host"], lost.data["reason"]) == (machine, "its machine is gone")
                assert (await run.saw("role.silent", role, since=mark)).t < lost.t, "silence tells first"
                back = await run.saw("role.back", role, since=mark)
                assert back.data["host"] != machine
            await answered(run)
            await lab("start", "2")
            await all_ready()

            mark = run.mark
            await kill("faults", "gw-field")
            dead = time.time()
            assert "137" in (await run.saw("role.lost", "gateway:field", since=mark)).data["reason"]
            back = await run.saw("role.back", "gateway:field", since=mark)
            closed.append((dead, back.t))
            assert set(crashed.values()) == {back.data["host"]}, "the empty machine gets it: it moves there"
            took = next(e for e in run.events[mark:] if e.kind == "role.took_over")
            assert took.data["changes"] == 1
            await answered(run)

            mark = run.mark
            await kill("faults", "bus")
            await run.saw("role.lost", "bus", since=mark)
            away = await run.saw("role.back", "bus", since=mark)
            await answered(run)

            mark = run.mark
            await lab("cut", "2")
            cut = time.time()
            await run.saw("role.lost", "gateway:field", since=mark)
            back = await run.saw("role.back", "gateway:field", since=mark)
            closed.append((cut + LATER_RTT_MS / 1000, back.t))
            assert back.data["host"] not in crashed.values()
            await lab("heal", "2")
            await gone_from(2, "faults")
            await answered(run)
            run.emulation.stop()
            result = await run.result()
    finally:
        await lab("heal", "2")
        await all_ready()
    assert (result.status, result.error) == ("interrupted", None)
    assert await leftovers("faults") == []

    changes = pl.read_parquet(result.run_dir / "tables" / "changes.parquet")
    assert changes["ok"].to_list() == [True], "a gateway in another's place answers nothing anew"
    applied = changes["applied"].item()
    assert applied - changes["due"].item() < 1
    for node in "ab":
        pings = replies(result.run_dir, node)
        early = [each.rtt_ms for each in pings if each.t > applied + 1 and each.rtt_ms < LATER_RTT_MS * CLOCK]
        assert not early, "every packet of every gateway meets what the scenario says by then"
        for dead, ready in closed:
            through = [each for each in pings if dead + LATER_RTT_MS / 1000 < each.t < ready]
            assert not through, "without a gateway nothing passes"
    assert not [what for _, what in result.losses if "bus had" in what], "the bus kept its stream"
    without_count = {source: count for (source, what), count in result.losses.items() if what == NO_COUNT}
    killed = Counter([*crashed, "gateway:field"])
    assert all(without_count[role] >= count for role, count in killed.items()), (
        "nobody knows their last records"
    )
    late = [what for source, what in result.losses if source == "gateway:field" and what.endswith(LATE)]
    if any(event.kind == "role.superseded" for event in run.events):
        assert late, "the gateway that was cut off sent what it had"
    else:  # Docker ended it before its overlay led anywhere again
        assert without_count["gateway:field"] == killed["gateway:field"] + 1
    samples = pl.read_parquet(result.run_dir / "tables" / "system.parquet").sort("t")
    for node in "ab":
        times = samples.filter(pl.col("node") == node)["t"].to_list()
        assert len(times) == len(set(times))
        seen = [t for t in times if away.data["since"] - 1 < t < away.t + 1]
        assert seen, "an agent outlives a bus that is away"
        assert max(b - a for a, b in itertools.pairwise(seen)) < 3, "it keeps what the bus can't take"

    absences = role_absences(RunData.load(result.run_dir))
    assert {each.role for each in absences} == {"bus", "gateway:field", *crashed}
    assert all(each.back is not None for each in absences)
    assert "Role failures" in (result.report.read_text() if result.report else "")


async def test_what_no_machine_can_run_is_refused_within_seconds_with_the_reason(
    tmp_path: Path, require: Require, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that one machine lacks, room that none has, and a port that something else listens on."""
    require(len(HOSTS) > 1, "there is one machine alone")
    image = os.environ.get("WOTEMU_IMAGE", "wotemu:latest")
    large = NodeResources(mem_reservation="900G")
    async with dockers() as clients:
        await clients[0].images.tag(image, "wotemu-on-one", tag="machine")
        container = await clients[0].containers.create(
            {
                "Image": image,
                "Entrypoint": IDLE,
                "ExposedPorts": {"1/tcp": {}},
                "HostConfig": {"PortBindings": {"1/tcp": [{"HostPort": "16379"}]}},
            }
        )
        try:
            await container.start()
            lacking, unplaced = await asyncio.gather(
                refused(
                    tmp_path / "lacks",
                    Node("a", command=IDLE, networks=[FIELD], scale=4, image="wotemu-on-one:machine"),
                ),
                refused(tmp_path / "room", Node("a", command=IDLE, networks=[FIELD], resources=large)),
            )
            monkeypatch.setenv("WOTEMU_BUS_PORT", "16379")
            taken = await refused(tmp_path / "port", Node("a", command=IDLE, networks=[FIELD]))
        finally:
            await container.delete(force=True)
            await clients[0].images.delete("wotemu-on-one:machine")
    assert "wotlab2" in str(lacking)
    assert "wotemu-on-one:machine" in str(lacking)
    assert "registry" in (lacking.hint or "")
    assert "agent:a" in str(unplaced)
    assert "insufficient resources" in str(unplaced)
    assert "reservations" in (unplaced.hint or "")
    assert "16379" in str(taken)
    assert "WOTEMU_BUS_PORT" in (taken.hint or "")


async def refused(folder: Path, node: Node) -> WotemuError:
    """Why a run could not begin; it leaves nothing, and does not wait for what never comes."""
    stack = f"refused-{folder.name}"
    async with running(folder, Topology([node]), Scenario(duration="60s"), stack) as run:
        await run.saw("run.failed", deadline_s=30)  # what waits for readiness gives up after more than 60 s
        result = await run.result()
    assert result.exit_code == 3
    assert result.error is not None
    assert await leftovers(stack) == []
    return result.error
