"""Faults of nodes and blocked traffic in one emulation: what the apps meet, and what is recorded."""

from __future__ import annotations

import asyncio
import errno
import json
import re
import sys
from itertools import pairwise
from pathlib import Path

import attrs
import polars as pl
import pytest

from tests.conftest import Require
from tests.engine.conftest import PACE, Ran
from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun
from wotemu.errors import HostError
from wotemu.records import Event
from wotemu.scenario import Scenario, at, during
from wotemu.topology.models import Network, Node, NodeResources, Topology

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("namespaces", "no_leftovers")]

# Its child burns CPU time, which a pause has to end, too.
TICKER = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "while True: pass"])
while True:
    print(time.monotonic(), flush=True)
    time.sleep(0.02)
"""


# Asks two servers of a node again and again, and prints which port answered when.
ASKER = """
import socket, sys, time
while True:
    for port in (7000, 7001):
        try:
            with socket.create_connection((sys.argv[1], port), 0.15) as asked:
                asked.settimeout(0.15)
                if asked.recv(1):
                    print(port, time.time(), flush=True)
        except OSError:
            pass
    time.sleep(0.02)
"""
ANSWERER = """
import selectors, socket
waiting = selectors.DefaultSelector()
for port in (7000, 7001):
    waiting.register(socket.create_server(("", port)), selectors.EVENT_READ)
while True:
    for key, _ in waiting.select():
        with key.fileobj.accept()[0] as came:
            came.send(b"x")
"""


# Prints the names of its interfaces that have no carrier, whenever these are others.
WATCHER = """
last=none
while true; do
    now=$(ip -o link | sed -n 's/^[0-9]*: \\([a-z0-9]*\\).*NO-CARRIER.*/\\1/p' | tr '\\n' ' ')
    [ "$now" = "$last" ] || echo "[$now]"
    last=$now
    sleep 0.1
done
"""


# Prints what is free in its scratch folder, and the error of writing a page more than that.
WRITER = """
import os, time
folder = os.environ["WOTEMU_SCRATCH"]
file = os.open(folder + "/data", os.O_CREAT | os.O_RDWR)
while True:
    began, now = time.time(), os.statvfs(folder)
    free, error = now.f_bavail * now.f_frsize, 0
    try:
        os.posix_fallocate(file, 0, min(free, 1 << 20) + 4096)
    except OSError as failure:
        error = failure.errno
    os.ftruncate(file, 0)
    print(free, error, began, time.time(), flush=True)
    time.sleep(0.05)
