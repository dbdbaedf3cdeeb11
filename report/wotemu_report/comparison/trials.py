"""Values of a parameter that were tried, and whether the objectives held: as values, and as a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import altair as alt
import attrs
import polars as pl
from altair.utils.schemapi import debug_mode

from wotemu_report.axis import make_axis
from wotemu_report.blocks import Block, Column, Empty, Figure, Section, Table
from wotemu_report.charts import palette
from wotemu_report.charts.layers import color_scale, layer, tips
from wotemu_report.charts.theme import DURATION, PERCENT
from wotemu_report.charts.value_axis import value_x, value_y
from wotemu_report.objectives.evaluate import evaluate
from wotemu_report.objectives.outcome import Outcomes
from wotemu_report.page.head import Head, Notice
from wotemu_report.page.render import page
from wotemu_report.recorded.run_data import RunData, reading

_HOLDS, _FAILS = "holds", "does not hold"
_CLIFF = {"x": pl.Float64(), "y": pl.Float64(), "state": pl.String(), "text": pl.String()}
_AXES = {
    "s": (1000.0, "duration", DURATION),
    "share": (100.0, "share", PERCENT),
    "/s": (1.0, "a second", None),
    "count": (1.0, "count", None),
    "number": (1.0, "value", None),
}
"""By the unit of a figure: what it is multiplied with, and its axis' title and labels."""
_COLORS = {_HOLDS: palette.GOOD, _FAILS: palette.BAD}


@attrs.frozen
class Trial:
    """One value that was tried.

    Attributes:
        value: Of the parameter.
        runs: The run directories, as text.
        outcomes: Of the objectives, in each run.
        damages: What could not be read of each run, a sentence each.
    """

    value: float
    runs: tuple[str, ...]
    outcomes: tuple[Outcomes, ...]
    damages: tuple[tuple[str, ...], ...]

    @classmethod
    def of_runs(cls, value: float, run_dirs: Mapping[Path, Sequence[str]]) -> Self:
        """Judge the objectives of a value's runs.

        Args:
            value: Of the parameter.
            run_dirs: The run directories, and what is known to be missing of each.

        Raises:
            InputError: A run can't be read.
        """
        judged = [reading(each, _judge, damages) for each, damages in run_dirs.items()]
        outcomes, damages = zip(*judged, strict=True)
        return cls(value, tuple(map(str, run_dirs)), outcomes, damages)

    @property
    def held(self) -> int:
        """In how many runs all objectives held."""
        return sum(each.have_passed for each in self.outcomes)

    @property
    def holds(self) -> bool:
        """Whether they held in most runs."""
        return self.held * 2 > len(self.outcomes)

    @property
    def has_figures(self) -> bool:
        """Whether there was anything to judge in any run."""
        return any(each.value is not None for outcomes in self.outcomes for each in outcomes)

    @property
    def text(self) -> str:
        """What became of the objectives: those that did not hold, or all."""
        run = next((each for each in self.outcomes if each.have_passed == self.holds), self.outcomes[0])
        wanted = [each for each in run if each.has_passed == self.holds]
        return "; ".join(each.sentence for each in wanted)

    @property
    def damaged(self) -> tuple[str, ...]:
        """What could not be read, a sentence each with its run."""
        return tuple(
            f"{run}: {damage}"
            for run, damages in zip(self.runs, self.damages, strict=True)
            for damage in damages
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "value": self.value,
            "holds": self.holds,
            "held": self.held,
            "runs": [
                {
                    "run_dir": run,
                    "objectives": [each.to_dict() for each in outcomes],
                    "damages": list(damages),
                }
                for run, outcomes, damages in zip(self.runs, self.outcomes, self.damages, strict=True)
            ],
        }


def _judge(run: RunData) -> tuple[Outcomes, tuple[str, ...]]:
    return evaluate(run), run.gaps


