"""A plan as one offline HTML page: hops over time, outages, every change and every guard."""

from __future__ import annotations

from collections.abc import Sequence

from wotemu.scenario.timeline import Change, Timeline
from wotemu.topology.topology import Topology
from wotemu_report.axis import Axis, make_axis
from wotemu_report.blocks import Column, Section, Table
from wotemu_report.formats import seconds
from wotemu_report.page.head import Head, Notice
from wotemu_report.page.render import page
from wotemu_report.planned.hop_figures import network_section
from wotemu_report.planned.outages import outage_section
from wotemu_report.state_text import state_text

_MAX_MARKS = 200
_MAX_ROWS = 1000


def plan_page(
    name: str, topology: Topology, timeline: Timeline, warnings: Sequence[str], version: str
) -> str:
    """The page of a plan as HTML.

    Args:
        name: The deployment's.
        topology: What runs.
        timeline: What will change.
        warnings: Of the linter, a sentence each.
        version: WoTemu's, for the footer.
    """
    axis = plan_axis(timeline)
    parts = [network_section(network, topology, timeline, axis) for network in topology.networks]
    parts += [outage_section(topology, timeline, axis), _changes(timeline)]
    parts += [_guards(timeline)] if timeline.guards else []
    return page(
        Head(
            name=name,
            tone="good",
            verdict=f"Plan of {seconds(timeline.duration_s)}",
            facts=(
                ("Seed", str(timeline.seed)),
                ("Timeline", timeline.hash),
                ("Changes", f"{len(timeline.changes):,}"),
            ),
            command="",
            notices=(Notice("warn", "Warnings", tuple(warnings)),) if warnings else (),
        ),
        parts,
        axis=axis,
        version=version,
    )


def plan_axis(timeline: Timeline) -> Axis:
    """The axis, with a mark at each instant of changes, unless there are too many to see."""
    instants = {change.at_s for change in timeline.changes}
    marks = instants if len(instants) <= _MAX_MARKS else set()
    return make_axis(timeline.phases, origin=0.0, end_s=timeline.duration_s, marks=marks)


def _changes(timeline: Timeline) -> Section:
    rows = [
        (
            change.id,
            change.at_s,
            timeline.phase_at(change.at_s),
            change.action,
            change.target,
            state_text(change.before),
            state_text(change.after),
        )
        for change in timeline.changes[:_MAX_ROWS]
    ]
    columns = (
        Column("#", "int"),
        Column("At", "instant"),
        Column("Phase"),
        Column("Action", "code"),
        Column("Target"),
        Column("Before"),
        Column("After"),
    )
    table = Table("Every change", "In order.", columns, rows, total=len(timeline.changes))
    return Section("changes", "Changes", "What gateways and agents are going to change.", [table])


def _guards(timeline: Timeline) -> Section:
    rows = [
        (
            guard.id,
            guard.text,
            timeline.duration_s if guard.deadline_s is None else guard.deadline_s,
            guard.otherwise,
            *_guarded(change),
        )
        for guard in timeline.guards
        for change in guard.changes[:_MAX_ROWS] or (None,)
    ]
    columns = (
        Column("#", "int"),
        Column("Condition"),
        Column("Deadline", "instant"),
        Column("If not met", "code"),
        Column("Delay", "instant", "from when the condition is met to the change"),
        Column("Target"),
        Column("After"),
    )
    lead = "Changes that wait for a condition; they are not in the figures above."
    table = Table("Every guard", "With its changes, timed from when it fires.", columns, rows)
    return Section("guards", "Guards", lead, [table])


def _guarded(change: Change | None) -> tuple[float | None, str, str]:
    """The delay, target and state of a guard's change; a guard may have none, and only wait or fail."""
    return (None, "", "") if change is None else (change.at_s, change.target, state_text(change.after))
