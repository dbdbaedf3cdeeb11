"""Apps that import the modules of WoTemu 0.6."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import pytest

from wotemu.app import Conf, NodeNotReadyError
from wotemu.app.metrics import connect_metrics
from wotemu.compat import OldWordWarning


@pytest.fixture
def metrics() -> Iterator[list[tuple[str, float]]]:
    """What is written while the test runs."""
    found: list[tuple[str, float]] = []
    connect_metrics(lambda key, value: found.append((key, value)))
    yield found
    connect_metrics(None)


async def test_a_dict_is_a_metric_for_each_number(metrics: list[tuple[str, float]]) -> None:
    from wotemu.monitor.utils import write_metric

    with pytest.warns(OldWordWarning, match=r"write_metric\('ptz.FIELD', number\)"):
        await write_metric("ptz", {"latency": 0.25, "count": 3, "host": "camera", "ok": True})
    assert metrics == [("ptz.latency", 0.25), ("ptz.count", 3.0)]


async def test_waiting_ends_after_the_timeout() -> None:
    from wotemu.utils import NodeHTTPTimeout, wait_node

    conf = Conf(node="a", replica="a", hostname="a", hosts={"b": ["127.0.0.1"]})
    assert NodeHTTPTimeout is NodeNotReadyError
    with pytest.warns(OldWordWarning, match="waits without end"), pytest.raises(NodeHTTPTimeout):
        await wait_node(conf, "b", timeout=0.2)


def test_enums_are_the_classes_of_today() -> None:
    from wotemu import BuiltinApps, NetworkConditions

    sys.modules.pop("wotemu.enums", None)
    with pytest.warns(OldWordWarning, match="shared=True"):
        enums = importlib.import_module("wotemu.enums")
    assert enums.NetworkConditions.LTE is NetworkConditions.LTE
    assert enums.BuiltinApps is BuiltinApps


def test_replicas_of_a_name_on_one_network() -> None:
    conf = Conf(node="a", replica="a", hostname="a", hosts={"b": ["b-1", "b-2"]})
    assert conf.replicas_of("b") == ("b-1", "b-2")
    assert conf.replicas_of("b.field") == ("b-1.field", "b-2.field")
    assert conf.replicas_of("elsewhere.field") == ("elsewhere.field",)


@pytest.mark.parametrize(
    ("module", "name", "hint"),
    [
        ("wotemu.enums", "NETEM_CONDITIONS", r"NetworkConditions.presets\(\)"),
        ("wotemu.utils", "get_service_container_hostnames", r"conf.replicas_of\(name\)"),
        ("wotemu.utils", "get_current_task", "argument `conf`"),
    ],
)
def test_what_is_gone_says_what_to_write(module: str, name: str, hint: str) -> None:
    with pytest.raises(ImportError, match=hint):
        exec(f"from {module} import {name}")
    with pytest.raises(ImportError, match="cannot import name 'wait'"):
        exec("from wotemu.utils import wait")


@pytest.mark.parametrize(
    ("command", "hint"), [("app", "wotemu run"), ("limits", "calibrate"), ("chaos", "run")]
)
def test_a_command_of_0_6_says_what_to_run(command: str, hint: str) -> None:
    from click.testing import CliRunner

    from wotemu.cli import FORMER, GROUPS, main

    done = CliRunner().invoke(main, [command, "--path", "app.py"])
    assert done.exit_code == 2
    assert f"{command!r} was a command of WoTemu 0.6" in done.output
    assert hint in done.output
    assert not FORMER.keys() & {name for group in GROUPS.values() for name in group}
