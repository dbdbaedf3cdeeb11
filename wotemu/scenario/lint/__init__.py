"""Warnings about scenarios that can be run but may not do what they are meant to do."""

from __future__ import annotations

from collections.abc import Mapping

from wotemu.scenario.lint.conditions import (
    condition_warnings,
    one_sided_links,
    undecided_broker_networks,
    unshaped_services,
)
from wotemu.scenario.lint.faults import unresumed_pauses
from wotemu.scenario.lint.names import ambiguous_names, unknown_partitions
from wotemu.scenario.lint.overlaps import (
    ineffective_actions,
    late_actions,
    overlapping_actions,
    too_fast_changes,
)
from wotemu.scenario.scenario import Scenario
from wotemu.scenario.state.observations import Observed
from wotemu.scenario.timeline import Timeline
from wotemu.topology.topology import Topology

__all__ = ["lint"]


def lint(
    topology: Topology, scenario: Scenario, timeline: Timeline, observed: Observed, late: Mapping[int, int]
) -> list[str]:
    """Warnings about a scenario, each a sentence.

    Args:
        topology: The topology that the scenario changes.
        scenario: The scenario as it is written.
        timeline: The scenario resolved.
        observed: Which actions changed something, and which met.
        late: How many changes come after the end, by the place of their action in the scenario.
    """
    return [
        *ambiguous_names(topology, scenario),
        *condition_warnings(topology, timeline),
        *one_sided_links(topology),
        *unshaped_services(topology),
        *undecided_broker_networks(topology),
        *overlapping_actions(scenario, observed),
        *too_fast_changes(timeline),
        *late_actions(scenario, late),
        *(note for action in scenario.events for note in action.notes),
        *unknown_partitions(scenario, observed),
        *unresumed_pauses(scenario, observed),
        *ineffective_actions(scenario, observed),
    ]
