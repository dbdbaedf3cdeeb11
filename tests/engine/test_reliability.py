"""Whole emulations in which something fails or misbehaves: the rest goes on, and what is lost is counted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.engine.conftest import PACE, Ran, processes_printing_into
from tests.engine.test_certificate import holds_tap
from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun
from wotemu.records import Event
from wotemu.scenario import Phase, Scenario, at
from wotemu.topology.models import Network, NetworkConditions, Node, NodeResources, Topology
from wotemu_runtime.bus.connection import ANSWER_S

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("namespaces")]

FIELD = Network("field", NetworkConditions(latency="10ms"))

TICKER = """
import itertools, time
for number in itertools.count():
    print(number, flush=True)
    time.sleep(0.05)
"""

# 50 MB/s, unless it has to wait.
FLOOD = """
import os, time
lines = (b"x" * 99 + b"\\n") * 500
due = time.monotonic()
while True:
    os.write(1, lines)
    due = max(due + len(lines) / 50e6, time.monotonic() - 0.1)
    time.sleep(max(0, due - time.monotonic()))
"""

BOMB = """
import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.1)
"""

# It prints how many other processes its node has, then ignores what a signal can be ignored by, as do its
# children, which leave its session and have init as their parent.
STUBBORN = """
import os, signal, time
others = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and int(pid) not in (1, os.getpid())]
print(len(others), flush=True)
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
    signal.signal(number, signal.SIG_IGN)
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        break
while True:
    time.sleep(1)
"""


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def paced(seconds: float) -> float:
    return seconds * PACE


def emulate(folder: Path, topology: Topology, scenario: Scenario, listen: Callable[[Event], None]) -> Ran:
    """Run an emulation, of which nothing may be left."""
    events: list[Event] = []

    def heard(event: Event) -> None:
        events.append(event)
        listen(event)

    async def run() -> Ran:
        deployment = Deployment(topology, scenario, folder / "deployment.py")
        async with asyncio.timeout(60 * PACE):
            return Ran(await ReportedRun(deployment, out=folder / "run").run(heard), events)

    ran = asyncio.run(run())
    assert processes_printing_into(folder) == []
    return ran


def bus_of(folder: Path) -> int:
    """The process of a run's bus."""
    return next(
        pid
        for pid in processes_printing_into(folder)
        if Path(f"/proc/{pid}/comm").read_text().startswith(("valkey", "redis"))
    )


def agents_of(folder: Path) -> int:
    """The process of a run's agents: it has a session of its own, as the bus and the monitor have."""
    (found,) = (
        pid
        for pid in processes_printing_into(folder)
        if os.getsid(pid) == pid
        and pid != bus_of(folder)
        and not holds_tap(pid)
        and f"PPid:\t{os.getpid()}\n" not in Path(f"/proc/{pid}/status").read_text()
    )
    return found


def table(ran: Ran, name: str) -> pl.DataFrame:
    return pl.read_parquet(ran.result.run_dir / "tables" / f"{name}.parquet")


AWAY_S = ANSWER_S + 1.5
"""Longer than a command on the bus waits for its answer, so that all have to connect again."""
LASTS_S = AWAY_S + 3.5
PIDS = 100


