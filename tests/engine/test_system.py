"""CPU and memory of a node's app, by the kernel's own account where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from wotemu_runtime.agent import process_tree, resource_usage


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


def test_the_descendants_of_a_process_are_found_whatever_started_them(tmp_path: Path) -> None:
    """A child, and a child of another thread than the first."""
    script = """
import os, subprocess, sys, threading, time
def start(*words):
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", *words]).pid
print(start("child"), flush=True)
def in_thread():
    print(start("of a thread"), flush=True)
    time.sleep(60)
threading.Thread(target=in_thread, daemon=True).start()
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        try:
            children = {int(first.stdout.readline()), int(first.stdout.readline())}
            found = process_tree.descendants(first.pid)
            assert found.keys() == children
            assert all(process.parent == first.pid and process.is_alive for process in found.values())
            assert process_tree.descendants(os.getpid()).keys() >= children | {first.pid}
        finally:
            for process in (*psutil.Process(first.pid).children(), psutil.Process(first.pid)):
                process.kill()
    assert process_tree.descendants(first.pid) == {}, "one that has ended has none"
    assert (resource_usage.resident_bytes(first.pid), resource_usage.resident_bytes(os.getpid()) > 1e6) == (
        0,
        True,
    )


def test_without_the_kernels_lists_of_children_all_processes_are_looked_at(tmp_path: Path) -> None:
    for pid, parent in ((1, 0), (5, 1), (6, 5), (7, 6), (8, 1)):
        fields = [str(parent), *["0"] * 9, "100", "50", *["0"] * 4, "1"]
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a b) S {' '.join(fields)}")
    found = process_tree.descendants(5, tmp_path)
    assert found.keys() == {6, 7}
    assert found[6].cpu_s == 150 / os.sysconf("SC_CLK_TCK")


def test_time_that_an_ended_process_has_used_is_not_taken_back() -> None:
    usages = iter(({1: 2.0, 2: 1.0}, {1: 2.5}, {1: 3.0, 3: 0.5}))

    def processes() -> dict[int, process_tree.Process]:
        return {pid: process_tree.Process(1, "S", cpu_s=cpu_s) for pid, cpu_s in next(usages).items()}

    sampler = resource_usage.Sampler("node", (), None, None, processes)
    assert sampler._usage().cpu_s == 3.0
    assert sampler._usage().cpu_s == 3.5
    usage = sampler._usage()
    assert (usage.cpu_s, usage.processes) == (4.5, 2)
