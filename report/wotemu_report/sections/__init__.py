"""The sections of the report: a module per subject, each from a run's data to blocks."""

from __future__ import annotations

from collections.abc import Callable

from altair.utils.schemapi import debug_mode

from wotemu_report.blocks import Section
from wotemu_report.recorded.dataset import RunData
from wotemu_report.sections import (
    app_metrics,
    broker,
    changes,
    events,
    fidelity,
    interactions,
    logs,
    overview,
    system,
    topology,
    traffic,
)

SECTIONS: tuple[Callable[[RunData], Section], ...] = (
    overview.section,
    fidelity.section,
    topology.section,
    interactions.section,
    traffic.section,
    system.section,
    app_metrics.section,
    broker.section,
    changes.section,
    events.section,
    logs.section,
)


def sections(run: RunData) -> list[Section]:
    """Every section of the report, in the order in which they are read."""
    # Altair validates every part of a chart as it is made, which takes far longer than making it.
    with debug_mode(False):
        return [section(run) for section in SECTIONS]