def trials_page(
    title: str, said: Notice, parameter: str, unit: str, trials: Sequence[Trial], version: str
) -> str:
    """A page with a chart of each objective's figure over the parameter, and every trial.

    Args:
        title: The page's.
        said: What was found.
        parameter: Its name.
        unit: Its unit.
        trials: All of them.
        version: WoTemu's, for the footer.
    """
    ordered = sorted(trials, key=lambda each: each.value)
    with debug_mode(False):
        charts: list[Block] = [
            _cliff(parameter, unit, number, ordered) for number in range(len(ordered[0].outcomes[0]))
        ]
    lines = tuple(line for each in ordered for line in each.damaged)
    damaged = (Notice("warn", "Runs that are damaged", lines),) if lines else ()
    top = Head(
        name=title,
        tone="good" if any(each.holds for each in trials) else "bad",
        verdict=f"{len(trials)} values tried",
        facts=(("Parameter", parameter), ("Runs of each value", str(len(ordered[0].runs)))),
        command="",
        notices=(said, *damaged),
    )
    section = Section(
        "search",
        "Objectives",
        "Each dot is one run; the dashed line is the limit.",
        [*charts, _table(parameter, unit, ordered)],
    )
    return page(top, [section], axis=make_axis((), origin=0.0, end_s=1.0), version=version)


def _cliff(parameter: str, unit: str, number: int, trials: Sequence[Trial]) -> Block:
    outcomes = [(trial.value, list(each)[number]) for trial in trials for each in trial.outcomes]
    first = outcomes[0][1]
    factor, title, labels = _AXES.get(first.unit, (1.0, first.unit, None))
    rows = [
        {
            "x": value,
            "y": each.value * factor if each.value is not None and math.isfinite(each.value) else None,
            "state": _HOLDS if each.has_passed else _FAILS,
            "text": each.figure,
        }
        for value, each in outcomes
    ]
    if all(row["y"] is None for row in rows):
        return Empty(first.text, f"No run has a figure to hold against {first.limit_text}.")
    frame = pl.DataFrame(rows, schema=_CLIFF)
    label = f"{parameter} ({unit})" if unit else parameter
    x = value_x("x", label, zero=False)
    y = value_y("y", title, label=labels)
    color = alt.Color("state", type="nominal", scale=color_scale(_COLORS), legend=alt.Legend())
    dots = (
        alt.Chart()
        .mark_circle(size=90, opacity=1)
        .encode(x=x, y=y, color=color, tooltip=tips(x=f"{label}|.6~g", text="figure", state="objective"))
    )
    means = frame.group_by("x").agg(pl.col("y").mean()).sort("x").drop_nulls()
    line = alt.Chart().mark_line(color=palette.INK, opacity=0.5).encode(x=x, y=y)
    limit = alt.Chart().mark_rule(color=palette.INK, strokeDash=[4, 4]).encode(y=y)
    return Figure(
        first.text,
        f"Has to be {first.limit_text}.{_missing(rows)}",
        [layer(pl.DataFrame({"y": [first.limit * factor]}), limit), layer(means, line), layer(frame, dots)],
        None,
    )


def _missing(rows: Sequence[dict[str, Any]]) -> str:
    missing = sum(row["y"] is None for row in rows)
    return f" {missing} of {len(rows)} runs have no figure to draw: the table says why." if missing else ""


def _table(parameter: str, unit: str, trials: Sequence[Trial]) -> Table:
    first = Column(f"{parameter} ({unit})" if unit else parameter, "number")
    more = (Column("Objectives", "status"), Column("Runs that held"), Column("Why"), Column("Runs", "code"))
    rows = [
        (
            trial.value,
            _HOLDS if trial.holds else _FAILS,
            f"{trial.held} of {len(trial.runs)}",
            trial.text,
            ", ".join(trial.runs),
        )
        for trial in trials
    ]
    return Table("Every value", "In order.", [first, *more], rows)
