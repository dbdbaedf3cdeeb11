"""Limits of CPU and memory on control groups of version 2, as current distributions have them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import Require
from tests.engine.conftest import PACE
from wotemu_runtime.engines.local.cgroups import delegation
from wotemu_runtime.engines.local.cgroups.limits import Limits, enforceable

TOPOLOGY = """
import sys
from wotemu.scenario import Scenario
from wotemu.topology.models import Network, Node, NodeResources, Topology

net = Network("net")
burn = [sys.executable, "-c", "while True: pass"]
hog = [sys.executable, "-uc", "print('up'); b = bytes(range(256)) * (2 << 20); print('held')"]

def topology():
    return Topology([
        Node("burn", command=burn, networks=[net], resources=NodeResources(cpu_limit=0.2)),
        Node("hog", command=hog, networks=[net], resources=NodeResources(mem_limit="64M")),
        Node("both", command=burn, networks=[net], resources=NodeResources(cpu_limit=0.1, mem_limit="128M")),
    ])

def scenario():
    return Scenario(duration="DURATIONs")
"""
SCOPE = """#!/bin/sh
# As systemd-run --scope: a new group, in which the command then runs.
while [ "$1" != -- ]; do case $1 in --unit=*) unit=${1#--unit=} ;; esac; shift; done; shift
echo '+cpu +memory +pids' > /sys/fs/cgroup/cgroup.subtree_control
mkdir -p "/sys/fs/cgroup/fake.slice/$unit"
echo '+cpu +memory +pids' > /sys/fs/cgroup/fake.slice/cgroup.subtree_control
echo $$ > "/sys/fs/cgroup/fake.slice/$unit/cgroup.procs"
exec "$@"
"""
CHILD = "mkdir -p /sys/fs/cgroup/session && echo $$ > /sys/fs/cgroup/session/cgroup.procs"


@pytest.fixture
def cgroup2(require: Require) -> Iterator[None]:
    """This machine's control groups are version 2, and nothing of a run is left in them."""
    controllers = delegation.ROOT / "cgroup.controllers"
    there = controllers.read_text().split() if controllers.exists() else []
    able = os.geteuid() == 0 and {"cpu", "memory", "pids"} <= {*there}
    require(able, "there is no version 2 control group that root may use")
    yield
    scopes = delegation.ROOT / "fake.slice"  # those of systemd's are its to remove
    assert not [path for path in delegation.ROOT.rglob("wotemu-*/") if path.parent != scopes]


def run(folder: Path, before: str) -> Path:
    """Run the topology behind a line of shell; the run's directory."""
    (folder / "limits.py").write_text(TOPOLOGY.replace("DURATION", f"{8 * PACE:g}"))
    command = [sys.executable, "-m", "wotemu.cli", "run", "limits.py", "--shaper", "tun", "--out", "out"]
    done = subprocess.run(
        ["sh", "-c", f"{before}; exec {shlex.join(command)}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=80 * PACE,
    )
    assert done.returncode == 0, done.stderr
    return folder / "out"


@pytest.mark.cgroup2
@pytest.mark.namespaces
@pytest.mark.parametrize("where", ["root's group", "a group below", "systemd's scope"])
def test_limits_hold_and_what_breaks_them_is_reported(cgroup2: None, tmp_path: Path, where: str) -> None:
    before = ":" if where == "root's group" else CHILD
    if where == "systemd's scope":
        (tmp_path / "systemd-run").write_text(SCOPE)
        (tmp_path / "systemd-run").chmod(0o755)
        before += f"; mkdir -p {delegation.SYSTEMD}; PATH={tmp_path}:$PATH"
    try:
        out = run(tmp_path, before)
    finally:
        if where == "systemd's scope":
            delegation.SYSTEMD.rmdir()
    assert json.loads((out / "manifest.json").read_text())["unenforced"] == []
    samples = pl.read_parquet(out / "tables" / "system.parquet")
    for node, percent in (("burn", 20.0), ("both", 10.0)):
        rows = samples.filter(pl.col("node") == node)
        assert set(rows["cpu_limit_percent"]) == {percent}
        # The kernel's own account: never above but for a period in a second's sample, below while it starts.
        assert 0.7 * percent <= rows["cpu_percent"].median() <= 1.1 * percent + 1  # type: ignore[operator]
    hog = samples.filter(pl.col("node") == "hog")
    assert set(hog["mem_limit_bytes"]) == {64 << 20}
    assert hog["mem_bytes"].max() <= 64 << 20  # type: ignore[operator]
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    assert ("app.out_of_memory", "agent:hog") in {(event["kind"], event["source"]) for event in events}
    assert set((out / "logs" / "hog.log").read_text().split()) == {"up"}


def tree(root: Path, groups: dict[str, tuple[str, str, str]]) -> None:
    """Fake groups by path: the controllers that each has and gives, and the processes in it."""
    for name, (controllers, given, processes) in groups.items():
        path = root / name
        path.mkdir(parents=True, exist_ok=True)
        (path / "cgroup.controllers").write_text(controllers)
        (path / "cgroup.subtree_control").write_text(given)
        (path / "cgroup.procs").write_text(processes)
        if name:
            (path / "cgroup.type").write_text("domain")


@pytest.fixture
def fake_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(delegation, "ROOT", tmp_path)
    monkeypatch.setattr(delegation, "SYSTEMD", tmp_path / "none")
    monkeypatch.setattr(delegation, "_make", lambda group: True)
    monkeypatch.setattr(delegation, "current", lambda: tmp_path / "a" / "b")
    return tmp_path


def test_a_group_is_made_below_the_nearest_that_gives_what_is_wanted(fake_root: Path) -> None:
    both = "cpu memory"
    tree(fake_root, {"": (both, "", "1"), "a": (both, both, ""), "a/b": (both, "", "2")})
    group = delegation.find("wotemu-x", ["cpu", "memory"])
    assert group == delegation.DelegatedGroup(fake_root / "a" / "wotemu-x", frozenset({"cpu", "memory"}))


def test_no_controller_is_asked_of_a_group_that_has_processes(fake_root: Path) -> None:
    """It would give cpu, but nothing could join the groups below it: their apps would not start."""
    tree(fake_root, {"": ("", "", "1"), "a": ("cpu memory", "", "7"), "a/b": ("", "", "8")})
    assert delegation.find("wotemu-x", ["cpu", "memory"]) is None
    assert (fake_root / "a" / "cgroup.subtree_control").read_text() == ""


def test_what_no_group_gives_is_named_and_the_rest_is_enforced(fake_root: Path) -> None:
    tree(fake_root, {"": ("memory", "memory", "1"), "a": ("memory", "", "2")})
    group = delegation.find("wotemu-x", ["cpu", "memory"])
    assert group == delegation.DelegatedGroup(fake_root / "wotemu-x", frozenset({"memory"}))
    enforced, missing = enforceable(Limits(0.5, 1000), group.controllers)
    assert enforced == Limits(None, 1000)
    assert [text.partition(":")[0] for text in missing] == ["its limit of CPU"]
