"""What changes and when: the vocabulary, and its resolution to a timeline."""

from wotemu.scenario.scenario import Phase, Scenario, resolve
from wotemu.scenario.vocabulary import at

__all__ = ["Phase", "Scenario", "at", "resolve"]