@pytest.fixture(scope="module")
def harsh(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A bus that stops for a while, beside apps of every bad sort."""
    folder = tmp_path_factory.mktemp("harsh")

    def listen(event: Event) -> None:
        if event.kind == "run.phase" and event.data["phase"] == "away":
            bus = bus_of(folder)
            os.kill(bus, signal.SIGSTOP)
            asyncio.get_running_loop().call_later(paced(AWAY_S), os.kill, bus, signal.SIGCONT)

    topology = Topology([
        Node("ticker", command=python(TICKER), networks=[FIELD]),
        Node("flood", command=python(FLOOD), networks=[FIELD]),
        Node("bomb", command=python(BOMB), networks=[FIELD], resources=NodeResources(pids_limit=PIDS)),
        Node("stubborn", command=python(STUBBORN), networks=[FIELD]),
    ])  # fmt: skip
    events = [
        at(paced(1)).stop("stubborn"),
        at(paced(3)).set(FIELD, latency="20ms"),
        at(paced(5)).start("stubborn"),
        at(paced(5)).restore(FIELD),
    ]
    phases = [Phase("before", 0), Phase("away", paced(0.5))]
    scenario = Scenario(duration=paced(LASTS_S), events=events, phases=phases)
    return emulate(folder, topology, scenario, listen)


def test_a_bus_that_is_away_delays_no_change_and_costs_no_record(harsh: Ran) -> None:
    assert (harsh.result.status, harsh.result.error) == ("done", None)
    bus = [event.kind for event in harsh.events if event.data.get("role") == "bus"]
    assert bus == ["role.lost", "role.back"]
    assert not harsh.of_kind("role.silent"), "nobody could be heard"
    changes = table(harsh, "changes").sort("due")
    assert changes["ok"].to_list() == [True] * 4
    assert (changes["applied"] - changes["due"]).max() < 0.5  # type: ignore[operator]
    assert set(harsh.result.losses) == {("agent:flood", "logs")}
    ticks = [int(line) for line in harsh.log("ticker")]
    assert ticks == [*range(len(ticks))], "all lines, once, in order"
    assert len(ticks) > LASTS_S / 0.05 / 2
    samples = table(harsh, "system").filter(pl.col("node") == "ticker")["t"].to_list()
    assert samples == sorted(set(samples))
    assert len(samples) >= LASTS_S - 3


def test_a_flood_of_lines_is_bounded_and_counted(harsh: Ran) -> None:
    log = harsh.result.run_dir / "logs" / "flood.log"
    assert log.stat().st_size < 60e6
    lines = harsh.log("flood")
    lost = sum(int(line.split()[1].replace(",", "")) for line in lines if line.startswith("[wotemu]"))
    assert lost == harsh.result.losses["agent:flood", "logs"] > 100_000


def test_a_fork_bomb_stays_within_its_node(harsh: Ran) -> None:
    manifest = json.loads((harsh.result.run_dir / "manifest.json").read_text())
    unlimited = [text for text in manifest["unenforced"] if "process" in text]
    if unlimited:
        pytest.skip(unlimited[0])
    samples = table(harsh, "system").filter(pl.col("node") == "bomb")
    assert samples["threads"].max() == PIDS
    (met,) = harsh.of_kind("app.process_limit")
    assert (met.source, met.data["limit"]) == ("agent:bomb", PIDS)


def test_what_ignores_every_signal_is_gone_after_a_stop(harsh: Ran) -> None:
    stopped = harsh.of_kind("app.exited", "agent:stubborn")[0]
    assert (stopped.data["asked"], stopped.data["exit"]) == (True, "killed by SIGKILL")
    assert harsh.log("stubborn") == ["0", "0"], "its second start finds nothing of the first"


def test_agents_that_are_killed_are_replaced_and_the_run_says_so(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("killed")

    def listen(event: Event) -> None:
        if event.kind == "change.applied" and event.source == "gateway:field":
            os.kill(agents_of(folder), signal.SIGKILL)

    topology = Topology([
        Node("a", command=python(TICKER), networks=[FIELD]),
        Node("b", command=python(STUBBORN), networks=[FIELD]),
    ])  # fmt: skip
    events = [at(paced(1)).set(FIELD, latency="20ms"), at(paced(3)).stop("a")]
    ran = emulate(folder, topology, Scenario(duration=paced(5), events=events), listen)
    assert (ran.result.status, ran.result.error) == ("done", None)
    lost = {event.data["role"]: event.data["reason"] for event in ran.of_kind("role.lost")}
    assert lost == dict.fromkeys(("agent:a", "agent:b"), "its agent was killed by SIGKILL")
    assert {event.data["role"] for event in ran.of_kind("role.back")} == set(lost)
    assert len(ran.of_kind("app.started", "agent:a")) == 2
    assert ran.log("b") == ["0", "0"], "what the killed agent had started is gone"
    assert table(ran, "changes")["ok"].to_list() == [True, True]
    assert {source for source, _ in ran.result.losses} == set(lost), "what they had not sent is lost"
    assert ran.result.certificate is not None
    assert table(ran, "hops")["t"].n_unique() >= 4, "the gateway went on"


def test_a_bus_that_is_killed_ends_the_run_at_once_with_what_was_recorded(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("bus")

    def listen(event: Event) -> None:
        if event.kind == "change.applied":
            os.kill(bus_of(folder), signal.SIGKILL)

    topology = Topology([Node("a", command=python(TICKER), networks=[FIELD])])
    events = [at(paced(1.5)).set(FIELD, latency="20ms")]
    ran = emulate(folder, topology, Scenario(duration=paced(50), events=events), listen)
    assert ran.result.exit_code == 3
    assert "bus" in str(ran.result.error)
    assert ran.result.report is not None
    assert ran.log("a")[:5] == ["0", "1", "2", "3", "4"]
