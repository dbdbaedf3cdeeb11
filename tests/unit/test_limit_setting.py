"""Where a machine has a limiter, an agent answers a change of limits once its control groups show it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from wotemu.errors import EmulationError
from wotemu_runtime.agent.control_group import NO_MEMORY_LIMIT, bandwidth_us, limits_hold
from wotemu_runtime.agent.limit_setting import DEADLINE_S, MachinesLimiter, NoLimits
from wotemu_runtime.testing import on_jumping_clock

MIB = 1 << 20


def set_1(group: Path, cpu: float | None, mem_bytes: int | None) -> None:
    """What the kernel shows of groups of version 1."""
    quota, period = (-1, 100_000) if cpu is None else bandwidth_us(cpu)
    (group / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (group / "cpu.cfs_period_us").write_text(f"{period}\n")
    memory = NO_MEMORY_LIMIT if mem_bytes is None else mem_bytes // 4096 * 4096
    (group / "memory.limit_in_bytes").write_text(f"{memory}\n")


def set_2(group: Path, cpu: float | None, mem_bytes: int | None) -> None:
    """What the kernel shows of groups of version 2."""
    quota, period = ("max", 100_000) if cpu is None else bandwidth_us(cpu)
    (group / "cpu.max").write_text(f"{quota} {period}\n")
    memory = "max" if mem_bytes is None else mem_bytes // 4096 * 4096
    (group / "memory.max").write_text(f"{memory}\n")


@pytest.mark.parametrize("version", [set_1, set_2])
@pytest.mark.parametrize("limits", [(None, None), (0.2, None), (0.02, 64 * MIB + 5), (None, 64 * MIB)])
def test_limits_hold_that_the_kernel_shows(
    tmp_path: Path, version: type, limits: tuple[float | None, int | None]
) -> None:
    version(tmp_path, *limits)
    assert limits_hold([str(tmp_path)], *limits)
    for other in ((0.3, limits[1]), (limits[0], 32 * MIB)):
        assert not limits_hold([str(tmp_path)], *other)


def test_a_container_that_does_not_see_its_groups_says_so(tmp_path: Path) -> None:
    with pytest.raises(EmulationError, match="no control group"):
        limits_hold([str(tmp_path)], None, None)


@on_jumping_clock
async def test_an_app_waits_for_its_limits_as_long_as_it_takes(tmp_path: Path) -> None:
    set_1(tmp_path, None, None)
    beginning = asyncio.create_task(MachinesLimiter([str(tmp_path)]).begin([(0.5, None), (0.1, 64 * MIB)]))
    await asyncio.sleep(100)
    set_1(tmp_path, 0.5, None)
    await asyncio.sleep(1)
    assert not beginning.done(), "what holds by now is the last of them"
    set_1(tmp_path, 0.1, 64 * MIB)
    await asyncio.sleep(1)
    assert beginning.done()


@on_jumping_clock
async def test_a_change_has_taken_hold_when_the_kernel_shows_it_and_else_failed(tmp_path: Path) -> None:
    loop, setting = asyncio.get_running_loop(), MachinesLimiter([str(tmp_path)])
    set_1(tmp_path, None, None)
    loop.call_later(0.03, set_1, tmp_path, 0.1, None)
    await setting.set(0.1, None)
    assert 0.03 <= loop.time() < 0.035
    with pytest.raises(EmulationError, match="Docker has not set it"):
        await setting.set(0.2, None)
    assert loop.time() == pytest.approx(0.03 + DEADLINE_S, abs=0.1)
    with pytest.raises(EmulationError, match="nothing here changes limits") as caught:
        await NoLimits().set(0.2, None)
    assert "device or a .limit" in str(caught.value.hint)
