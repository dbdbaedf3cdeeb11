"""Plans that this machine can't hold are refused before anything starts, with what to do."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from unittest.mock import Mock

import pytest

from wotemu.errors import HostError
from wotemu.scenario import Scenario, resolve
from wotemu.topology.models import Network, Node, Topology
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.engines.local import machine_limits
from wotemu_runtime.engines.local.file_limit import raise_file_limit, set_file_limit
from wotemu_runtime.engines.local.machine_limits import Limit
from wotemu_runtime.engines.local.node_namespace import NodeNamespace
from wotemu_runtime.engines.local.plan_demand import (
    FILES,
    MEMORY,
    NAMESPACES,
    NEIGHBOURS,
    TASKS,
    Demand,
    Resource,
)
from wotemu_runtime.engines.local.zygote import Zygote
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.planner import make_plan
from wotemu_runtime.processes.channel import Channel
from wotemu_runtime.roles.assignment import Assignment


def plan_of(count: int, networks: int = 1) -> Plan:
    attached = [Network(f"n{i}") for i in range(networks)]
    topology = Topology([Node("node", command=["true"], networks=attached, scale=count)])
    timeline, _ = resolve(topology, Scenario())
    return make_plan(topology, timeline, stack="test", root=Path("/"))


def limit(resource: Resource, maximum: int, used: int = 0, name: str = "x.max") -> Limit:
    return Limit(resource, name, maximum, used, f"set {name}={{}}")


@pytest.mark.parametrize("resource", [MEMORY, TASKS, FILES, NEIGHBOURS, *NAMESPACES.values()])
def test_a_plan_may_use_all_that_is_free_of_a_limit_and_no_more(resource: Resource) -> None:
    demand = Demand.of_plan(plan_of(20))
    needed = demand.total(resource)
    machine_limits.check(demand, [limit(resource, needed + 7, used=7)])
    with pytest.raises(HostError) as caught:
        machine_limits.check(demand, [limit(resource, needed + 6, used=7)])
    assert caught.value.exit_code == 2
    assert "20 nodes need at least" in caught.value.message
    assert f"set x.max={needed + 7}" in (caught.value.hint or "")
    assert "use at most 19 nodes" in (caught.value.hint or "")


def test_the_message_has_the_limit_its_value_and_what_is_needed() -> None:
    demand = Demand(10, {TASKS: 5}, {TASKS: 2})
    with pytest.raises(HostError) as caught:
        machine_limits.check(demand, [limit(TASKS, 30, used=6, name="kernel.pid_max")])
    assert caught.value.message == (
        "10 nodes need at least 25 processes and threads, but kernel.pid_max is 30, and 6 are in use"
    )
    assert caught.value.hint == "set kernel.pid_max=31; or use at most 9 nodes"


def test_of_several_limits_the_tightest_is_named_and_all_have_a_remedy() -> None:
    demand = Demand.of_plan(plan_of(50))
    tight = Limit(TASKS, "kernel.pid_max", 40, 0, "sudo sysctl -w kernel.pid_max={}")
    loose = Limit(NAMESPACES["net"], "user.max_net_namespaces", 49, 0, "sudo sysctl -w user.x={}")
    with pytest.raises(HostError, match=r"kernel.pid_max is 40; 1 more limit is too low") as caught:
        machine_limits.check(demand, [loose, tight])
    assert "sudo sysctl -w kernel.pid_max=111 user.x=52; or use at most 14" in (caught.value.hint or "")


def test_memory_is_said_in_gigabytes() -> None:
    demand = Demand.of_nodes(1000, gateways=1, interfaces=1000)
    with pytest.raises(HostError, match=r"1000 nodes need at least 2.54 GB of memory, but m is 2.00 GB"):
        machine_limits.check(demand, [limit(MEMORY, 2_000_000_000, name="m")])


def test_a_machine_with_no_room_at_all_says_so() -> None:
    with pytest.raises(HostError) as caught:
        machine_limits.check(Demand.of_plan(plan_of(1)), [limit(TASKS, 5)])
    assert "room for no node at all" in (caught.value.hint or "")


def test_every_interface_of_a_node_is_a_file_until_its_gateway_has_it() -> None:
    assert Demand.of_plan(plan_of(100, networks=10)).total(FILES) >= 100 * 10


def test_a_network_with_more_members_than_a_bridge_has_ports_needs_the_tun_shaper() -> None:
    machine_limits.check_bridges(plan_of(1023))
    assert not machine_limits.crowded(plan_of(1023))
    with pytest.raises(HostError, match="1024 members; a bridge of this kernel has 1023 ports") as caught:
        machine_limits.check_bridges(plan_of(1024))
    assert "--shaper tun" in (caught.value.hint or "")


Machine = Callable[..., list[Limit]]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Reads the limits of a machine whose files are the ones given, by path below /proc or /sys/fs/cgroup."""
    defaults = {
        "proc/self/cgroup": "0::/",
        "proc/self/uid_map": "0 0 4294967295",
        "proc/self/status": "CapEff:\t0000000000000000",
        "proc/loadavg": "0.00 0.00 0.00 1/345 999",
    }

    def read(files: Mapping[str, str] | None = None, *, uid: int = 0, nproc: int = 100) -> list[Limit]:
        for name, text in {**defaults, **(files or {})}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        monkeypatch.setattr(os, "getuid", lambda: uid)
        monkeypatch.setattr(resource, "getrlimit", lambda _: (nproc, 4096))
        return machine_limits.read_limits(tmp_path / "proc", tmp_path / "cgroup")

    return read


