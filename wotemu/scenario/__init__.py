"""What changes and when: the vocabulary, and its resolution to a timeline.

Each name is loaded on first use: the roles of an emulation need `timeline` alone, and there are hundreds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wotemu.lazy_names import lazy_names

if TYPE_CHECKING:
    from wotemu.scenario.objectives.expect import Objective, expect
    from wotemu.scenario.objectives.words import (
        app,
        availability,
        errors,
        failures,
        lost_events,
        mean,
        node,
        p50,
        p90,
        p95,
        p99,
        requests,
        throughput,
    )
    from wotemu.scenario.resolver import Resolver, resolve
    from wotemu.scenario.scenario import Phase, Scenario
    from wotemu.scenario.vocabulary.at import at
    from wotemu.scenario.vocabulary.during import during
    from wotemu.scenario.vocabulary.every import every
    from wotemu.scenario.vocabulary.on_wire import coap, http
    from wotemu.scenario.vocabulary.radio import PathLoss
    from wotemu.scenario.vocabulary.targets import tag
    from wotemu.scenario.vocabulary.traces import Trace
    from wotemu.scenario.vocabulary.waves import Wave, saw, sine, square, triangle
    from wotemu.scenario.vocabulary.when import event, metric, when

__all__ = [
    "Objective",
    "PathLoss",
    "Phase",
    "Resolver",
    "Scenario",
    "Trace",
    "Wave",
    "app",
    "at",
    "availability",
    "coap",
    "during",
    "errors",
    "event",
    "every",
    "expect",
    "failures",
    "http",
    "lost_events",
    "mean",
    "metric",
    "node",
    "p50",
    "p90",
    "p95",
    "p99",
    "requests",
    "resolve",
    "saw",
    "sine",
    "square",
    "tag",
    "throughput",
    "triangle",
    "when",
]

_NAMES = {
    "objectives.expect": "Objective expect",
    "objectives.words": "app availability errors failures lost_events mean node p50 p90 p95 p99 requests"
    " throughput",
    "vocabulary.on_wire": "coap http",
    "resolver": "Resolver resolve",
    "scenario": "Phase Scenario",
    "vocabulary.at": "at",
    "vocabulary.during": "during",
    "vocabulary.every": "every",
    "vocabulary.radio": "PathLoss",
    "vocabulary.targets": "tag",
    "vocabulary.traces": "Trace",
    "vocabulary.waves": "Wave saw sine square triangle",
    "vocabulary.when": "event metric when",
}
_MODULE_OF = {name: f"{__name__}.{module}" for module, names in _NAMES.items() for name in names.split()}

__getattr__, __dir__ = lazy_names(__name__, _MODULE_OF, __all__)
