"""Warnings about faults of nodes that nothing ends."""

from __future__ import annotations

from collections.abc import Iterator

from wotemu.scenario.scenario import Scenario
from wotemu.scenario.state.observations import Observed
from wotemu.scenario.vocabulary.when import GuardedActions
from wotemu.wording import shortened


def unresumed_pauses(scenario: Scenario, observed: Observed) -> Iterator[str]:
    """Pauses that last to the end of the run; none where guards may end them."""
    if any(isinstance(event, GuardedActions) for event in scenario.events):
        return
    paused: dict[int, list[str]] = {}
    for (replica, _), event in observed.paused.items():
        paused.setdefault(event, []).append(replica)
    for event, replicas in sorted(paused.items()):
        if event < len(scenario.events):
            verb = "are" if len(replicas) > 1 else "is"
            yield (
                f"{scenario.events[event].where}: {shortened(replicas)} {verb} never resumed, "
                "and so paused until the end"
            )
