"""CPU and memory of a node's app, by the kernel's own account where there is one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import pytest

from wotemu_runtime.agent import resource_usage


@pytest.fixture
def version2(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n")
    (tmp_path / "memory.stat").write_text("anon 4096\nfile 999999\n")
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    return (str(tmp_path),)


@pytest.fixture
def version1(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "cpuacct.usage").write_text("2500000000\n")
    (tmp_path / "memory.stat").write_text("cache 999999\nrss 1\ntotal_rss 4096\n")
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    return (str(tmp_path),)


@pytest.mark.parametrize("version", ["version1", "version2"])
def test_both_versions_of_control_groups_are_read(version: str, request: pytest.FixtureRequest) -> None:
    groups = request.getfixturevalue(version)
    assert resource_usage.group_cpu_s(groups) == 2.5
    assert resource_usage.group_mem_bytes(groups) == 4096, "without the page cache"
    assert resource_usage.out_of_memory_kills(groups) == 2


def test_without_control_groups_there_is_no_such_account() -> None:
    assert resource_usage.group_cpu_s(()) is None
    assert resource_usage.group_mem_bytes(()) is None
    assert resource_usage.out_of_memory_kills(()) == 0


def test_the_first_sample_has_nothing_to_compare_with() -> None:
    sampler = resource_usage.Sampler("node", (), 0.5, 1024, resource_usage.app_processes)
    assert sampler.sample(1.0) is None
    sample = sampler.sample(2.0)
    assert sample is not None
    assert (sample.t, sample.node, sample.cpu_limit_percent, sample.mem_limit_bytes) == (
        2.0,
        "node",
        50.0,
        1024,
    )
    assert sample.cpu_percent >= 0


def test_a_process_that_ends_while_one_looks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time between the list of processes and a look at one of them."""
    with subprocess.Popen(["true"]) as ended:
        pass
    monkeypatch.setattr(psutil, "pids", lambda: [1, os.getppid(), ended.pid])
    monkeypatch.setattr(psutil, "pid_exists", lambda _: True)
    assert [process.pid for process in resource_usage.app_processes()] == [os.getppid()]
