"""A whole emulation on a real swarm whose bus is away for a minute, beside apps of every bad sort.

`tests.engine.test_reliability` asks the same of the local engine.
"""

from __future__ import annotations

import asyncio
import errno

import polars as pl
import pytest

from tests.conftest import Require
from tests.docker.lab import HOSTS, run
from tests.engine.conftest import Ran
from tests.engine.test_reliability import BOMB, FLOOD, PIDS, STUBBORN, TICKER
from tests.swarm.deployments import Running, dockers, leftovers, running
from wotemu.scenario import Scenario, at, during
from wotemu.topology.models import Network, NetworkConditions, Node, NodeResources, Placement, Topology

pytestmark = pytest.mark.docker

STACK = "harsh"
FIELD = Network("field", NetworkConditions(latency="10ms"))
HOME = Network("home", NetworkConditions(latency="20ms"))
MOVED = "packets under way when a node moved"
NO_COUNT = "count of the records of a task that another had replaced, which it did not send at its end"

BACK_S = 60.0
"""From when on there is a bus again, which goes a second after T0."""
UNPLUGGED_S = (10.0, 20.0)
AGAIN_S = (65.0, 78.0)
"""The agent is killed at the beginning of the second time, and another one takes over before its end."""
END_S = 84.0
BUSY_S = 5.0
"""On a machine with much else to do a change may be so late."""

# Sends to a peer each 50 ms and answers what comes. Prints when it begins, and whenever one of these changes:
# how many interfaces are down, the error of sending, whether the peer answers. With it, the least round trip.
WATCHER = """
import errno, os, select, socket, sys, time
from pathlib import Path

def down():
    folders = sorted(Path("/sys/class/net").iterdir())
    return [each.name for each in folders if not int((each / "flags").read_text(), 16) & 1]

peer = sys.argv[1]
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("", 5000))
udp.setblocking(False)
last, answered, least, due = None, 0.0, 9.0, time.time()
print("begin", time.time(), flush=True)
while True:
    error = 0
    try:
        udp.sendto(b"?%.6f" % time.time(), (peer, 5000))
    except OSError as failure:
        error = failure.errno
    due = max(due + 0.05, time.time())
    while (left := due - time.time()) > 0:
        if not select.select([udp], [], [], left)[0]:
            continue
        try:
            data, sender = udp.recvfrom(100)
            if data.startswith(b"?"):
                udp.sendto(b"!" + data[1:], sender)
            else:
                answered = time.time()
                least = min(least, answered - float(data[1:]))
        except OSError:
            pass
    now = down(), error, time.time() - answered < 1
    if now != last:
        print(time.time(), len(now[0]), error, int(now[2]), least, flush=True)
    last = now
"""


def python(text: str, *arguments: str) -> list[str]:
    return ["python", "-c", text, *arguments]


async def scale_bus(replicas: int) -> None:
    """Take the bus's task away, or have Swarm start another."""
    async with dockers() as (docker, *_):
        service = await docker.services.inspect(f"{STACK}_bus")
        spec = service["Spec"]
        spec["Mode"]["Replicated"]["Replicas"] = replicas
        await docker._query_json(
            f"services/{service['ID']}/update",
            method="POST",
            params={"version": service["Version"]["Index"]},
            data=spec,
        )


async def kill_agent(node: str) -> None:
    """SIGKILL the agent in a node's container: it is the oldest child of the first process."""
    kill = "import psutil; min(psutil.Process(1).children(), key=lambda each: each.pid).kill()"
    async with dockers() as clients:
        filters = {"name": [f"^/?{STACK}_{node}\\."], "status": ["running"]}
        (container,) = [each for docker in clients for each in await docker.containers.list(filters=filters)]
        await run(container, "python", "-c", kill)


async def machines() -> list[str]:
    async with dockers() as clients:
        return [(await docker.system.info())["Name"] for docker in clients]


