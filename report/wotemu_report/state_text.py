"""Conditions, and the states before and after a change, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wotemu.scenario.change_text import groups_text
from wotemu.topology.conditions import NetworkConditions

UNSHAPED = "unshaped"


def conditions_text(conditions: Mapping[str, Any] | None) -> str:
    """Conditions as the command line writes them; "unshaped" only where nothing at all is imposed.

    Args:
        conditions: As JSON has them. Those of a version with other fields stay names and values.
    """
    try:
        given = NetworkConditions.from_dict(dict(conditions or {}))
    except (KeyError, TypeError, ValueError):
        return ", ".join(f"{name} {value}" for name, value in (conditions or {}).items() if value)
    return UNSHAPED if given == NetworkConditions() else str(given)


def json_state_text(text: str) -> str:
    """The state before or after a change, from JSON; a text that is no JSON stays as it is."""
    try:
        return state_text(json.loads(text))
    except ValueError:
        return text


def state_text(state: Any) -> str:
    """A state before or after a change: conditions, a partition's groups, whether cut off, an app's state."""
    if isinstance(state, dict):
        return conditions_text(state)
    if isinstance(state, list | tuple):
        return groups_text(state)
    return "" if state is None else str(state)
