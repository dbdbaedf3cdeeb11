"""Whether the faults of nodes had their effect, by what their agents measured. Pure."""

from __future__ import annotations

from wotemu.fidelity.evidence import FaultEvidence
from wotemu.records import Event

_TICKS_S = 0.02
"""CPU time of a process is counted in ticks of 10 ms: so much may be of before it was suspended."""
_SHARE = 0.01
"""Of the time of a pause that its processes may have used: signals reach them one after the other."""


def fault_without_effect(event: Event) -> FaultEvidence | None:
    """What was wrong with the fault that an event is about; None where nothing was."""
    if event.kind != "pause.ended":
        return None
    used_s, lasted_s = float(event.data["cpu_s"]), float(event.data["lasted_s"])
    if used_s <= _TICKS_S * max(1, int(event.data["processes"])) + _SHARE * lasted_s:
        return None
    text = f"its processes used {used_s:.2f} s of CPU time in {lasted_s:.2f} s in which they were paused"
    return FaultEvidence(event.source, text)
