"""Whether the faults of nodes had their effect, by what their agents measured. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wotemu.fidelity.evidence import FaultEvidence
from wotemu.records import Event
from wotemu.units import Bytes

_TICKS_S = 0.02
"""CPU time of a process is counted in ticks of 10 ms: so much may be of before it was suspended."""
_SHARE = 0.01
"""Of the time of a pause that its processes may have used: signals reach them one after the other."""
_STRESS_SHARE = 0.1
"""By how much of what was asked the CPU time of a stress may be off, besides `_STRESS_S`."""
_STRESS_S = 0.1
"""The stress's processes start in this time, and one that waited for a core makes up for more than it."""
_MEMORY_SHARE = 0.05
"""Of the memory that was asked, which may be swapped out."""
_CLOCK_S = 0.1
"""By how much a skewed clock may be read wrong: what reads it may be held up meanwhile."""
_BYTES_PER_S = 200e6
"""A kernel maps and clears memory at least as fast; a stress that ended before held less."""


def fault_without_effect(event: Event) -> FaultEvidence | None:
    """What was wrong with the fault that an event is about; None where nothing was."""
    match event.kind:
        case "pause.ended":
            text = _wrong_with_pause(event.data)
        case "stress.ended":
            text = _wrong_with_stress(event.data)
        case "clock.skewed":
            text = _wrong_with_clock(event.data)
        case _:
            text = ""
    return FaultEvidence(event.source, text) if text else None


def _wrong_with_clock(data: Mapping[str, Any]) -> str:
    asked_s, read_s = float(data["by_s"]), float(data["read_s"])
    if abs(read_s - asked_s) <= _CLOCK_S:
        return ""
    return f"its wall clock was {read_s:+.3f} s off instead of {asked_s:+.3f} s"


def _wrong_with_pause(data: Mapping[str, Any]) -> str:
    used_s, lasted_s = float(data["cpu_s"]), float(data["lasted_s"])
    if used_s <= _TICKS_S * max(1, int(data["processes"])) + _SHARE * lasted_s:
        return ""
    return f"its processes used {used_s:.2f} s of CPU time in {lasted_s:.2f} s in which they were paused"


def _wrong_with_stress(data: Mapping[str, Any]) -> str:
    """A stress that the node's own limit held back is none that failed: the app had less for the same."""
    if data["died"]:
        return f"a process of its stress ended early: {data['died']}"
    lasted_s, used_s = float(data["lasted_s"]), float(data["cpu_s"])
    if (cpu := data["cpu"]) is not None:
        missing_s = cpu * lasted_s - used_s
        allowed_s = _STRESS_S * max(1.0, cpu) + _STRESS_SHARE * cpu * lasted_s
        if missing_s > allowed_s + float(data["throttled_s"]):
            return f"its stress used {used_s / lasted_s:.2f} of {cpu:g} cores: this machine had no more"
        if -missing_s > allowed_s:
            return f"its stress used {used_s:.2f} s of CPU time in {lasted_s:.2f} s instead of {cpu:g} cores"
    asked, held = data["mem_bytes"], int(data["held_bytes"])
    has_had_time = lasted_s > _STRESS_S + (asked or 0) / _BYTES_PER_S
    if asked is not None and has_had_time and held < (1 - _MEMORY_SHARE) * asked:
        return f"its stress held {Bytes(held)} instead of {Bytes(asked)}"
    return ""
