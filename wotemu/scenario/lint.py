"""Warnings about scenarios that can be run but may not do what they were meant to. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from wotemu.scenario.scenario import Scenario
from wotemu.scenario.timeline import Timeline
from wotemu.topology.models import Topology


def lint(topology: Topology, scenario: Scenario, timeline: Timeline, sources: Mapping[int, int]) -> list[str]:
    """Warnings."""
    del topology, scenario, timeline, sources
    return []