def topology(near: str, far: str) -> Topology:
    on_near, on_far = (Placement(constraints=[f"node.hostname=={name}"]) for name in (near, far))
    bomb = NodeResources(pids_limit=PIDS)
    return Topology([
        Node("ticker", command=python(TICKER), networks=[FIELD], placement=on_near),
        Node("flood", command=python(FLOOD), networks=[FIELD], placement=on_near),
        Node("bomb", command=python(BOMB), networks=[FIELD], placement=on_far, resources=bomb),
        Node("stubborn", command=python(STUBBORN), networks=[FIELD], placement=on_far),
        Node("near", command=python(WATCHER, "far.home"), networks=[HOME, FIELD], placement=on_near),
        Node("far", command=python(WATCHER, "near.home"), networks=[HOME], placement=on_far),
    ])  # fmt: skip


async def disturb(run: Running) -> None:
    """Take the bus away from soon after T0 on, then kill an agent while its node is unplugged."""
    await run.saw("run.t0")
    await asyncio.sleep(1)
    await scale_bus(0)
    await run.saw("role.lost", "bus")
    (t0,) = (event.data["t0"] for event in run.events if event.kind == "run.t0")
    await asyncio.sleep(BACK_S - (run.events[-1].t - t0))
    await scale_bus(1)
    await run.saw("role.back", "bus", deadline_s=30)
    await applied(run, "near unplugged from home", 2)
    await kill_agent("near")
    await run.saw("role.back", "agent:near", deadline_s=30)


async def applied(run: Running, message: str, times: int) -> None:
    """Wait until a change has been applied so many times."""
    async with asyncio.timeout(40):
        while sum(event.message == message for event in run.events) < times:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def harsh(tmp_path_factory: pytest.TempPathFactory, require: Require) -> Ran:
    require(len(HOSTS) > 1, "WOTEMU_TEST_DOCKER_HOSTS does not name the DOCKER_HOST of two nodes of a swarm")
    events = [
        at("0.5s").stop("stubborn"),
        at("5s").set(FIELD, latency="20ms"),
        during(*UNPLUGGED_S).disconnect("near", HOME),
        at("15s").start("stubborn"),
        at("25s").stop(["flood", "bomb"]),  # other tests may be running on this machine
        at("30s").restore(FIELD),
        during(*AGAIN_S).disconnect("near", HOME),
    ]

    async def emulate() -> Ran:
        scenario = Scenario(duration=END_S, events=events)
        async with running(
            tmp_path_factory.mktemp("harsh"), topology(*(await machines())[:2]), scenario, STACK
        ) as run:
            await disturb(run)
            result = await run.result()
        assert await leftovers(STACK) == []
        return Ran(result, run.events)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", HOSTS[0])
        return asyncio.run(emulate())


def table(ran: Ran, name: str) -> pl.DataFrame:
    return pl.read_parquet(ran.result.run_dir / "tables" / f"{name}.parquet")


def test_a_bus_that_is_away_for_a_minute_delays_no_change_and_costs_no_record(harsh: Ran) -> None:
    assert (harsh.result.status, harsh.result.error) == ("done", None)
    bus = [event for event in harsh.events if event.data.get("role") == "bus"]
    assert [event.kind for event in bus] == ["role.lost", "role.back"]
    assert bus[1].t - bus[0].t > BACK_S - 5
    assert not harsh.of_kind("role.silent"), "nobody could be heard"
    changes = table(harsh, "changes")
    assert changes["ok"].to_list() == [True] * 10
    late_s = (changes["applied"] - changes["due"]).max()
    assert late_s < BUSY_S, "those that are due while it is away would be half a minute late"  # type: ignore[operator]
    assert set(harsh.result.losses) - {("gateway:home", MOVED), ("gateway:field", MOVED)} == {
        ("agent:flood", "logs"),
        ("agent:near", NO_COUNT),
    }
    ticks = [int(line) for line in harsh.log("ticker")]
    assert ticks == [*range(len(ticks))], "all lines, once, in order"
    assert len(ticks) > END_S / 0.05 / 2
    samples = table(harsh, "system").filter(pl.col("node") == "ticker")["t"].to_list()
    assert samples == sorted(set(samples))
    assert len(samples) >= 0.8 * END_S


