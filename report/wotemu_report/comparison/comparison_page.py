"""A comparison as one offline HTML page: in words, charts of the changes, and tables side by side."""

from __future__ import annotations

import altair as alt
import polars as pl
from altair.utils.schemapi import debug_mode

from wotemu_report.axis import make_axis
from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table
from wotemu_report.charts import palette
from wotemu_report.charts.layers import Layer, color_scale, layer, tips
from wotemu_report.charts.value_axis import value_x
from wotemu_report.comparison.comparison import Comparison
from wotemu_report.comparison.differences import Difference
from wotemu_report.comparison.texts import (
    change_text,
    interval_text,
    method,
    sentence,
    subject_text,
    summary,
    value_text,
)
from wotemu_report.page.head import Head, Notice
from wotemu_report.page.render import page

_MAX_SENTENCES = 8
_MAX_DRAWN = 60
_ROW_PX = 18
_COLORS = {"worse": palette.BAD, "better": "#009e73", "same": "#0072b2", "not seen": palette.OTHERS}
_TITLES = {
    "p50": "Median duration",
    "p95": "95th percentile of durations",
    "p99": "99th percentile of durations",
    "errors": "Share of requests that failed",
    "availability": "Availability",
    "throughput": "Answered requests a second",
}


def comparison_page(comparison: Comparison) -> str:
    """The page of a comparison as HTML."""
    with debug_mode(False):
        sections = [
            _section(comparison, name, number) for number, name in enumerate(comparison.differences, 1)
        ]
    no_time = make_axis((), origin=0.0, end_s=1.0)  # its charts have no time axis
    return page(_head(comparison), sections, axis=no_time, version=comparison.version)


def _head(comparison: Comparison) -> Head:
    worse = any(each.verdict == "worse" for found in comparison.differences.values() for each in found)
    better = any(each.verdict == "better" for found in comparison.differences.values() for each in found)
    verdict = "Some figures became worse" if worse else "Better" if better else "No difference was seen"
    return Head(
        name=f"{', '.join(comparison.differences)} beside {comparison.baseline}",
        tone="bad" if worse else "good",
        verdict=verdict,
        facts=tuple((name, ", ".join(runs)) for name, runs in comparison.runs.items()),
        command="",
        notices=tuple(notice for notice in _notices(comparison) if notice.lines),
    )


def _notices(comparison: Comparison) -> list[Notice]:
    notices = [Notice("warn", "Before you compare", comparison.cautions)]
    for name, found in comparison.differences.items():
        is_worse = any(each.verdict == "worse" for each in found)
        notices.append(Notice("warn" if is_worse else "good", name, tuple(summary(comparison, name))))
        for verdict, tone in (("worse", "bad"), ("better", "good")):
            these = [each for each in found if each.verdict == verdict]
            told = [sentence(each) for each in sorted(these, key=lambda each: -abs(each.change or 0))]
            notices.append(Notice(tone, f"{name}: {verdict}", tuple(told[:_MAX_SENTENCES])))
    return [*notices, Notice("good", "How this was judged", (method(comparison),))]


def _section(comparison: Comparison, name: str, number: int) -> Section:
    blocks: list[Block] = []
    for figure, title in _TITLES.items():
        rows = [each for each in comparison.differences[name] if each.name == figure]
        if rows:
            blocks += [_chart(title, rows), _table(title, rows, comparison.baseline, name)]
    lead = f"Requests that {comparison.role}s measured, by phase, node group and operation."
    return Section(f"design-{number}", f"{name} beside {comparison.baseline}", lead, blocks)


def _chart(title: str, rows: list[Difference]) -> Block:
    known = [each for each in rows if each.change is not None]
    if not known:
        return Empty(title, "There are too few requests to say anything.")
    shown = sorted(known, key=lambda each: -abs(each.change or 0))[:_MAX_DRAWN]
    chosen = {id(each) for each in shown}
    ordered = [each for each in known if id(each) in chosen]
    more = f" The {_MAX_DRAWN} largest of {len(known)}." if len(known) > len(shown) else ""
    return Figure(
        f"Change of {title[0].lower()}{title[1:]}",
        f"By how much it changed, with the interval that holds the change with 95 %.{more}",
        _intervals(ordered),
        None,
        height=40 + _ROW_PX * len(ordered),
    )


def _intervals(rows: list[Difference]) -> list[Layer]:
    frame = pl.DataFrame(
        [
            {
                "subject": subject_text(each),
                "change": 100 * (each.change or 0),
                "low": 100 * (each.low or 0),
                "high": 100 * (each.high or 0),
                "verdict": each.verdict,
                "text": interval_text(each),
            }
            for each in rows
        ]
    )
    unit = "points" if rows[0].name in ("errors", "availability") else "%"
    order = frame["subject"].to_list()
    y = alt.Y("subject", type="nominal", sort=order, title=None, axis=alt.Axis(labelLimit=360))
    x = value_x("low", f"change ({unit})", zero=True)
    color = alt.Color("verdict", type="nominal", scale=color_scale(_COLORS), legend=alt.Legend())
    tooltip = tips(subject="of", text="change", verdict="verdict")
    base = alt.Chart().encode(y=y, color=color, tooltip=tooltip)
    rule = base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q")
    point = base.mark_circle(size=70, opacity=1).encode(x=alt.X("change", type="quantitative"))
    zero = (
        alt.Chart()
        .mark_rule(color=palette.INK, strokeDash=[3, 3])
        .encode(x=alt.X("zero", type="quantitative"))
    )
    return [layer(pl.DataFrame({"zero": [0.0]}), zero), layer(frame, rule, point)]


def _table(title: str, rows: list[Difference], baseline: str, name: str) -> Table:
    columns = (
        Column("Phase"),
        Column("Node"),
        Column("Operation"),
        Column(baseline),
        Column(name),
        Column("Requests", hint="of each"),
        Column("Change"),
        Column("95 % interval"),
        Column("Would be seen", hint="the smallest change that so many requests would have shown"),
        Column(
            "Cliff's delta", "number", "1: all durations are longer; -1: all are shorter; failed ones longest"
        ),
        Column("Verdict", "status"),
    )
    return Table(title, "", columns, [_row(each) for each in rows])


def _row(each: Difference) -> tuple[object, ...]:
    phase, group, affordance, op, binding = each.subject
    return (
        phase,
        group,
        f"{affordance} {op} ({binding})" if op else "all",
        value_text(each.name, each.before),
        value_text(each.name, each.after),
        " / ".join(f"{count:,}" for count in each.samples),
        change_text(each.name, each.change),
        ""
        if each.low is None
        else f"{change_text(each.name, each.low)} to {change_text(each.name, each.high)}",
        change_text(each.name, each.sees).lstrip("+"),
        each.cliffs_delta,
        each.verdict,
    )
