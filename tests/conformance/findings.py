"""What tests measured, and the table of it that pytest prints at the end.

A finding is a property of its test's report, and so reaches the table from any worker or child process.
"""

from __future__ import annotations

import attrs
import pytest

from .intervals import Interval

_PROPERTY = "conformance"
_HEADINGS = ("shaper", "what", "expected", "measured", "interval", "ok")


@attrs.define
class Findings:
    """What a test found, for the table; `within` fails the test unless it is as expected."""

    properties: list[tuple[str, object]]
    shaper: str

    def within(self, what: str, expected: float, measured: float, interval: Interval, unit: str = "") -> bool:
        """Note a measurement; whether it is in its interval."""
        ok = interval[0] <= measured <= interval[1]
        figures = (
            _figure(expected, unit),
            _figure(measured, unit),
            " .. ".join(_figure(end, unit) for end in interval),
        )
        self.properties.append((_PROPERTY, (self.shaper, what, *figures, "yes" if ok else "NO")))
        return ok


def _figure(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value * 100:.2f} %"
    if unit == "ms":
        return f"{value * 1e3:.2f} ms"
    return f"{value:.4g} {unit}".rstrip()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table: a row for each thing measured under each shaper, its last measurement."""
    rows: dict[tuple[str, str], tuple[str, ...]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, row in getattr(report, "user_properties", ()):
                if name == _PROPERTY:
                    rows[row[0], row[1]] = tuple(row)
    if not rows:
        return
    table = [_HEADINGS, *sorted(rows.values(), key=lambda row: row[0])]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    terminalreporter.section("conformance")
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        terminalreporter.write_line("  ".join(cells).rstrip())
