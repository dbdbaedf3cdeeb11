"""The shapers that the suite runs over, and the table of what it measured."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import attrs
import pytest

from tests.conftest import Require
from tests.gateways import lab
from wotemu_gateways.netem import kernel_support

from .field import Field
from .intervals import Interval

SHAPERS = (
    pytest.param("tun", marks=pytest.mark.namespaces),
    pytest.param("routed", marks=pytest.mark.namespaces),
    pytest.param("netem", marks=pytest.mark.netem),
)
once_per_core = pytest.mark.parametrize("shaper", [SHAPERS[0], SHAPERS[2]], indirect=True)
"""For what is drawn at random: `tun` and `routed` draw it with the same code."""

_ROWS = pytest.StashKey[list[tuple[str, ...]]]()


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


@attrs.define
class Findings:
    """What a test found, for the table; `within` fails the test unless it is as expected."""

    config: pytest.Config
    shaper: str

    def within(self, what: str, expected: float, measured: float, interval: Interval, unit: str = "") -> bool:
        """Note a measurement; whether it is in its interval."""
        ok = interval[0] <= measured <= interval[1]
        figures = (
            _figure(expected, unit),
            _figure(measured, unit),
            " .. ".join(_figure(end, unit) for end in interval),
        )
        rows = self.config.stash.setdefault(_ROWS, [])
        rows[:] = [row for row in rows if row[:2] != (self.shaper, what)]
        rows.append((self.shaper, what, *figures, "yes" if ok else "NO"))
        return ok


def _figure(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value * 100:.2f} %"
    if unit == "ms":
        return f"{value * 1e3:.2f} ms"
    return f"{value:.4g} {unit}".rstrip()


@pytest.fixture
def findings(request: pytest.FixtureRequest, shaper: str) -> Findings:
    """The table of what is measured."""
    return Findings(request.config, shaper)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    rows = config.stash.get(_ROWS, [])
    if not rows:
        return
    table = [("shaper", "what", "expected", "measured", "interval", "ok"), *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    terminalreporter.section("conformance")
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        terminalreporter.write_line("  ".join(cells).rstrip())
