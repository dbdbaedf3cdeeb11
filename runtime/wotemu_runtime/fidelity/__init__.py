"""Did the emulation do what its scenario says? From what was recorded to a certificate. Pure."""

from wotemu.fidelity import VERDICTS, Certificate, Reason, Thresholds, Verdict
from wotemu.fidelity.evidence import (
    ChangeEvidence,
    Delays,
    Evidence,
    HopEvidence,
    HostEvidence,
    Losses,
    LossEvidence,
    RoleChanges,
    StallEvidence,
)
from wotemu_runtime.fidelity.goodput import Goodput
from wotemu_runtime.fidelity.judge import judge
from wotemu_runtime.fidelity.witness import Witness

__all__ = [
    "VERDICTS",
    "Certificate",
    "ChangeEvidence",
    "Delays",
    "Evidence",
    "Goodput",
    "HopEvidence",
    "HostEvidence",
    "LossEvidence",
    "Losses",
    "Reason",
    "RoleChanges",
    "StallEvidence",
    "Thresholds",
    "Verdict",
    "Witness",
    "judge",
]