def found(limits: list[Limit], name: str) -> tuple[int, int]:
    """Value and use of the one limit whose name ends so."""
    (each,) = (each for each in limits if each.name.endswith(name))
    return each.maximum, each.used


def test_all_tasks_of_the_machine_count_against_its_process_ids(machine: Machine) -> None:
    limits = machine({"proc/sys/kernel/pid_max": "32768", "proc/sys/kernel/threads-max": "9000"})
    assert found(limits, "kernel.pid_max") == (32768, 345)
    assert found(limits, "kernel.threads-max") == (9000, 345)


def test_an_ordinary_users_threads_count_against_its_process_limit(machine: Machine) -> None:
    files = {
        "proc/7/status": "Name: a\nUid:\t1000\t1000\t1000\t1000\nThreads:\t12",
        "proc/8/status": "Name: b\nUid:\t1000\t0\t0\t0\nThreads:\t1",
        "proc/9/status": "Name: c\nUid:\t0\t1000\t0\t0\nThreads:\t40",
    }
    assert found(machine(files, uid=1000), "(ulimit -u)") == (100, 13)


@pytest.mark.parametrize(
    ("uid", "uid_map", "capabilities", "limited"),
    [
        (0, "0 0 4294967295", "0", False),
        (0, "0 100000 65536", "0", True),  # root of a container is an ordinary user of its machine
        (1000, "0 0 4294967295", "0", True),
        (1000, "0 0 4294967295", "1000000", False),  # CAP_SYS_RESOURCE
        (0, "0 1000 1", "1ffffffffff", True),  # capabilities of a user namespace don't count
        (1000, "1000 0 1", "0", False),
    ],
)
def test_the_process_limit_holds_for_those_whom_the_kernel_does_not_exempt(
    machine: Machine, uid: int, uid_map: str, capabilities: str, limited: bool
) -> None:
    limits = machine({"proc/self/uid_map": uid_map, "proc/self/status": f"CapEff:\t{capabilities}"}, uid=uid)
    assert any("ulimit -u" in each.name for each in limits) is limited


@pytest.mark.parametrize(
    ("listing", "group"),
    [("0::/a/b", "cgroup/a/b"), ("8:pids:/a/b\n0::/", "cgroup/pids/a/b"), ("0::/host/only", "cgroup")],
    ids=["version 2", "version 1", "in a container"],
)
def test_the_pids_of_a_control_group_are_limited(machine: Machine, listing: str, group: str) -> None:
    files = {"proc/self/cgroup": listing, f"{group}/pids.max": "64\n", f"{group}/pids.current": "14\n"}
    assert found(machine(files), "pids.max") == (64, 14)


def test_an_ancestors_limit_counts_too_and_max_is_none(machine: Machine) -> None:
    files = {"proc/self/cgroup": "0::/a/b", "cgroup/a/pids.max": "99", "cgroup/a/b/pids.max": "max\n"}
    assert found(machine(files), "pids.max") == (99, 0)


