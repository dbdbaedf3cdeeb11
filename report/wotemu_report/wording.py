"""Writes a hop's conditions, and what a change makes of things, as a person would say them."""

from __future__ import annotations

import json
from typing import Any

from wotemu.topology.conditions import NetworkConditions
from wotemu.topology.distributions import to_json

UNSHAPED = "unshaped"
_CLEAR = NetworkConditions()
_GAP = "\u00a0"  # a value and its unit stay on one line
_RATES = ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"), (1.0, "bit/s"))
_WRITTEN_BY_HAND = frozenset({"latency", "jitter", "distribution", "rate", "loss", "loss_model"})


def describe(conditions: dict[str, Any] | None) -> str:
    """Such as ``300 ms ± 100 ms, 1.5 Mbit/s, loss 1 %``; "unshaped" only where nothing at all is imposed."""
    try:
        given = NetworkConditions.from_dict(conditions or {})
    except (KeyError, TypeError, ValueError):  # of another version: as it stands there
        return ", ".join(f"{name} {value}" for name, value in (conditions or {}).items() if value)
    parts = [_delay(given), _rate(given.rate), _loss(given), *_others(given)]
    return ", ".join(part for part in parts if part) or UNSHAPED


def _delay(given: NetworkConditions) -> str:
    if not given.latency and not given.jitter:
        return ""
    text = f"{_milliseconds(given.latency)}"
    if given.jitter:
        text += f" ± {_milliseconds(given.jitter)}"
        text += "" if given.distribution == "normal" else f" ({to_json(given.distribution)!s:.24})"
    return text


def _milliseconds(seconds: float) -> str:
    return f"{seconds:.4g}{_GAP}s" if seconds >= 10 else f"{seconds * 1000:.4g}{_GAP}ms"


def _rate(bps: float | None) -> str:
    if bps is None:
        return ""
    if not bps:
        return f"outage (0{_GAP}bit/s)"
    unit, name = next((step for step in _RATES if bps >= step[0]), _RATES[-1])
    return f"{bps / unit:.4g}{_GAP}{name}"


def _loss(given: NetworkConditions) -> str:
    parts = [f"loss {given.loss * 100:.3g}{_GAP}%"] if given.loss else []
    parts += [f"loss by {given.loss_model}"] if given.loss_model is not None else []
    return ", ".join(parts)


def _others(given: NetworkConditions) -> list[str]:
    """Every other field that is not at its default: name and value."""
    return [
        f"{name.replace('_', ' ')} {value}"
        for name, _, value in _CLEAR.differences(given)
        if name not in _WRITTEN_BY_HAND
    ]


def told(text: str) -> str:
    """What a change says of before or after, which is JSON: conditions, groups that are apart, or a state."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if isinstance(value, dict):
        return describe(value)
    if isinstance(value, list):
        return " | ".join(_group(group) for group in value) or "together"
    return "" if value is None else str(value)


def _group(group: object) -> str:
    return ", ".join(str(name) for name in group) if isinstance(group, list) else str(group)
