"""Sections of the report: a module per subject, each from small tables to blocks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext

from altair.utils.schemapi import debug_mode

from wotemu_report.blocks import Section
from wotemu_report.recorded.run_data import RunData
from wotemu_report.sections import (
    app_logs,
    app_metrics,
    applied_changes,
    broker_metrics,
    cpu_and_memory,
    event_ages,
    event_list,
    fidelity_evidence,
    network_traffic,
    node_details,
    objectives,
    overview,
    recoveries,
    reproduce,
    seen_on_wire,
    topology_diagram,
    wot_interactions,
)

SECTIONS: tuple[Callable[[RunData], Section], ...] = (
    objectives.section,
    overview.section,
    fidelity_evidence.section,
    recoveries.section,
    topology_diagram.section,
    wot_interactions.section,
    event_ages.section,
    seen_on_wire.section,
    network_traffic.section,
    cpu_and_memory.section,
    app_metrics.section,
    broker_metrics.section,
    applied_changes.section,
    event_list.section,
    node_details.section,
    app_logs.section,
    reproduce.section,
)
"""In the order in which they are read."""


_LONGEST = wot_interactions.section
"""Takes as long as all others together, so it is begun first."""
THREADS = 2
"""Polars leaves a core idle for most of the time. Each thread has tables of its own in memory."""


def sections(run: RunData, pool: Executor | None = None) -> list[Section]:
    """Every section of the report.

    Args:
        run: The run.
        pool: Threads that make them; None: `THREADS` of their own.
    """
    # Altair validates every part of a chart as it is made, which takes far longer than making it.
    with debug_mode(False), nullcontext(pool) if pool else ThreadPoolExecutor(THREADS, "section") as threads:
        longest_first = sorted(SECTIONS, key=lambda section: section is not _LONGEST)
        made = {section: threads.submit(section, run) for section in longest_first}
        return [made[section].result() for section in SECTIONS]
