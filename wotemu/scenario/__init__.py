"""What changes and when: the vocabulary, and its resolution to a timeline."""

from wotemu.scenario.guards import event, metric, when
from wotemu.scenario.instants import at
from wotemu.scenario.periods import during
from wotemu.scenario.radio import PathLoss
from wotemu.scenario.repeats import every
from wotemu.scenario.resolve import Resolver, resolve
from wotemu.scenario.scenario import Phase, Scenario
from wotemu.scenario.targets import tag
from wotemu.scenario.traces import Trace
from wotemu.scenario.waves import Wave, saw, sine, square, triangle

__all__ = [
    "PathLoss",
    "Phase",
    "Resolver",
    "Scenario",
    "Trace",
    "Wave",
    "at",
    "during",
    "event",
    "every",
    "metric",
    "resolve",
    "saw",
    "sine",
    "square",
    "tag",
    "triangle",
    "when",
]
