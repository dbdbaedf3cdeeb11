"""T0 waits for every role; what roles report of themselves completes the deployment."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.unit.coordination.run import ROLES, STREAMS, Run
from wotemu.errors import EmulationError, HostError
from wotemu.records import Event, to_row
from wotemu_runtime.bus import Origin, encode_batch, encode_origin
from wotemu_runtime.coordination.live_run import LiveRun
from wotemu_runtime.coordination.readiness import (
    READY_DEADLINE_PER_ROLE_S,
    READY_DEADLINE_S,
    all_ready,
    found_limits,
    learn_places,
)
from wotemu_runtime.coordination.watches import take_news
from wotemu_runtime.engines.engine import Deployed, NotRunning
from wotemu_runtime.roles.address_stream import AddressStream, RoleAddress
from wotemu_runtime.roles.machine_limits import MachineLimits
from wotemu_runtime.roles.role import Role
from wotemu_runtime.testing import ADDRESS, on_jumping_clock


def deployed(shaper: str = "") -> Deployed:
    return Deployed(bus=ADDRESS, shaper=shaper, roles=frozenset(ROLES), addresses={}, unenforced=())


def say_ready(run: LiveRun, role: str, shaper: str = "netem", **facts: Any) -> None:
    """What the recorder does with a role's entry."""
    data = {"host": "edge", "shaper": shaper, "scheduling": "real-time", **facts}
    event = Event(run.now(), "role.ready", role, "", data)
    entry = {**encode_batch(Event.TABLE, [to_row(event)]), **encode_origin(Origin(role, run.now(), 0))}
    run.recorder._take(entry)


@on_jumping_clock
async def test_all_roles_have_to_be_ready(tmp_path: Path) -> None:
    run, loop = Run(tmp_path).live, asyncio.get_running_loop()
    for after_s, role in enumerate(sorted(ROLES), 10):
        loop.call_later(after_s, say_ready, run, role)
    assert await all_ready(run, deployed())
    assert loop.time() == pytest.approx(9 + len(ROLES))


@on_jumping_clock
async def test_a_role_that_is_lost_again_is_not_ready(tmp_path: Path) -> None:
    run, loop = Run(tmp_path).live, asyncio.get_running_loop()
    for role in ROLES:
        say_ready(run, role)
    run.recorder.role_lost("agent:cam-1", "its machine is gone", "edge")
    loop.call_later(20, say_ready, run, "agent:cam-1")
    assert await all_ready(run, deployed())
    assert loop.time() == pytest.approx(20)


@on_jumping_clock
async def test_who_is_not_ready_in_time_is_named(tmp_path: Path) -> None:
    run = Run(tmp_path).live
    say_ready(run, "agent:cam-1")
    with pytest.raises(EmulationError, match=r"not ready after .* s: agent:cam-2, gateway:field"):
        await all_ready(run, deployed())
    deadline_s = READY_DEADLINE_S + READY_DEADLINE_PER_ROLE_S * len(ROLES)
    assert asyncio.get_running_loop().time() == pytest.approx(deadline_s)


@on_jumping_clock
async def test_what_does_not_run_is_named_before_the_roles_that_wait_for_it(tmp_path: Path) -> None:
    run = Run(tmp_path).live
    take_news(run, NotRunning("agent:cam-1", "its task is starting"))
    take_news(run, NotRunning("service:db", "its last task failed: task: non-zero exit (1)"))
    take_news(run, NotRunning("agent:cam-1", ""))
    with pytest.raises(EmulationError, match="service db: its last task failed: task: non-zero") as found:
        await all_ready(run, deployed())
    assert "agent:cam-1, agent:cam-2, gateway:field" in str(found.value.hint)


@on_jumping_clock
async def test_a_stop_and_a_failure_end_the_wait(tmp_path: Path) -> None:
    stopped, failed = Run(tmp_path / "stopped").live, Run(tmp_path / "failed").live
    stopped.control.stop(at_once=False)
    assert not await all_ready(stopped, deployed())
    failed.control.fail(HostError("no sch_netem"))
    with pytest.raises(HostError):
        await all_ready(failed, deployed())


@on_jumping_clock
async def test_addresses_and_shapers_are_learnt_from_the_roles(tmp_path: Path) -> None:
    case = Run(tmp_path)
    run, client = case.live, case.bus.client
    await AddressStream(client, STREAMS).announce(RoleAddress("agent:cam-1", "field", "10.0.0.2", "edge"))
    say_ready(run, "gateway:field", "netem")
    run.outcome.deployed = deployed()
    await learn_places(run, client)
    assert (run.outcome.deployed.shaper, run.outcome.scheduling) == ("netem", "real-time")
    assert run.outcome.deployed.addresses == {"cam-1": {"field": "10.0.0.2"}}


@on_jumping_clock
async def test_what_the_engine_knows_stays_and_a_bus_that_is_away_changes_nothing(tmp_path: Path) -> None:
    case = Run(tmp_path)
    run = case.live
    say_ready(run, "gateway:field", "netem")
    run.outcome.deployed = deployed("tun")
    await learn_places(run, case.bus.client)
    assert run.outcome.deployed.shaper == "tun"
    case.bus.is_away = True
    await learn_places(run, case.bus.client)
    assert run.outcome.deployed == deployed("tun")


@on_jumping_clock
async def test_what_limiters_say_is_said_once_a_node_and_machine(tmp_path: Path) -> None:
    """And devices that have more cores together than their machine are not enforced."""
    case = Run(tmp_path)
    run = case.live
    run.outcome.deployed = attrs.evolve(deployed(), unenforced=("the engine's",))
    device = attrs.asdict(MachineLimits(cpu=0.7, device="as a Pi", missing=("half of it",), cores=1))
    say_ready(run, "agent:cam-1", limits=device)
    say_ready(run, "agent:cam-2", limits=device, host="roof")
    for _ in range(2):
        await learn_places(run, case.bus.client)
    assert run.outcome.deployed.devices == ("cam on edge: as a Pi", "cam on roof: as a Pi")
    assert run.outcome.deployed.unenforced == (
        "the engine's",
        "cam on edge: half of it",
        "cam on roof: half of it",
    )
    _, unenforced = found_limits(
        run.plan, {role: {**device, "host": "edge"} for role in ("agent:cam-1", "agent:cam-2")}
    )
    assert unenforced[-1].startswith("edge: devices: together they have 1.4 cores, and this machine has 1")


@on_jumping_clock
async def test_a_nodes_share_is_reported_before_t0(tmp_path: Path) -> None:
    async def on_a_device(role: Role, group: asyncio.TaskGroup) -> None:
        role.ready(limits=attrs.asdict(MachineLimits(cpu=0.7, device="as a Pi", missing=("half of it",))))
        await role.stopping.wait()

    case = Run(tmp_path, plays={"agent:cam-1": on_a_device}, duration="5s")
    await case.coordinator.run()
    kinds = [event.kind for event in case.told]
    (speed,) = (event for event in case.told if event.kind == "device.speed")
    (unenforced,) = (event for event in case.told if event.kind == "limit.unenforced")
    assert speed.message.startswith("cam on ")
    assert unenforced.message.endswith("half of it")
    assert kinds.index("device.speed") < kinds.index("limit.unenforced") < kinds.index("run.t0")
