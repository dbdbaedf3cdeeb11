"""Conditions, and the states before and after a change, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from wotemu.scenario.change_text import blocks_text, groups_text
from wotemu.topology.conditions import NetworkConditions
from wotemu.units import Bytes

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
    """A state before or after a change: conditions, groups of a partition, what is set on a node."""
    if isinstance(state, dict):
        return _node_text(state) if state and state.keys() <= _OF_NODES else conditions_text(state)
    if isinstance(state, list | tuple):
        return blocks_text(state) if state and isinstance(state[0], Mapping) else groups_text(state)
    return "" if state is None else str(state)


_OF_NODES = {"cpu", "mem_bytes", "leave_bytes"}
"""Fields of limits, stress and full disks."""


def _node_text(setting: Mapping[str, Any]) -> str:
    words = [f"{setting['cpu']:g} cores"] if setting.get("cpu") is not None else []
    sizes = {"mem_bytes": "{} of memory", "leave_bytes": "full, {} left"}
    words += [
        text.format(Bytes(setting[name])) for name, text in sizes.items() if setting.get(name) is not None
    ]
    return ", ".join(words) or "none"
