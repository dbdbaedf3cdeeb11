"""Network conditions as WoTemu 0.6 had them: arguments of NetEm and of a token bucket, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wotemu.errors import TopologyError
from wotemu.suggestions import did_you_mean
from wotemu.topology.conditions import NetworkConditions

_FIELDS = {
    "latency": ("latency", "ms"),
    "jitter": ("jitter", "ms"),
    "correlation": ("jitter_correlation", "%"),
    "rate": ("rate", ""),
    "rate_burst": ("burst", ""),
    "rate_latency": ("queue", "ms"),
}
"""The key of 0.6, the condition that it is now, and the unit of its number (wotemu/cli/chaos.py of 0.6.0)."""


def conditions_of_netem(netem: Any, where: str) -> NetworkConditions:
    """The conditions that ``Network(netem=[...])`` of 0.6 asked for.

    Args:
        netem: A list of one JSON object as text, with the keys ``latency`` and ``jitter`` in milliseconds,
            ``correlation`` in percent, ``rate`` and ``rate_burst`` as `tc` has them, and ``rate_latency`` in
            milliseconds.
        where: The place for messages.

    Raises:
        TopologyError: It is no such list, or has other keys.
    """
    arguments = _parsed(netem, where)
    for key in arguments:
        if key not in _FIELDS:
            raise TopologyError(f"it has {key!r}", where=where, hint=did_you_mean(key, _FIELDS))
    given = {key: value for key, value in arguments.items() if value is not None}
    if not {"latency", "jitter"} <= given.keys():  # 0.6 delayed nothing unless it had both
        given = {key: given[key] for key in given if key.startswith("rate")}
    if "rate" not in given:
        given = {key: given[key] for key in given if not key.startswith("rate")}
    return NetworkConditions(
        **{_FIELDS[key][0]: _with_unit(value, _FIELDS[key][1]) for key, value in given.items()}
    )


def _with_unit(value: Any, unit: str) -> Any:
    return f"{value}{unit}"


def _parsed(netem: Any, where: str) -> Mapping[str, Any]:
    hint = "write conditions=NetworkConditions(latency=..., jitter=..., rate=...)"
    if isinstance(netem, str | Mapping) or not hasattr(netem, "__len__") or len(netem) != 1:
        raise TopologyError(f"{netem!r:.80} is no list of one JSON object", where=where, hint=hint)
    try:
        arguments = json.loads(netem[0])
    except (TypeError, ValueError) as error:
        raise TopologyError(f"{netem[0]!r:.80} is no JSON: {error}", where=where, hint=hint) from error
    if not isinstance(arguments, dict):
        raise TopologyError(f"{netem[0]!r:.80} is no JSON object", where=where, hint=hint)
    return arguments