def test_a_flood_of_lines_is_bounded_and_counted(harsh: Ran) -> None:
    log = harsh.result.run_dir / "logs" / "flood.log"
    assert log.stat().st_size < 200e6
    lost = sum(
        int(line.split()[1].replace(",", "")) for line in harsh.log("flood") if line.startswith("[wotemu]")
    )
    assert lost == harsh.result.losses["agent:flood", "logs"] > 1_000_000


def test_a_fork_bomb_stays_within_its_node(harsh: Ran) -> None:
    samples = table(harsh, "system").filter(pl.col("node") == "bomb")
    assert PIDS <= samples["threads"].max() <= PIDS + 16  # type: ignore[operator]
    (met,) = harsh.of_kind("app.process_limit")
    assert (met.source, met.data["limit"]) == ("agent:bomb", PIDS)


def test_what_ignores_every_signal_is_gone_after_a_stop(harsh: Ran) -> None:
    stopped = harsh.of_kind("app.exited", "agent:stubborn")[0]
    assert (stopped.data["asked"], stopped.data["exit"]) == (True, "killed by SIGKILL")
    launcher_and_agent = [harsh.log("stubborn")[0]] * 2
    assert harsh.log("stubborn") == launcher_and_agent, "its second start finds nothing of the first"


def test_an_unplugged_node_notices_and_so_does_one_that_is_started_in_its_place(harsh: Ran) -> None:
    changes = table(harsh, "changes").filter(pl.col("action") == "disconnect").sort("due")
    out, back, out_again, back_again = changes["applied"].to_list()
    down, up = harsh.of_kind("interface.down"), harsh.of_kind("interface.up")
    assert [event.source for event in (*down, *up)] == ["agent:near"] * 5, "also of the one that took over"
    assert [event.t for event in down[:2]] == pytest.approx([out, out_again], abs=2)
    assert [event.t for event in up] == pytest.approx([back, back_again], abs=2)

    first, second = watched(harsh, "near")
    unplugged = (1, errno.ENETUNREACH, False)
    assert state_at(first, (out + back) / 2) == unplugged
    assert state_at(first, back + 10) == (0, 0, True)
    assert second[0][1:4] == unplugged == state_at(second, back_again), "from its start on"
    assert second[-1][1:4] == (0, 0, True)
    (far,) = watched(harsh, "far")
    times = [(out + back) / 2, back + 10, back_again, back_again + 5]
    assert [state_at(far, t) for t in times] == [(0, 0, answers) for answers in (False, True) * 2]
    assert min(state[4] for states in (first, second, far) for state in states) >= 0.04, (
        "no packet takes a direct way"
    )


State = tuple[float, int, int, bool, float]
"""What a watcher prints: when, how many interfaces are down, the error, whether the peer answers, the least
round trip so far."""


def state_at(states: list[State], t: float) -> tuple[int, int, bool]:
    """The interfaces that are down, the error of sending, and whether the peer answers."""
    return [state[1:4] for state in states if state[0] < t][-1]


def watched(ran: Ran, node: str) -> list[list[State]]:
    """What a watcher printed, for each of its starts."""
    found: list[list[State]] = []
    for line in ran.log(node):
        t, *rest = line.split()
        if t == "begin":
            found.append([])
        else:
            down, error, answers, least = rest
            found[-1].append((float(t), int(down), int(error), answers == "1", float(least)))
    return found


def test_no_probe_speaks_against_a_network_from_which_a_node_is_unplugged(harsh: Ran) -> None:
    assert harsh.result.certificate is not None
    reasons = [reason for reason in harsh.result.certificate.reasons if reason.where == "gateway:home"]
    assert not [reason for reason in reasons if reason.what in ("probe_loss", "leak")]
