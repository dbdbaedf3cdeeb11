"""Plans that this machine can't hold are refused before anything starts, with what to do."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import psutil
import pytest

from wotemu.errors import HostError
from wotemu.scenario import Scenario, resolve
from wotemu.topology.models import Network, Node, Topology
from wotemu_runtime.bus import BusAddress
from wotemu_runtime.engines.local import machine_limits
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


def test_a_hard_limit_of_files_that_is_too_low_is_said_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    with pytest.raises(HostError, match="20 nodes need 159 open files in one process; 64") as caught:
        machine_limits.allow_files(plan_of(20))
    assert "ulimit -n 159" in (caught.value.hint or "")


@pytest.mark.parametrize(("hard", "raised"), [(4096, 4096), (resource.RLIM_INFINITY, 1599)])
def test_a_soft_limit_is_raised_and_an_app_gets_it_back(
    monkeypatch: pytest.MonkeyPatch, hard: int, raised: int
) -> None:
    limits = [(64, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    machine_limits.restore_files(machine_limits.allow_files(plan_of(500)))
    assert limits == [(64, hard), (raised, hard), (64, hard)]


def test_every_interface_of_a_node_is_a_file_until_its_gateway_has_it() -> None:
    assert machine_limits.needed_files(plan_of(100, networks=10)) >= 100 * 10


def test_more_nodes_than_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1_000_000_000))
    monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(free=0))
    machine_limits.check_memory(plan_of(80))
    with pytest.raises(HostError, match=r"100 nodes need 1.2 GB of memory at the least; 1.0 GB are free"):
        machine_limits.check_memory(plan_of(100))


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
                "namespace": {"replica": "a-7", "interfaces": [], "hosts": "", "has_taps": True},
                "program": {"app": None, "command": [], "env": {}, "cwd": "/", "cgroups": [], "uid": None},
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
        "from tests.unit.engines.test_machine_limits import machine_limits, plan_of\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1024))\n"
        "print(machine_limits.allow_files(plan_of(20)))\n"
        "print(subprocess.run(['sh', '-c', 'ulimit -n'], capture_output=True, text=True).stdout.strip())"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["64", "1024"]
