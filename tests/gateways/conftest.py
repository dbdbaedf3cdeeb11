"""Runs the tests marked `namespaces`: as they are for root, else inside a user namespace of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from . import lab


@pytest.fixture(autouse=True)
def _namespaces(request: pytest.FixtureRequest, require: Callable[[bool, str], None]) -> None:
    if request.node.get_closest_marker("namespaces"):
        lacks = lab.missing()
        require(not lacks, lacks)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> object:
    """Run a test again as root of a user namespace, where this user isn't root."""
    if os.geteuid() == 0 or not pyfuncitem.get_closest_marker("namespaces"):
        return None
    again = [*lab.UNSHARE, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", pyfuncitem.nodeid]
    ran = subprocess.run(again, cwd=pyfuncitem.config.rootpath, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return True
