"""Outcomes of objectives, as values, as text, and as the run directory's ``objectives.json``."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from wotemu.errors import InputError
from wotemu.wording import counted, duration, three_digits
from wotemu_report.formats import NO_ANSWER, first_few, percent

SCHEMA = 1
"""Version of ``objectives.json``."""
FILE = "objectives.json"

State = Literal["passed", "failed", "no data", "no verdict"]
STATES: tuple[State, ...] = ("failed", "no verdict", "no data", "passed")
"""The worst first. ``no verdict``: the figure was not well before anything disturbed it."""
TONES: Mapping[str, str] = {"passed": "good", "failed": "bad", "no data": "warn", "no verdict": "warn"}


@attrs.frozen
class Outcome:
    """What became of one objective.

    Attributes:
        id: Its place in the scenario.
        text: What it is about: ``p95 of readproperty of phone during fade``.
        state: ``passed``, ``failed``, ``no data`` or ``no verdict``.
        value: The figure in `unit`; None without data, infinite where requests were not answered.
        unit: ``s``, ``share`` (0 to 1), ``/s``, ``count`` or ``number``.
        op, limit: What the figure is compared with, in `unit`.
        samples: How many requests, values or events the figure is of.
        of: What these are, in the plural.
        start_s, end_s: The window that was judged, in seconds since T0; None where there was none.
        reason: Why it did not pass, or what else there is to say; "" for nothing.
    """

    id: int
    text: str
    state: State
    value: float | None
    unit: str
    op: str
    limit: float
    samples: int = 0
    of: str = "samples"
    start_s: float | None = None
    end_s: float | None = None
    reason: str = ""

    @property
    def has_passed(self) -> bool:
        """Whether the objective was met."""
        return self.state == "passed"

    @property
    def figure(self) -> str:
        """The figure with its unit: ``812 ms``; "no data" without one."""
        if self.value is None:
            return "no data"
        text = figure_text(self.value, self.unit)
        if self.value == self.limit or text != figure_text(self.limit, self.unit):
            return text
        return f"{text}, just {'above' if self.value > self.limit else 'below'}"

    @property
    def limit_text(self) -> str:
        """The limit with its comparison: ``< 500 ms``."""
        return f"{self.op} {figure_text(self.limit, self.unit)}"

    @property
    def sentence(self) -> str:
        """``p95 of readproperty of phone during fade 812 ms, limit < 500 ms (failed)``."""
        why = f": {self.reason}" if self.reason else ""
        figure = "" if self.value is None else f" {self.figure}"
        return f"{self.text}{figure}, limit {self.limit_text} ({self.state}{why})"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: what is not finite is null, and `figure` says it."""
        value = self.value if self.value is not None and math.isfinite(self.value) else None
        texts = {"figure": self.figure, "limit_text": self.limit_text}
        return {**attrs.asdict(self), "value": value, **texts}


def figure_text(value: float, unit: str) -> str:
    """A figure as people read it."""
    match unit:
        case "s":
            return NO_ANSWER if value == math.inf else duration(value)
        case "share":
            return percent(value)
        case "/s":
            return f"{three_digits(value)}/s"
        case "count":
            return f"{value:,.0f}"
        case _:
            return three_digits(value) if math.isfinite(value) else str(value)


@attrs.frozen
class Outcomes:
    """The outcomes of a run's objectives, in the scenario's order.

    Attributes:
        each: The outcomes.
        certificate: The certificate's verdict; "" without one.
        first_fault_s: When the run was first disturbed, in seconds since T0; None for never.
        damages: What could not be read of the records that they were judged by, a sentence each.
    """

    each: tuple[Outcome, ...] = ()
    certificate: str = ""
    first_fault_s: float | None = None
    damages: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.each)

    def __len__(self) -> int:
        return len(self.each)

    @property
    def have_passed(self) -> bool:
        """Whether all were met; True where there is none."""
        return all(outcome.has_passed for outcome in self.each)

    @property
    def summary(self) -> str:
        """``3 of 4 objectives hold, 1 failed``; "" where there is none."""
        if not self.each:
            return ""
        states = Counter(outcome.state for outcome in self.each)
        others = [f"{states[state]} {_others(state)}" for state in STATES[:-1] if states[state]]
        held = f"{states['passed']} of {counted(len(self.each), 'objective')}"
        hold = "holds" if len(self.each) == 1 else "hold"
        return ", ".join([f"{held} {hold}", *others])

    @property
    def cautions(self) -> tuple[str, ...]:
        """What is to be said beside the outcomes, a sentence each."""
        found = []
        if self.certificate == "INVALID":
            found.append("the certificate is INVALID: the networks did not do what the scenario says")
        if self.damages:
            found.append(f"judged without records that can't be read: {first_few(self.damages, 1)}")
        return tuple(found)

    @property
    def worst_first(self) -> list[Outcome]:
        """The outcomes, those that did not pass first."""
        return sorted(self.each, key=lambda outcome: STATES.index(outcome.state))

    def to_dict(self) -> dict[str, Any]:
        """As ``objectives.json`` has it."""
        return {
            "schema": SCHEMA,
            "summary": self.summary,
            "certificate": self.certificate,
            "first_fault_s": self.first_fault_s,
            "damages": list(self.damages),
            "objectives": [outcome.to_dict() for outcome in self.each],
        }

    @classmethod
    def read(cls, run_dir: Path) -> Outcomes | None:
        """What the run directory has; None where it has no such file.

        Raises:
            InputError: The file is damaged, or of a newer version of WoTemu.
        """
        path = run_dir / FILE
        if not path.is_file():
            return None
        try:
            raw = json.loads(path.read_bytes())
            if raw["schema"] > SCHEMA:
                raise InputError(
                    f"its schema is {raw['schema']}, newer than {SCHEMA}",
                    where=str(path),
                    hint="upgrade WoTemu to the version that wrote it",
                )
            each = tuple(_outcome(one) for one in raw["objectives"])
            damages = tuple(map(str, raw.get("damages") or ()))
            return cls(each, raw["certificate"], raw["first_fault_s"], damages)
        except (OSError, ValueError, TypeError, KeyError) as error:
            if isinstance(error, InputError):
                raise
            hint = "remove it: the report is written without it"
            raise InputError(f"it can't be read: {error}", where=str(path), hint=hint) from error

    def write(self, run_dir: Path) -> None:
        """Write ``objectives.json``, whole or not at all."""
        temporary = run_dir / f"{FILE}.tmp"
        temporary.write_text(json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n")
        temporary.replace(run_dir / FILE)


def _others(state: str) -> str:
    return {"failed": "failed", "no data": "without data", "no verdict": "without a verdict"}[state]


def _outcome(raw: Mapping[str, Any]) -> Outcome:
    known = {field.name: raw[field.name] for field in attrs.fields(Outcome)}
    if known["value"] is None and raw["figure"] == NO_ANSWER:
        known["value"] = math.inf
    return Outcome(**known)
