"""CPU and memory of a node's app, by the kernel's own account where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from wotemu.records import Processes, System
from wotemu_runtime.agent import process_figures, process_tree, resource_usage


@pytest.fixture
def version2(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n")
    (tmp_path / "memory.stat").write_text("anon 4096\nfile 999999\n")
    (tmp_path / "memory.peak").write_text("8192\n")
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    return (str(tmp_path),)


@pytest.fixture
def version1(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "cpuacct.usage").write_text("2500000000\n")
    (tmp_path / "memory.stat").write_text("cache 999999\nrss 1\ntotal_rss 4096\n")
    (tmp_path / "memory.max_usage_in_bytes").write_text("8192\n")
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    return (str(tmp_path),)


@pytest.mark.parametrize("version", ["version1", "version2"])
def test_both_versions_of_control_groups_are_read(version: str, request: pytest.FixtureRequest) -> None:
    groups = request.getfixturevalue(version)
    assert resource_usage.group_cpu_s(groups) == 2.5
    assert resource_usage.group_mem_bytes(groups) == 4096, "without the page cache"
    assert resource_usage.group_peak_bytes(groups) == 8192
    assert resource_usage.out_of_memory_kills(groups) == 2


def test_without_control_groups_there_is_no_such_account() -> None:
    assert resource_usage.group_cpu_s(()) is None
    assert resource_usage.group_mem_bytes(()) is None
    assert resource_usage.out_of_memory_kills(()) == 0


def test_the_first_sample_has_nothing_to_compare_with() -> None:
    sampler = resource_usage.Sampler("node", (), 0.5, 1024, resource_usage.app_processes)
    assert sampler.sample(1.0) == []
    sample = sampler.sample(2.0)[0]
    assert isinstance(sample, System)
    assert (sample.t, sample.node, sample.cpu_limit_percent, sample.mem_limit_bytes) == (
        2.0,
        "node",
        50.0,
        1024,
    )
    assert sample.cpu_percent >= 0


def test_a_busy_process_has_all_figures_to_the_microsecond(tmp_path: Path) -> None:
    """Its CPU time is no whole tick; what it wrote, its threads and its files are there."""
    script = """
import os, sys, threading, time
def work():
    until = time.process_time() + 0.0533
    while time.process_time() < until: pass
sys.stdin.readline()
held = [open(sys.argv[1] + str(n), "wb") for n in range(20)]
held[0].write(b"x" * 300_000); held[0].flush(); os.fsync(held[0].fileno())
thread = threading.Thread(target=sys.stdin.readline); thread.start()
work()
print("done", flush=True)
thread.join()
"""
    argv = [sys.executable, "-c", script, str(tmp_path / "held")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdin is not None and first.stdout is not None
        sampler = resource_usage.Sampler(
            "node", (), None, None, lambda: {first.pid: process_tree.snapshot()[first.pid]}
        )
        assert sampler.sample(1.0) == []
        first.stdin.write("go\n")
        first.stdin.flush()
        assert first.stdout.readline() == "done\n"
        (sample,) = sampler.sample(2.0)
        first.stdin.write("end\n")
    assert isinstance(sample, System)
    assert sample.cpu_percent > 0
    assert process_tree.cpu_time_s(os.getpid()) == pytest.approx(time.process_time(), abs=0.05)
    assert sample.threads == 2
    assert sample.open_files is not None and sample.open_files >= 23
    assert sample.mem_peak_bytes is not None and sample.mem_peak_bytes >= sample.mem_bytes
    assert sample.written_bytes is None or sample.written_bytes >= 0
    assert (sample.throttled, sample.retransmitted) == (None, None)


def test_the_last_sample_of_an_idle_node_has_all_figures() -> None:
    sampler = resource_usage.Sampler("node", (), None, None, dict)
    sampler.sample(1.0)
    (idle,), (last,) = sampler.sample(2.0), sampler.sample(3.0, is_last=True)
    assert isinstance(idle, System) and isinstance(last, System)
    assert (idle.open_files, last.open_files) == (None, 0)


def test_throttling_is_read_of_both_versions_of_control_groups(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("nr_periods 10\nnr_throttled 4\nthrottled_time 2500000000\n")
    assert resource_usage.throttled((str(tmp_path),)) == {"throttled_periods": 4, "throttled": 2.5}
    (tmp_path / "cpu.stat").write_text(
        "usage_usec 3\nnr_periods 10\nnr_throttled 4\nthrottled_usec 2500000\n"
    )
    assert resource_usage.throttled((str(tmp_path),)) == {"throttled_periods": 4, "throttled": 2.5}
    (tmp_path / "cpu.stat").write_text("usage_usec 3\n")
    assert resource_usage.throttled((str(tmp_path),)) == {}


def test_bytes_and_retransmissions_are_the_kernels_counters() -> None:
    head = "Inter-|   Receive\n face |bytes\n"
    counters = {"    lo": (500, 500), "  veth0": (100, 40), " v1": (1, 2)}
    lines = [f"{name}: {got} 1 0 0 0 0 0 0 {sent} 1 0 0\n" for name, (got, sent) in counters.items()]
    assert resource_usage.interface_bytes(head + "".join(lines)) == (101, 42)
    assert resource_usage.retransmitted("Ip: A\nIp: 1\nTcp: A RetransSegs\nTcp: 3 7\n") == 7
    assert resource_usage.retransmitted("Ip: A\nIp: 1\n") == 0


def test_the_busiest_processes_of_several_are_listed_with_harmless_names() -> None:
    looks = iter((0.0, 0.4))

    def processes() -> dict[int, process_tree.Process]:
        used_s = next(looks)
        return {
            pid: process_tree.Process(1, "R", cpu_s=used_s * pid, name=f"a\x1b[{pid}") for pid in range(1, 6)
        }

    sampler = resource_usage.Sampler("node", (), None, None, processes)
    sampler.sample(1.0)
    system, *listed = sampler.sample(2.0)
    assert [each.name for each in listed if isinstance(each, Processes)] == ["a?[5", "a?[4", "a?[3"]
    assert isinstance(system, System) and system.processes == 5


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
    assert (process_figures.resident_bytes(first.pid), process_figures.resident_bytes(os.getpid()) > 1e6) == (
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
