"""The monitor of a sandbox that is started before it is known what to run."""

from __future__ import annotations

from pathlib import Path

from wotemu_runtime.engines.local.monitor import Monitor, early_monitor
from wotemu_runtime.engines.local.sandbox_process import SandboxProcess


def has_ended(monitor: Monitor) -> bool:
    return monitor.process.poll() is not None


def test_one_that_no_run_has_used_is_ended() -> None:
    with early_monitor("local", "tun") as monitor:
        assert monitor is not None
        assert not has_ended(monitor)
    assert has_ended(monitor)


def test_a_swarm_needs_none() -> None:
    with early_monitor("swarm", "auto") as monitor:
        assert monitor is None


def test_one_that_does_not_fit_is_ended_and_another_one_started(tmp_path: Path) -> None:
    """It was started outside of the scope that the limits need, or with another shaper."""
    for command, shaper, fits in (((), "tun", True), (("systemd-run",), "tun", False), ((), "auto", False)):
        with early_monitor("local", "tun") as monitor:
            assert monitor is not None
            taken = SandboxProcess(tmp_path / "log", monitor)._take_early(command, shaper)
            assert (taken is monitor, has_ended(monitor)) == (fits, not fits)


async def test_a_sandbox_that_never_starts_ends_it(tmp_path: Path) -> None:
    with early_monitor("local", "tun") as monitor:
        assert monitor is not None
        await SandboxProcess(tmp_path / "log", monitor).remove()
        assert has_ended(monitor)
