"""A deployment's file is loaded with its own modules, whatever was loaded before."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wotemu.deployment_file import load
from wotemu.scenario import Resolver
from wotemu.topology.models import NetworkConditions

DEPLOYMENT = """
from wotemu.scenario import *
from wotemu.topology.models import *
import my_parts
from my_package.deep import CONDITIONS

field = Network("field", CONDITIONS)

def topology():
    return Topology([Node(my_parts.NAME, command=["true"], networks=[field])])

def late(t):
    import my_late_parts
    return {"latency": my_late_parts.LATENCY}

def scenario():
    return Scenario(duration=9, events=[during(1, 5).follow(field, late)])
"""


@pytest.fixture(autouse=True)
def _path_is_put_back(tmp_path: Path) -> Iterator[None]:
    path = list(sys.path)
    (tmp_path / "empty").mkdir()
    empty = written(tmp_path / "empty" / "last.py", "from wotemu.topology.models import *\n" + LAST)
    yield
    load(empty)  # leaves the folders of the test
    sys.path[:] = path


LAST = "def topology(): return Topology([Node('a', command=['true'])])\n"


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def deployment(folder: Path, name: str, latency: str) -> Path:
    """A file that uses a module and a package beside it, and a module that it imports only when resolved."""
    written(folder / "my_parts.py", f"NAME = {name!r}\n")
    written(folder / "my_late_parts.py", f"LATENCY = {latency!r}\n")
    text = f"from wotemu.topology.models import *\nCONDITIONS = NetworkConditions(latency={latency!r})\n"
    written(folder / "my_package" / "deep.py", text)
    return written(folder / "deployment.py", DEPLOYMENT)


def test_two_deployments_do_not_share_the_modules_beside_the_first(tmp_path: Path) -> None:
    for name, latency in (("one", "10ms"), ("two", "20ms")):
        loaded = load(deployment(tmp_path / name, name, latency))
        assert loaded.topology.nodes[0].name == name
        assert loaded.topology.networks[0].conditions == NetworkConditions(latency=latency)
        (first, *_) = Resolver(loaded.topology, loaded.scenario).timeline.changes or [None]
        assert first is None  # the function gives the latency that holds anyway: its own deployment's
    assert str(tmp_path / "two") in sys.path
    assert str(tmp_path / "one") not in sys.path


def test_what_was_imported_before_stays(tmp_path: Path) -> None:
    path = deployment(tmp_path / "one", "one", "10ms")
    sys.path.insert(0, str(path.parent))
    import my_parts  # type: ignore[import-not-found]  # made above

    load(path)
    load(deployment(tmp_path / "two", "two", "20ms"))
    assert sys.modules["my_parts"] is my_parts
    assert str(path.parent) in sys.path
    del sys.modules["my_parts"]
    sys.path.remove(str(path.parent))
