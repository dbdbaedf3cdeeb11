"""Objectives: what the scenario expects of the run, each with its figure and its limit."""

from __future__ import annotations

from wotemu_report.blocks import Block, Column, Empty, Section, Table
from wotemu_report.objectives.evaluate import evaluate
from wotemu_report.objectives.outcome import Outcome
from wotemu_report.recorded.run_data import RunData

_LEAD = (
    "A failed request counts as never answered. Without data, or where the figure was not well before the "
    "first fault, an objective has not passed."
)


def section(run: RunData) -> Section:
    """A table of all objectives, those that did not pass first."""
    outcomes = evaluate(run)
    blocks: list[Block] = []
    if not outcomes.each:
        text = "The scenario has none. Scenario(expect=[...]) says what a run has to show."
        return Section("objectives", "Objectives", "", [Empty("Objectives", text)])
    if outcomes.cautions:
        text = " ".join(f"{each[:1].upper()}{each[1:]}." for each in outcomes.cautions)
        blocks.append(Empty("Before you rely on them", text))
    blocks.append(
        Table(
            outcomes.summary,
            "The figure is of the samples that began in the window.",
            (
                Column("Objective"),
                Column("Outcome", "status"),
                Column("Figure"),
                Column("Limit"),
                Column("Samples", "int"),
                Column("Of"),
                Column("From", "instant"),
                Column("To", "instant"),
                Column("Because"),
            ),
            [_row(outcome) for outcome in outcomes.worst_first],
        )
    )
    return Section("objectives", "Objectives", _LEAD, blocks)


def _row(outcome: Outcome) -> tuple[object, ...]:
    return (
        outcome.text,
        outcome.state,
        outcome.figure,
        outcome.limit_text,
        outcome.samples,
        outcome.of,
        outcome.start_s,
        outcome.end_s,
        outcome.reason,
    )
