"""Writes a hop's conditions as a person would say them."""

from __future__ import annotations

from typing import Any

_RATES = ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s"), (1.0, "bit/s"))


def describe(conditions: dict[str, Any] | None) -> str:
    """Such as ``300 ms ± 100 ms, 1.5 Mbit/s, loss 1 %``; "unshaped" where nothing is imposed."""
    given = conditions or {}
    parts = [_delay(given), _rate(given.get("rate_bps")), _loss(given.get("loss"))]
    return ", ".join(part for part in parts if part) or "unshaped"


def _delay(given: dict[str, Any]) -> str:
    latency, jitter = given.get("latency_s") or 0, given.get("jitter_s") or 0
    if not latency and not jitter:
        return ""
    return f"{latency * 1000:.4g} ms" + (f" ± {jitter * 1000:.4g} ms" if jitter else "")


def _rate(bps: float | None) -> str:
    if not bps:
        return ""
    unit, name = next((step for step in _RATES if bps >= step[0]), _RATES[-1])
    return f"{bps / unit:.4g} {name}"


def _loss(loss: float | None) -> str:
    return f"loss {loss * 100:.3g} %" if loss else ""
