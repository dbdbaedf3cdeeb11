"""The API on the local engine: a run is watched and changed while it goes on, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from tests.engine.conftest import paced, processes_printing_into
from wotemu import (
    AppStartError,
    Emulation,
    InputError,
    Link,
    Network,
    NetworkConditions,
    Node,
    NodeApp,
    NotInTimeError,
    NotRunningError,
    RecordedRun,
    Scenario,
    ScenarioError,
    Topology,
    event,
    metric,
    run,
    run_sync,
)
from wotemu_runtime.control.client import control_names

pytestmark = [pytest.mark.namespaces, pytest.mark.usefixtures("namespaces")]

FIELD = Network("field", NetworkConditions(latency="20ms"))
MOBILE = Link(FIELD, up=NetworkConditions(latency="50ms"))
TOPOLOGY = Topology(
    [
        Node("sensor", command=["sleep", "600"], networks=[FIELD]),
        Node("phone", command=["sleep", "600"], networks=[MOBILE], scale=2),
    ]
)


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_a_run_is_changed_while_it_goes_on_and_every_change_is_judged() -> None:
    async with Emulation(TOPOLOGY, Scenario(duration=paced(60)), name="changed") as emulation:
        events: list[str] = []

        async def listen() -> None:
            events.extend([each.message async for each in emulation.events("control.*", "app.exited")])

        listening = asyncio.create_task(listen())
        with pytest.raises(NotRunningError, match="its scenario has not begun"):
            await emulation.heal()
        await emulation.ready()
        assert emulation.now >= 0
        changed = await emulation.set(MOBILE, latency="300ms")
        assert (changed.changes, changed.text) == (2, "set phone@field latency=300ms")
        time.sleep(1)  # noqa: ASYNC251  # holds up this event loop, and not the run
        await emulation.partition(["phone"], ["sensor"])
        await emulation.heal()
        crashed = await emulation.crash("phone-2")
        assert crashed.changes == 2
        await emulation.wait_for(event("app.exited", node="phone-2"), timeout=paced(20))
        await emulation.restart("phone-2")
        for wrong in (emulation.set("feild", latency="1s"), emulation.crash("phone-9")):
            with pytest.raises(ScenarioError, match="there is no"):
                await wrong
        await emulation.at(emulation.now + 1.5)  # the certificate judges what was due a second before the end
        stored = emulation.table("changes").filter(pl.col("target") == "phone@field up").collect()
        assert stored["ok"].to_list() == [True]
        assert stored["s"][0] == pytest.approx(changed.at_s, abs=1e-3)
    await listening
    assert events == [
        "Python: set phone@field latency=300ms",
        "Python: partition [phone] [sensor]",
        "Python: heal",
        "Python: crash phone-2",
        "phone-2 ended: killed by SIGKILL",
        "Python: restart phone-2",
        *events[6:],
    ]
    found = emulation.result
    assert (found.status, found.error) == ("interrupted", "")
    certificate = found.certificate
    assert certificate is not None
    assert certificate.changes.planned == 8
    assert all(role.failed == role.missing == 0 for role in certificate.changes.roles)
    assert found.table("changes").collect().height == len(found.timeline.changes) == 8


async def test_a_run_that_is_awaited_has_tables_with_offsets_phases_and_groups() -> None:
    found = await run(TOPOLOGY, duration=paced(3), name="awaited", out="elsewhere")
    assert isinstance(found, RecordedRun)
    assert (found.name, found.status, str(found.run_dir)) == ("awaited", "done", "elsewhere")
    system = found.table("system").collect()
    assert set(system["group"].unique()) == {"sensor", "phone"}
    assert set(system["phase"].unique()) <= {"run", ""}
    kinds = [each.kind for each in found.events("run.*")]
    assert kinds == ["run.t0", "run.phase", "run.stopping", "run.certified", "run.done"]
    assert "fidelity" in found._repr_html_()


async def test_waits_end_with_the_timeout_the_run_and_what_fails_it() -> None:
    async with Emulation(TOPOLOGY, Scenario(duration=paced(4)), name="waits") as emulation:
        with pytest.raises(NotInTimeError, match=r"phone\.errors > 5: not within 0.2: it was never reported"):
            await emulation.wait_for(metric("phone.errors") > 5, timeout=0.2)
        with pytest.raises(InputError, match="the scenario ends at"):
            await emulation.at("1h")
        with pytest.raises(InputError, match=r"no kind of event is like 'ap\.x'"):
            await anext(emulation.events("ap.x"))
        await emulation.at(paced(1))
        with pytest.raises(NotRunningError, match="the run ended before"):
            await emulation.wait_for(metric("phone.errors") > 5)
        await emulation.done()
        with pytest.raises(NotRunningError, match="the run is over"):
            await emulation.set(FIELD, latency="1s")
    assert emulation.result.status == "done"
    with pytest.raises(InputError, match="it has been run already"):
        async with emulation:
            pass


async def test_a_run_that_can_not_begin_says_why_before_the_block_is_entered(in_folder: Path) -> None:
    (in_folder / "taken").mkdir()
    (in_folder / "taken" / "other.txt").touch()
    entered = False
    with pytest.raises(InputError, match="taken"):
        async with Emulation(TOPOLOGY, name="begins", out="taken") as emulation:
            entered = True
            await emulation.ready()
    assert not entered


async def test_what_fails_the_run_is_raised_where_it_is_awaited() -> None:
    broken = Topology(
        [Node("sensor", command=["false"], networks=[FIELD]), Node("b", command=["sleep", "9"])]
    )
    emulation = Emulation(broken, name="broken")
    with pytest.raises(AppStartError):
        async with emulation:
            await emulation.ready()
            await emulation.done()
    assert emulation.result.status == "failed"
    unknown = Topology([Node("sensor", NodeApp("nowhere.py:f"), networks=[FIELD])])
    with pytest.raises(InputError, match=r"nowhere\.py"):
        Emulation(unknown)


@pytest.mark.parametrize("after", ["entering", "ready", "leaving"])
async def test_a_cancelled_emulation_leaves_nothing(in_folder: Path, after: str) -> None:
    reached = asyncio.Event()

    async def work() -> None:
        async with Emulation(TOPOLOGY, name="cancelled") as emulation:
            if after == "entering":
                reached.set()
            await emulation.ready()
            if after == "ready":
                reached.set()
                await asyncio.Event().wait()
            reached.set()

    working = asyncio.create_task(work())
    await reached.wait()
    if after == "leaving":
        await asyncio.sleep(0.05)
    working.cancel()
    await asyncio.wait([working])
    assert working.cancelled()
    assert processes_printing_into(in_folder) == []


async def test_an_exception_in_the_block_passes_and_leaves_nothing(in_folder: Path) -> None:
    emulation = Emulation(TOPOLOGY, name="raising")
    with pytest.raises(ZeroDivisionError):
        async with emulation:
            await emulation.ready()
            raise ZeroDivisionError
    assert emulation.result.status == "interrupted"
    assert processes_printing_into(in_folder) == []


async def test_two_emulations_run_side_by_side() -> None:
    async with Emulation(TOPOLOGY, name="one") as one, Emulation(TOPOLOGY, name="two") as two:
        await asyncio.gather(one.ready(), two.ready())
        await asyncio.gather(one.set(FIELD, latency="30ms"), two.set(FIELD, latency="40ms"))
    for emulation, latency_s in ((one, 0.03), (two, 0.04)):
        (change,) = emulation.timeline.changes
        assert change.after["latency_s"] == latency_s
    assert one.result.run_dir != two.result.run_dir


SCRIPT = """
import asyncio
from wotemu import Emulation, Network, Node, Topology

async def main():
    topology = Topology([Node("a", command=["sleep", "600"], networks=[Network("field")])])
    async with Emulation(topology, name="signalled") as emulation:
        await emulation.ready()
        print("ready", flush=True)
        await emulation.done()

asyncio.run(main())
"""


async def test_ctrl_c_in_a_script_ends_the_run_and_leaves_nothing(in_folder: Path) -> None:
    script = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SCRIPT),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # Shells have what they start in the background ignore it, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )
    assert script.stdout is not None
    assert script.stderr is not None
    assert await script.stdout.readline() == b"ready\n"
    script.send_signal(signal.SIGINT)
    said = await script.stderr.read()
    assert (await script.wait(), said.splitlines()[-1:]) == (-signal.SIGINT, [b"KeyboardInterrupt"])
    assert processes_printing_into(in_folder) == []
    assert "signalled" not in control_names()


async def test_a_blocking_run_needs_a_thread_without_a_loop() -> None:
    with pytest.raises(InputError, match="an event loop runs already"):
        run_sync(TOPOLOGY)
    found = await asyncio.to_thread(run_sync, TOPOLOGY, Scenario(duration="1s"), name="blocking")
    assert found.status == "done"
