"""The tests marked `namespaces` say what this machine lacks for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from . import lab


@pytest.fixture(autouse=True)
def _namespaces(request: pytest.FixtureRequest, require: Callable[[bool, str], None]) -> None:
    if request.node.get_closest_marker("namespaces"):
        lacks = lab.missing()
        require(not lacks, lacks)
