"""Writes a hop's conditions, and what a change makes of things, as a person would say them."""

from __future__ import annotations

import json
from typing import Any

UNSHAPED = "unshaped"
_GAP = "\u00a0"  # a value and its unit stay on one line
_RATES = ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"), (1.0, "bit/s"))


def describe(conditions: dict[str, Any] | None) -> str:
    """Such as ``300 ms ± 100 ms, 1.5 Mbit/s, loss 1 %``; "unshaped" where nothing is imposed."""
    given = conditions or {}
    parts = [_delay(given), _rate(given.get("rate_bps")), _loss(given.get("loss"))]
    return ", ".join(part for part in parts if part) or UNSHAPED


def _delay(given: dict[str, Any]) -> str:
    latency, jitter = given.get("latency_s") or 0, given.get("jitter_s") or 0
    if not latency and not jitter:
        return ""
    return f"{latency * 1000:.4g}{_GAP}ms" + (f" ± {jitter * 1000:.4g}{_GAP}ms" if jitter else "")


def _rate(bps: float | None) -> str:
    if not bps:
        return ""
    unit, name = next((step for step in _RATES if bps >= step[0]), _RATES[-1])
    return f"{bps / unit:.4g}{_GAP}{name}"


def _loss(loss: float | None) -> str:
    return f"loss {loss * 100:.3g}{_GAP}%" if loss else ""


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
