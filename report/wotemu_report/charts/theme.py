"""The Vega theme of all charts, given to vega-embed once for the page, and the axis labels with units."""

from __future__ import annotations

from typing import Any

from wotemu_report.charts import palette

DURATION = (
    "datum.value === 0 ? '0' : datum.value >= 1000 ? format(datum.value / 1000, '~r') + ' s'"
    " : datum.value >= 1 ? format(datum.value, '~r') + ' ms' : format(datum.value * 1000, '~r') + ' µs'"
)
"""Vega expression: an axis label in milliseconds, in the unit that suits it."""
SIGNED_MS = "format(datum.value, '~r') + ' ms'"
"""Vega expression: an axis label in milliseconds that may be negative."""
PERCENT = "format(datum.value, '~r') + ' %'"
"""Vega expression: an axis label in percent."""


def _scaled(*units: str) -> str:
    """A Vega expression for a label in the largest of these units, each 1000 times the next."""
    steps = [
        f"datum.value >= 1e{3 * power} ? format(datum.value / 1e{3 * power}, '~r') + ' {unit}'"
        for power, unit in zip(range(len(units) - 1, 0, -1), units, strict=False)
    ]
    return " : ".join([*steps, f"format(datum.value, '~r') + ' {units[-1]}'"])


SIZE = _scaled("GB", "MB", "kB", "B")
"""Vega expression: an axis label in bytes, in powers of 1000."""
RATE = _scaled("Gbit/s", "Mbit/s", "kbit/s", "bit/s")
"""Vega expression: an axis label in bits a second."""

# The page's own stack of system fonts: a report must not load a font from anywhere.
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif"
CONFIG: dict[str, Any] = {
    "font": _FONT,
    "background": "transparent",
    "padding": {"left": 4, "right": 12, "top": 4, "bottom": 4},
    "view": {"stroke": None},
    "axis": {
        "labelColor": palette.INK,
        "titleColor": palette.INK,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "domainColor": "#cbd2d9",
        "tickColor": "#cbd2d9",
        "gridColor": "#e4e7eb",
        "labelLimit": 220,
    },
    # One least extent for all labels, so that the time axes of charts below each other line up.
    "axisY": {"domain": False, "ticks": False, "labelPadding": 6, "minExtent": 56},
    "axisX": {"grid": False},
    "legend": {
        "orient": "top",
        "direction": "horizontal",
        "title": None,
        "labelColor": palette.INK,
        "labelFontSize": 11,
        "labelLimit": 320,
        "symbolSize": 60,
        "columnPadding": 14,
        "rowPadding": 2,
        "offset": 20,
        "symbolType": "circle",
        "symbolStrokeWidth": 3,
    },
    "line": {"strokeWidth": 1.8, "strokeJoin": "round", "strokeCap": "round"},
    "bar": {"stroke": None},
}
