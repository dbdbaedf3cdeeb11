"""An app may be the function itself: it travels to its node with what it uses of its own module."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from wotemu.errors import LoadError, TopologyError
from wotemu.scenario import Resolver, Scenario
from wotemu.topology.models import Network, Node, NodeApp, Topology
from wotemu.topology.to_json import topology_to_json
from wotemu_runtime.app_process.loading.function_code import pack_function, unpack_function
from wotemu_runtime.app_process.loading.loader import load_app
from wotemu_runtime.app_process.loading.spec import AppSpec
from wotemu_runtime.planning.models import Plan
from wotemu_runtime.planning.planner import make_plan

FACTOR = 3
LOCK = threading.Lock()


def helper(value: int) -> int:
    return value * FACTOR


async def tripling(wot: Any, conf: Any, loop: Any, value: int = 2) -> int:
    return helper(value)


async def locking(wot: Any, conf: Any, loop: Any) -> None:
    with LOCK:
        pass


def not_async(wot: Any, conf: Any, loop: Any) -> None:
    pass


def plan(app: NodeApp, scale: int = 1) -> Plan:
    topology = Topology([Node("a", app, networks=[Network("field")], scale=scale)])
    return make_plan(topology, Resolver(topology, Scenario()).timeline, stack="test", root=Path("/"))


def test_it_travels_with_the_module_that_it_is_in(tmp_path: Path) -> None:
    code = pack_function(tripling, "Node 'a'")
    script = (
        "import asyncio, sys\n"
        "from wotemu_runtime.app_process.loading.function_code import unpack_function\n"
        "print(asyncio.run(unpack_function(sys.argv[1])(None, None, None, value=5)))\n"
    )
    # In another folder, where this test's module can't be imported.
    done = subprocess.run(
        [sys.executable, "-c", script, code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "15\n"


async def test_a_plan_has_it_and_an_app_process_loads_it() -> None:
    first, second = plan(NodeApp(tripling, params={"value": 4}), scale=2).replicas
    assert first.app is not None and second.app is not None
    assert first.app.target == f"{__name__}:tripling"
    assert first.app.code is second.app.code
    again = AppSpec.from_dict(first.app.to_dict())
    assert await load_app(again)(None, None, None, **again.params) == 12


async def test_a_closure_and_a_partial_travel_too() -> None:
    def make(factor: int) -> Any:
        async def app(wot: Any, conf: Any, loop: Any) -> int:
            return factor

        return app

    assert await unpack_function(pack_function(make(7), ""))(None, None, None) == 7
    given = functools.partial(tripling, value=9)
    assert NodeApp(given).target.endswith(":tripling")
    assert await unpack_function(pack_function(given, ""))(None, None, None) == 27


def test_what_is_no_app_or_can_not_travel_is_refused_before_anything_starts() -> None:
    with pytest.raises(TopologyError, match="not_async is not a coroutine function"):
        NodeApp(not_async)  # type: ignore[arg-type]
    with pytest.raises(TopologyError, match=r"Node 'a', field 'app': it can't travel to its node: .*lock"):
        plan(NodeApp(locking))
    with pytest.raises(TopologyError, match="takes no parameter 'vaule'") as caught:
        plan(NodeApp(tripling, params={"vaule": 1}))
    assert caught.value.hint == "did you mean 'value'?"


def test_a_function_of_another_python_is_refused() -> None:
    code = pack_function(tripling, "")
    with pytest.raises(LoadError, match=r"the function comes from Python 2\.7"):
        unpack_function("2.7:" + code.partition(":")[2])


def test_the_topology_as_json_has_its_name() -> None:
    topology = Topology([Node("a", NodeApp(tripling), networks=[Network("field")])])
    (node,) = topology_to_json(topology)["nodes"]
    assert node["app"]["path"] == f"{__name__}:tripling"