"""


def paced(seconds: float) -> float:
    return seconds * PACE


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    field = Network("field")
    home = Network("home")
    ticker = [sys.executable, "-c", TICKER]
    topology = Topology([
        Node("free", command=ticker, networks=[field]),
        Node("limited", command=ticker, networks=[field], resources=NodeResources(cpu_limit=0.5)),
        Node("fallen", command=["sh", "-c", "date +%s.%N; sleep 100"], networks=[field]),
        Node("busy", command=["sh", "-c", "while :; do :; done"], networks=[field]),
        Node("watcher", command=["sh", "-c", WATCHER], networks=[field, home]),
        Node("asker", command=[sys.executable, "-c", ASKER, "answerer"], networks=[field]),
        Node("answerer", command=[sys.executable, "-c", ANSWERER], networks=[field]),
        Node("last", command=ticker, networks=[field]),
        Node("stressed", command=["sleep", "100"], networks=[field]),
        Node("writer", command=[sys.executable, "-c", WRITER], networks=[field]),
    ])  # fmt: skip
    events = [
        during(paced(1), paced(3)).pause(["free", "limited"]),
        at(paced(1)).pause("fallen"),
        at(paced(1.5)).crash("fallen"),
        at(paced(2)).restart("fallen"),
        at(paced(3)).resume("fallen"),
        at(paced(3)).pause("last"),
        at(paced(1)).block("asker", "answerer", port=7000, protocol="tcp", name="first"),
        during(paced(1), paced(3)).disconnect("watcher", home),
        during(paced(2), paced(3)).block("asker", protocol="tcp", direction="out"),
        at(paced(3.5)).heal("first"),
        during(paced(0.5), paced(3)).stress("stressed", cpu=0.1, memory="48M"),
        at(paced(1.5)).crash("stressed"),
        at(paced(2)).restart("stressed"),
        at(paced(3.2)).stress("stressed", memory="8M"),
        during(paced(0.8), paced(1.6)).fill_disk("writer", leave="64K"),
        during(paced(2.4), paced(3.2)).fill_disk("writer"),
    ]
    scenario = Scenario(
        duration=paced(4.5), events=[*events, during(paced(1), paced(3)).limit("busy", cpu=0.1)]
    )
    try:
        return asyncio.run(_run(topology, scenario, tmp_path_factory))
    except HostError as error:
        if "there is no control group" not in str(error):
            raise
        return asyncio.run(_run(topology, attrs.evolve(scenario, events=events), tmp_path_factory))


async def _run(topology: Topology, scenario: Scenario, folders: pytest.TempPathFactory) -> Ran:
    events: list[Event] = []
    folder = folders.mktemp("faults")
    deployment = Deployment(topology, scenario, folder / "deployment.py")
    async with asyncio.timeout(60 * PACE):
        result = await ReportedRun(deployment, out=folder / "run").run(events.append)
    return Ran(result, events)


@attrs.frozen
class Gap:
    """The longest time between two lines of a ticker."""

    lasted_s: float
    after_lines: int


def longest_gap(ran: Ran, replica: str) -> Gap:
    times = [float(line) for line in ran.log(replica)]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return Gap(max(gaps), gaps.index(max(gaps)) + 1)


def test_all_changes_took_hold_once_each(ran: Ran) -> None:
    assert ran.result.error is None
    assert ran.of_kind("change.failed") == []
    planned = json.loads((Path(ran.result.run_dir) / "timeline.json").read_text())["changes"]
    applied = [event.data["id"] for event in ran.of_kind("change.applied")]
    assert sorted(applied) == sorted(change["id"] for change in planned)


@pytest.mark.parametrize("replica", ["free", "limited"])
def test_a_paused_node_does_nothing_and_goes_on(ran: Ran, replica: str) -> None:
    gap = longest_gap(ran, replica)
    assert paced(2) * 0.95 <= gap.lasted_s
    assert gap.after_lines > 2
    assert len(ran.log(replica)) > gap.after_lines + 2
    assert len(ran.of_kind("app.started", f"agent:{replica}")) == 1


def test_how_each_pause_was_made_and_that_nothing_ran_in_it_is_recorded(ran: Ran) -> None:
    ended = {event.source: event.data for event in ran.of_kind("pause.ended")}
    assert ended["agent:free"]["by"] == "signals"
    if not ran.of_kind("limit.unenforced"):
        assert ended["agent:limited"]["by"] == "freezer"
    for source in ("agent:free", "agent:limited", "agent:last"):
        assert ended[source]["processes"] == 2
        assert ended[source]["cpu_s"] <= 0.04
    certificate = ran.result.certificate
    assert certificate is not None
    assert [reason for reason in certificate.reasons if reason.what == "fault"] == []


def test_what_starts_in_a_paused_node_starts_once_it_is_resumed(ran: Ran) -> None:
    assert len(ran.log("fallen")) == 2
    resumed = [event.t for event in ran.of_kind("change.applied") if event.message == "fallen: resumed"]
    assert ran.of_kind("app.started", "agent:fallen")[1].t >= resumed[0] - 0.01


def test_a_node_that_is_paused_at_the_end_is_stopped_as_others(ran: Ran) -> None:
    (ended,) = ran.of_kind("app.exited", "agent:last")
    assert ended.data["asked"]
    assert ended.data["exit"] == "killed by SIGTERM"


def took_hold(ran: Ran, message: str) -> float:
    """When a change took hold, by what it says."""
    (event,) = [each for each in ran.of_kind("change.applied") if each.message.startswith(message)]
    return event.t


def answers(ran: Ran, port: int, start: float, end: float) -> int:
    """How many times a port answered well within a time: not where packets were under way at its ends."""
    times = [float(line.split()[1]) for line in ran.log("asker") if line.startswith(str(port))]
    return sum(start + 0.1 < t < end - 0.1 for t in times)


def test_only_blocked_traffic_is_dropped_until_each_block_ends(ran: Ran) -> None:
    begins = [each.t for each in ran.of_kind("change.applied") if each.message.startswith("field: blocked")]
    port, all_tcp, port_again = begins
    healed = took_hold(ran, "field: unblocked")
    end = ran.of_kind("run.stopping")[0].t
    assert answers(ran, 7000, 0, port) > 3
    assert answers(ran, 7000, port, healed) == 0
    assert answers(ran, 7001, port, all_tcp) > 1
    assert answers(ran, 7001, all_tcp, port_again) == 0
    assert answers(ran, 7001, port_again, healed) > 0
    assert answers(ran, 7000, healed, end) > 3
    hops = pl.read_parquet(ran.result.run_dir / "tables" / "hops.parquet")
    assert hops["dropped_cut"].sum() > 5


def test_an_unplugged_node_sees_that_one_interface_has_no_carrier(ran: Ran) -> None:
    unplugged, plugged_in = ran.log("watcher")[-2:]
    assert re.fullmatch(r"\[eth\d \]", unplugged)
    assert plugged_in == "[]"


def test_a_limited_node_gets_less_cpu_time_until_it_is_put_back(ran: Ran, require: Require) -> None:
    begins = [each.t for each in ran.of_kind("change.applied") if each.message.startswith("busy: CPU")]
    require(bool(begins), "this machine has no control group of cpu that can be used")
    system = pl.read_parquet(ran.result.run_dir / "tables" / "system.parquet").filter(
        pl.col("node") == "busy"
    )
    (begin,) = begins
    end = took_hold(ran, "busy: limits as at T0")
    within = system.filter(pl.col("t").is_between(begin + 1.05, end))
    assert within.height >= 1
    assert within["cpu_limit_percent"].to_list() == [10.0] * within.height
    assert all(each < 13 for each in within["cpu_percent"])
    assert system.filter(pl.col("t") > end)["cpu_limit_percent"].null_count() >= 1


def test_a_stress_uses_what_was_asked_until_its_end_and_outlives_the_app(ran: Ran) -> None:
    first, last = (event.data for event in ran.of_kind("stress.ended"))
    assert len(ran.of_kind("app.started", "agent:stressed")) == 2
    assert first["lasted_s"] == pytest.approx(paced(2.5), abs=0.2 * PACE)
    assert first["cpu_s"] / first["lasted_s"] == pytest.approx(0.1, rel=0.3)
    assert first["held_bytes"] >= 0.95 * (48 << 20)
    assert (first["died"], last["died"]) == ("", "")
    assert (last["cpu"], last["mem_bytes"]) == (None, 8 << 20)
    system = pl.read_parquet(ran.result.run_dir / "tables" / "system.parquet")
    memory = system.filter(pl.col("node") == "stressed").select("t", "mem_bytes", "processes")
    begin, end = took_hold(ran, "stressed: stressed by 0.1"), took_hold(ran, "stressed: not stressed")
    within = memory.filter(pl.col("t").is_between(begin + 0.3, end))
    after = memory.filter(pl.col("t") > end + 0.1)
    # Both have what any such process shares with the node's first one.
    more = pl.Series([within["mem_bytes"].max()]) - pl.Series([after["mem_bytes"].max()])
    assert more[0] == pytest.approx(40 << 20, rel=0.1)


def test_a_full_disk_leaves_what_was_asked_and_has_its_room_again(ran: Ran) -> None:
    lines = [line.split() for line in ran.log("writer")]
    looks = [(float(began), float(ended), (int(free), int(error))) for free, error, began, ended in lines]
    changes = [event for event in ran.of_kind("change.applied") if event.message.startswith("writer: ")]
    assert [event.message.partition(": ")[2] for event in changes] == [
        "scratch folder full, 64KiB left",
        "scratch folder as it was",
        "scratch folder full",
        "scratch folder as it was",
    ]
    begins = [0.0, *(event.t for event in changes)]
    ends = [*(event.t - event.data["late_s"] for event in changes), looks[-1][1] + 1]
    found = [
        {seen for began, ended, seen in looks if begin + 0.01 < began and ended < end - 0.01}
        for begin, end in zip(begins, ends, strict=True)
    ]
    roomy = {(1 << 30, 0)}
    assert found == [roomy, {(64 << 10, errno.ENOSPC)}, roomy, {(0, errno.ENOSPC)}, roomy]
    assert [event.data["leave_bytes"] for event in ran.of_kind("disk.freed")] == [64 << 10, 0]
