"""The share of a machine that is as fast as a device, and what can't be enforced of it."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from wotemu.scenario import Scenario, resolve
from wotemu.topology.devices import DEVICES
from wotemu.topology.models import Network, Node, NodeResources, Topology
from wotemu_runtime.agent.control_group import bandwidth_us
from wotemu_runtime.calibration.rating import Rating
from wotemu_runtime.calibration.shares import share_of
from wotemu_runtime.engines.local.cgroups.limits import Limits, Machine, plan_limits, wanted_limits
from wotemu_runtime.planning.planner import make_plan

RATING = Rating(mips=4000, tool="7-zip 26.02", error=0.05, date="2026-11-26", cpu_model="AMD EPYC")
MACHINE = Machine(cpu_speed_hz=3e9, cores=4, mem_bytes=4 << 30, rating=RATING)
FIELD = Network("field")


@pytest.mark.parametrize("name", DEVICES)
def test_one_thread_is_as_fast_as_the_devices(name: str) -> None:
    device = DEVICES[name]
    share = share_of(device, 1, RATING, cores=4)
    assert share.cores == pytest.approx(min(1.0, device.single_mips / 4000))
    assert bool(share.missing) == (device.single_mips > 4000)
    assert device.title in share.says and "4,000 MIPS by 7-zip 26.02, 2026-11-26" in share.says


def test_all_threads_are_as_fast_as_the_devices_and_one_alone_is_too_fast() -> None:
    board = DEVICES["RASPBERRY_PI_3B_PLUS"]
    assert share_of(board, 4, RATING, cores=4).cores == pytest.approx(3670 / 4000)
    two = share_of(board, 2, RATING, cores=4)
    assert two.cores == pytest.approx((1046 + (3670 - 1046) / 3) / 4000)
    assert two.missing == (
        "device RASPBERRY_PI_3B_PLUS: one busy thread alone is 1.8 times as fast as the device's",
    )


def test_what_a_machine_is_too_slow_for_is_said() -> None:
    slow = attrs.evolve(RATING, mips=1000.0)
    one = share_of(DEVICES["RASPBERRY_PI_5"], 1, slow, cores=4)
    assert one.cores == 1.0
    assert one.missing == ("device RASPBERRY_PI_5: a core of this machine has 31% of its speed",)
    few = share_of(DEVICES["INTEL_I3_N305"], 8, attrs.evolve(RATING, mips=4400.0), cores=2)
    assert few.cores == 2.0
    assert "8 threads have 44% of its speed on 2 cores here" in few.missing[0]


def test_a_plan_says_what_each_device_is_here() -> None:
    nodes = [
        Node("pi", command=["true"], networks=[FIELD], resources=NodeResources.RASPBERRY_PI_4B, scale=10),
        Node("zero", command=["true"], networks=[FIELD], resources=NodeResources(device="RASPBERRY_PI_ZERO")),
    ]
    topology = Topology(nodes)
    timeline, _ = resolve(topology, Scenario())
    plan = make_plan(topology, timeline, stack="t", root=Path("/"))
    limits = plan_limits(plan, MACHINE)
    assert [text.partition(":")[0] for text in limits.devices] == ["pi", "zero"]
    assert limits.by_replica["zero"] == Limits(455 / 4000, 512 << 20)
    assert limits.by_replica["pi-10"] == Limits(1817.5 / 4000, 8 << 30)
    assert [text.partition(":")[0] for text in limits.unenforced] == ["pi", "devices"]
    assert "this machine has 4GiB" in limits.unenforced[0]
    assert "together they have 4.7 cores, and this machine has 4" in limits.unenforced[1]


def test_an_unmeasured_machine_says_what_to_do() -> None:
    limits, missing = wanted_limits(NodeResources.INTEL_N100, attrs.evolve(MACHINE, rating=None))
    assert not limits
    assert missing == ["device INTEL_N100: this machine is not measured: run wotemu calibrate"]


def test_less_than_the_kernels_least_share_is_said() -> None:
    limits, missing = wanted_limits(NodeResources(cpu_limit=0.0001), MACHINE)
    assert limits.cpu == 0.001
    assert missing == ["0.0001 cores: the kernel's least is 0.001"]


@pytest.mark.parametrize(
    ("cores", "quota_us", "period_us"),
    [
        (0.5, 5000, 10_000),
        (3.67, 36_700, 10_000),
        (0.1, 1000, 10_000),
        (0.02, 1000, 50_000),
        (1e-3, 1000, 1_000_000),
    ],
)
def test_quotas_have_short_periods_and_are_what_the_kernel_takes(
    cores: float, quota_us: int, period_us: int
) -> None:
    assert bandwidth_us(cores) == (quota_us, period_us)
