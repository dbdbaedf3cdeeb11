"""How many processes and threads nodes may have, and by what that is limited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wotemu.scenario import Scenario, resolve
from wotemu.topology.models import Network, Node, NodeResources, Topology
from wotemu.topology.resources import DEFAULT_PIDS
from wotemu_runtime.engines.local.cgroups import replica_groups
from wotemu_runtime.engines.local.cgroups.limits import Limits, Machine, enforceable, plan_limits
from wotemu_runtime.engines.local.cgroups.replica_groups import ReplicaGroups
from wotemu_runtime.engines.local.nproc_limit import is_root_of_machine
from wotemu_runtime.engines.local.zygote import REPLACED, WITHIN_S, Zygote
from wotemu_runtime.planning.planner import make_plan

FIELD = Network("field")
OTHERS = [
    Node("plain", command=["true"], networks=[FIELD]),
    Node("asks", command=["true"], networks=[FIELD], resources=NodeResources(pids_limit=50)),
]


@pytest.mark.parametrize("by_rlimit", [True, False])
def test_each_node_has_a_limit_by_what_there_is(by_rlimit: bool) -> None:
    topology = Topology(OTHERS)
    timeline, _ = resolve(topology, Scenario())
    plan = make_plan(topology, timeline, stack="t", root=Path("/"))
    limits = plan_limits(plan, Machine(None, 2, 1 << 30, rlimit_holds=by_rlimit))
    if by_rlimit:
        assert limits.rlimits == {"plain": DEFAULT_PIDS, "asks": 50}
        assert limits.by_replica == {}, "no control group is needed"
    else:
        assert limits.rlimits == {}
        assert limits.by_replica == {"plain": Limits(pids=DEFAULT_PIDS), "asks": Limits(pids=50)}
        assert [each.is_asked_for for each in limits.by_replica.values()] == [False, True]


def test_only_a_limit_that_is_asked_for_is_missed() -> None:
    assert enforceable(Limits(pids=DEFAULT_PIDS), {"cpu"}) == (Limits(), [])
    limits, [missing] = enforceable(Limits(pids=50), {"cpu"})
    assert (limits, "pids controller" in missing) == (Limits(), True)
    assert enforceable(Limits(pids=50), {"pids"}) == (Limits(pids=50), [])


def test_a_default_limit_that_can_not_be_made_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_groups, "ROOT", tmp_path)
    monkeypatch.setattr(
        replica_groups, "set_limits", lambda directory, **_: (directory / "cgroup.procs").touch()
    )
    for name in ("memory", "freezer"):
        (tmp_path / name).mkdir()
    groups = ReplicaGroups("x")
    groups._own = {}
    made, missing = groups.make("a", Limits(mem_bytes=1 << 30, pids=DEFAULT_PIDS))
    assert (made.limits, missing) == (Limits(mem_bytes=1 << 30), [])
    _, [said] = groups.make("b", Limits(mem_bytes=1 << 30, pids=50))
    assert said.startswith("its limit of processes")


@pytest.mark.parametrize(
    ("uid_map", "uid", "is_root"),
    [
        ("0 0 4294967295", 0, True),
        ("0 0 4294967295", 1000, False),
        ("0 100000 65536", 0, False),
        ("1000 0 1", 1000, True),
    ],
)
def test_root_of_the_machine_is_known_in_any_user_namespace(uid_map: str, uid: int, is_root: bool) -> None:
    assert is_root_of_machine(uid_map, uid) is is_root


def test_agents_are_replaced_when_they_were_killed_and_not_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Any] = []
    now_s = [0.0]

    class Control:
        send = staticmethod(sent.append)

    zygote = Zygote(Control())  # type: ignore[arg-type]
    zygote._agents = {"agents:1": []}
    monkeypatch.setattr(zygote, "_fork_agents_of", lambda name, *, replace: None)
    monkeypatch.setattr("wotemu_runtime.engines.local.zygote.time.monotonic", lambda: now_s[0])
    killed, code_1 = 9, 1 << 8
    assert not zygote._replace("gateway:field", killed), "which its nodes' interfaces end with"
    assert not zygote._replace("agents:1", 0)
    assert not zygote._replace("agents:1", code_1), "it would fail again"
    assert [zygote._replace("agents:1", killed) for _ in range(REPLACED + 1)] == [*[True] * REPLACED, False]
    assert sent == [{"event": "replaced", "roles": [], "status": "killed by SIGKILL"}] * REPLACED
    now_s[0] += WITHIN_S
    assert zygote._replace("agents:1", killed)