@pytest.mark.parametrize(
    ("listing", "files"),
    [
        (
            "0::/a",
            {"memory.max": "1000", "memory.current": "700", "memory.stat": "anon 1\ninactive_file 500"},
        ),
        (
            "4:memory:/a",
            {
                "memory.limit_in_bytes": "1000",
                "memory.usage_in_bytes": "700",
                "memory.stat": "cache 2\ntotal_inactive_file 500",
            },
        ),
    ],
    ids=["version 2", "version 1"],
)
def test_memory_that_a_control_group_can_drop_is_free(
    machine: Machine, listing: str, files: dict[str, str]
) -> None:
    folder = "cgroup/a" if listing.startswith("0") else "cgroup/memory/a"
    limits = machine(
        {"proc/self/cgroup": listing, **{f"{folder}/{name}": text for name, text in files.items()}}
    )
    assert [(each.maximum, each.used) for each in limits if "/cgroup/" in each.name] == [(1000, 200)]


def test_namespaces_are_limited_by_kind(machine: Machine) -> None:
    limits = machine({f"proc/sys/user/max_{kind}_namespaces": "5" for kind in NAMESPACES})
    assert {each.resource for each in limits if each.name.startswith("user.")} == {*NAMESPACES.values()}


@pytest.mark.parametrize(("release", "limited"), [("4.19.0-1-amd64", True), ("6.1.0", False)])
def test_permanent_neighbours_count_on_old_kernels(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, release: str, limited: bool
) -> None:
    monkeypatch.setattr("platform.release", lambda: release)
    limits = machine({"proc/sys/net/ipv4/neigh/default/gc_thresh3": "1024"})
    assert any(each.name.endswith("gc_thresh3") for each in limits) is limited


def test_this_machines_own_limits_can_be_read() -> None:
    limits = machine_limits.read_limits()
    assert {MEMORY, TASKS} <= {each.resource for each in limits}
    assert all(each.maximum >= each.used >= 0 for each in limits)


@pytest.mark.parametrize(("hard", "raised"), [(4096, 4096), (resource.RLIM_INFINITY, 1599)])
def test_a_soft_limit_is_raised_and_an_app_gets_it_back(
    monkeypatch: pytest.MonkeyPatch, hard: int, raised: int
) -> None:
    limits = [(64, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    set_file_limit(raise_file_limit(1599))
    assert limits == [(64, hard), (raised, hard), (64, hard)]


def test_a_process_that_can_not_be_made_is_said_and_ends_the_deployment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = Channel.pair()
    refusal = BlockingIOError(11, "Resource temporarily unavailable")
    monkeypatch.setattr("wotemu_runtime.engines.local.zygote.fork", Mock(side_effect=refusal))
    # This process is in no sandbox: it must stay in its namespaces.
    monkeypatch.setattr("wotemu_runtime.engines.local.zygote.namespaces", Mock(CLONE_NEWPID=0))
    monkeypatch.setattr("wotemu_runtime.engines.local.node_namespace.make", Mock(return_value=(Mock(), [])))
    monkeypatch.setattr("wotemu_runtime.engines.local.zygote.freeze", lambda: None)
    request = {
        "op": "deploy",
        "file_limit": 64,
        "networks": [],
        "replicas": [
            {
                "namespace": NodeNamespace("a-7", (), "").to_dict(),
                "program": {
                    **{"app": None, "command": [], "env": {}, "cwd": "/", "cgroups": []},
                    **{"uid": None, "nproc_limit": None},
                },
                "assignment": Assignment(
                    name="agent:a-7", stack="test", bus=BusAddress(""), data={}
                ).to_dict(),
            }
        ],
    }
    Zygote(theirs)._serve(request)
    message, _ = ours.receive() or ({}, [])
    for end in (ours, theirs):
        end.close()
    assert (message["event"], message["where"], message["errno"]) == (
        "failed",
        "the processes of a-7",
        11,
    )


def test_the_limits_are_the_kernels_own() -> None:
    """What is raised in one process holds in those that it starts."""
    script = (
        "import resource, subprocess\n"
        "from wotemu_runtime.engines.local.file_limit import raise_file_limit\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1024))\n"
        "print(raise_file_limit(200))\n"
        "print(subprocess.run(['sh', '-c', 'ulimit -n'], capture_output=True, text=True).stdout.strip())"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["64", "1024"]
