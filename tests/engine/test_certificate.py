"""Real runs are certified, and a starved emulation does not pass."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.engine.conftest import Emulate, Ran, processes_printing_into
from wotemu.deployment_file import Deployment
from wotemu.emulation.reported_run import ReportedRun
from wotemu.records import Event
from wotemu.scenario import Scenario, at
from wotemu.topology.models import Network, NetworkConditions, Node, Topology
from wotemu_runtime.fidelity import Certificate

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("no_leftovers")]

IDLE = ["sleep", "100"]
FIELD = Network("field", NetworkConditions(latency="30ms"))
LOADS = {"departure_late", "change_late", "stall", "cpu", "steal", "probe_delay"}
"""What a busy machine may spoil; all else would be the emulation's own fault."""


def nodes(*names: str) -> Topology:
    return Topology([Node(name, command=IDLE, networks=[FIELD]) for name in names])


def certificate(ran: Ran) -> Certificate:
    found = ran.result.certificate
    assert found is not None
    return found


def table(ran: Ran, name: str) -> pl.DataFrame:
    return pl.read_parquet(ran.result.run_dir / "tables" / f"{name}.parquet")


async def test_an_idle_run_has_nothing_against_it_but_the_machines_load(emulate: Emulate) -> None:
    ran = await emulate(
        nodes("a", "b", "c"),
        Scenario(events=[at("4s").set(FIELD, latency="80ms")], duration="8s"),
    )
    found = certificate(ran)
    assert {reason.what for reason in found.reasons} <= LOADS
    assert {reason.what for reason in found.reasons if reason.verdict == "INVALID"} <= {"steal"}
    assert 20 <= found.probes <= 24
    (event,) = ran.of_kind("run.certified")
    assert event.data["verdict"] == found.verdict
    manifest = json.loads((ran.result.run_dir / "manifest.json").read_text())
    assert manifest["certificate"] == json.loads(json.dumps(found.to_dict()))
    page = (ran.result.run_dir / "report" / "index.html").read_text()
    assert f"Fidelity: {found.verdict}" in page


async def test_probes_are_expected_and_measured_as_the_scenario_says(emulate: Emulate) -> None:
    ran = await emulate(
        nodes("a", "b"),
        Scenario(
            events=[at("3s").set(FIELD, latency="120ms"), at("6s").partition(["a"]), at("8s").heal()],
            duration="10s",
        ),
    )
    probes = table(ran, "probes").filter(pl.col("state") == "")
    assert set(probes["expected"].round(6)) == {0.03, 0.12}
    late = (probes["measured"] - probes["expected"]).median()
    assert isinstance(late, float)
    assert 0 <= late < 0.02
    assert probes["lost"].sum() == 0
    cut = table(ran, "probes").filter(pl.col("state") == "cut")
    assert cut.height >= 2
    assert cut["lost"].all()


async def test_probes_are_in_no_other_figure(emulate: Emulate) -> None:
    ran = await emulate(nodes("a", "b"), Scenario(events=[at("2s").partition(["a"])], duration="5s"))
    assert certificate(ran).probes >= 8
    hops = table(ran, "hops")
    counted = ["sent", "sent_bytes", "dropped_loss", "dropped_queue", "dropped_cut", "backlog"]
    assert hops.select(pl.col(counted).sum()).row(0) == (0,) * len(counted)
    assert not (ran.result.run_dir / "tables" / "flows.parquet").exists()


async def test_as_many_probes_are_lost_as_the_network_should_lose(emulate: Emulate) -> None:
    lossy = Network("field", NetworkConditions(latency="5ms", loss="50%"))
    ran = await emulate(
        Topology([Node("n", command=IDLE, scale=6, networks=[lossy])]), Scenario(duration="10s")
    )
    found = certificate(ran)
    assert "probe_loss" not in {reason.what for reason in found.reasons}
    lost = table(ran, "probes").filter(pl.col("state") == "")["lost"].mean()
    assert isinstance(lost, float)
    assert 0.25 < lost < 0.75  # 60 probes: one run in 10,000 loses a share beyond that


async def run_starved(folder: Path, starve: Callable[[], None], *, strict: bool = False) -> Ran:
    """A run of three nodes with many changes, whose gateway is starved from its second second on."""
    events: list[Event] = []
    changes = [at(0.1 * tenth).set(FIELD, latency=f"{30 + tenth % 3}ms") for tenth in range(10, 55)]
    deployment = Deployment(
        nodes("a", "b", "c"), Scenario(events=changes, duration="6s"), folder / "deployment.py"
    )

    def listen(event: Event) -> None:
        events.append(event)
        if event.kind == "run.t0":
            asyncio.get_running_loop().call_later(1.5, starve)

    async with asyncio.timeout(90):
        result = await ReportedRun(deployment, out=folder / "run", strict=strict).run(listen)
    return Ran(result, events)


def gateway_of(folder: Path) -> int:
    """The gateway's process of the run in `folder`: it alone holds TAPs."""
    (gateway,) = (pid for pid in processes_printing_into(folder) if holds_tap(pid))
    return gateway


def holds_tap(pid: int) -> bool:
    try:
        return any(str(fd.readlink()) == "/dev/net/tun" for fd in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


async def test_a_gateway_that_is_stopped_for_a_while_makes_the_run_invalid(
    namespaces: None, tmp_path: Path
) -> None:
    def stop_for_a_while() -> None:
        loop = asyncio.get_running_loop()
        gateway = gateway_of(tmp_path)
        os.kill(gateway, signal.SIGSTOP)
        loop.call_later(0.5, os.kill, gateway, signal.SIGCONT)

    ran = await run_starved(tmp_path, stop_for_a_while, strict=True)
    found = certificate(ran)
    assert (found.verdict, ran.result.status, ran.result.exit_code) == ("INVALID", "done", 4)
    stall = next(reason for reason in found.reasons if reason.what == "stall")
    assert stall.where == "gateway:field"
    assert stall.measured == pytest.approx(0.5, abs=0.15)
    assert {reason.what for reason in found.reasons} <= LOADS


async def starve_for(pid: int, seconds: float) -> None:
    """Have a process run for a fifth of the time only, in turns of 20 ms: as on a CPU that others take.

    Real competitors would not do: what they leave to it depends on the kernel's scheduler and its settings.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    try:
        while loop.time() < ends:
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(0.08)
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(0.02)
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_gateway_without_cpu_makes_the_run_invalid(namespaces: None, tmp_path: Path) -> None:
    tasks = set()

    def starve() -> None:
        tasks.add(asyncio.ensure_future(starve_for(gateway_of(tmp_path), 3.0)))

    ran = await run_starved(tmp_path, starve)
    await asyncio.gather(*tasks)
    found = certificate(ran)
    assert found.verdict == "INVALID"
    kinds = {reason.what for reason in found.reasons if reason.verdict == "INVALID"}
    assert kinds & {"change_late", "departure_late", "stall"}
    assert kinds <= {*LOADS, "frames_dropped"}
