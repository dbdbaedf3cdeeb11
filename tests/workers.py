"""Which tests may run at the same time, where `pytest -n` (pytest-xdist) runs them in several workers.

A file's tests run one after another in one worker, so its fixtures are made once. The files in `ALONE`
measure times or a share of a core: they wait until the other workers have finished the file that they are
at, and hold the others up until they are done. They are last. Those in `ON_SWARM` share one swarm, so one
worker runs them all; they are first, as they wait most of the time.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

ALONE = (
    "tests/apps/test_builtin_apps.py",
    "tests/conformance/",
    "tests/engine/test_clock.py",
    "tests/engine/test_node_faults.py",
    "tests/engine/test_overload.py",
    "tests/gateways/test_tun.py",
)
"""Beginnings of the paths of tests that nothing may run beside."""

ON_SWARM = (
    "tests/docker/test_image.py",
    "tests/docker/test_proxy_on_swarm.py",
    "tests/docker/test_stack.py",
    "tests/swarm/",
)
"""Beginnings of the paths of tests that use the swarm."""

WORKERS = 2
"""For `-n auto`. An emulation in a test keeps a fraction of a core busy, so two share two cores well."""

_lock = pytest.StashKey[tempfile.TemporaryDirectory[str]]()
_held = pytest.StashKey[int]()


def group(nodeid: str) -> str:
    """The group of a test: one worker runs all tests of a group, one after another."""
    path = nodeid.partition("::")[0]
    if path.startswith(ALONE):
        return "alone"
    return "swarm" if path.startswith(ON_SWARM) else path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests of a group next to each other: the swarm's first, those that run alone last."""
    for item in items:
        if item.get_closest_marker("docker") and group(item.nodeid) != "swarm":
            raise pytest.UsageError(f"{item.nodeid} uses the swarm: add its file to ON_SWARM in {__file__}")
    places = {"swarm": -1, "alone": 1}
    items.sort(key=lambda item: places.get(group(item.nodeid), 0))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """The number of workers for `-n auto`; 0 runs the tests in this process."""
    return WORKERS if (os.cpu_count() or 1) > 1 else 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker one group after another, in the order of their collection."""
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False
    scheduling = LoadScopeScheduling(config, log)
    scheduling._split_scope = group
    return scheduling


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Name the lock to a worker."""
    config: pytest.Config = node.config
    if _lock not in config.stash:
        config.stash[_lock] = tempfile.TemporaryDirectory(prefix="wotemu-tests-")
        config.add_cleanup(config.stash[_lock].cleanup)
    node.workerinput["lock"] = str(Path(config.stash[_lock].name, "lock"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """In a worker: hold the lock from a group's first test to its last, shared unless they run alone."""
    lock = getattr(item.config, "workerinput", {}).get("lock")
    if lock is None:
        return (yield)
    stash, mine = item.session.stash, group(item.nodeid)
    if _held not in stash:
        stash[_held] = os.open(lock, os.O_RDWR | os.O_CREAT)
        # POSIX locks, not flock's: processes that a test forks don't inherit them.
        fcntl.lockf(stash[_held], fcntl.LOCK_EX if mine == "alone" else fcntl.LOCK_SH)
    result = yield
    if nextitem is None or group(nextitem.nodeid) != mine:
        os.close(stash[_held])
        del stash[_held]
    return result
