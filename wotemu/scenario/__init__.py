"""What changes and when: the vocabulary, and its resolution to a timeline."""

from wotemu.scenario.resolve import Resolver, resolve
from wotemu.scenario.scenario import Phase, Scenario
from wotemu.scenario.vocabulary.at import at
from wotemu.scenario.vocabulary.during import during
from wotemu.scenario.vocabulary.every import every
from wotemu.scenario.vocabulary.radio import PathLoss
from wotemu.scenario.vocabulary.targets import tag
from wotemu.scenario.vocabulary.traces import Trace
from wotemu.scenario.vocabulary.waves import Wave, saw, sine, square, triangle
from wotemu.scenario.vocabulary.when import event, metric, when

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
