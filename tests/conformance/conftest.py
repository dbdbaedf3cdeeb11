"""The shapers that the suite runs over, and its nodes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.conftest import Require
from tests.gateways import lab
from wotemu_gateways.netem import kernel_support

from .field import Field
from .findings import Findings

SHAPERS = (
    pytest.param("tun", marks=pytest.mark.namespaces),
    pytest.param("routed", marks=pytest.mark.namespaces),
    pytest.param("netem", marks=pytest.mark.netem),
)
once_per_core = pytest.mark.parametrize("shaper", [SHAPERS[0], SHAPERS[2]], indirect=True)
"""For what is drawn at random: `tun` and `routed` draw it with the same code."""
in_user_space = pytest.mark.parametrize("shaper", SHAPERS[:2], indirect=True)
"""For what NetEm can't impose; such a plan is refused for it."""


def _lacks(shaper: str) -> str:
    """What this machine lacks for a shaper; "" if it has everything."""
    if lacks := lab.missing():
        return lacks
    return kernel_support.missing_in_new_namespace() if shaper.startswith("netem") else ""


def _field(shaper: str, require: Require) -> Iterator[Field]:
    lacks = _lacks(shaper)
    require(not lacks, lacks)
    with Field(shaper) as field:
        # So that all have each other's MACs: what waits for an answer to ARP may be overtaken in the kernel.
        for source, target in itertools.permutations(field.nodes, 2):
            with field.stream(source, target) as stream:
                stream.send()
                stream.settle(1, within_s=2.0)
        yield field


@pytest.fixture(scope="session", params=SHAPERS)
def shaper(request: pytest.FixtureRequest) -> str:
    """Each shaper in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def session_field(shaper: str, require: Require) -> Iterator[Field]:
    """Three nodes under the shaper."""
    yield from _field(shaper, require)


@pytest.fixture
def field(session_field: Field) -> Iterator[Field]:
    """The same three nodes for every test, without any conditions at first."""
    session_field.clear()
    yield session_field
    session_field.await_answers()


@pytest.fixture
def shared_field(shaper: str, session_field: Field, require: Require) -> Iterator[Field]:
    """Three nodes on a network that shares one bucket."""
    if shaper == "netem":  # one more qdisc, which has to be there from the beginning
        yield from _field("netem-shared", require)
    else:
        session_field.clear()
        yield session_field


@pytest.fixture
def findings(request: pytest.FixtureRequest, shaper: str) -> Findings:
    """Takes what the test measures."""
    return Findings(request.node.user_properties, shaper)
